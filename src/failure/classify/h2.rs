//! h2: what RST_STREAM and GOAWAY prove (RFC 9113, section 8.7).

use std::error::Error as StdError;

use h2::{Error, Reason};

use super::{Evidence, FailureKind, Reading, Stage, io, maybe_processed};

pub(super) fn read(error: &(dyn StdError + 'static)) -> Option<Reading> {
    let error = error.downcast_ref::<Error>()?;
    Some(match any(error) {
        Some(evidence) => Reading::Shared(evidence),
        None => Reading::Opaque,
    })
}

/// Reads an error that a stream or its connection failed with.
///
/// GOAWAY does not even speak of a stream here: the connection's own future ends with it too (`take_error`
/// in proto/connection.rs).
pub(super) fn any(error: &Error) -> Option<Evidence> {
    if error.is_remote() {
        // Only the stream that RST_STREAM names fails with it. A reason alone is not enough: anyone can
        // make an error from a `Reason`, and resets of our own carry one.
        let refused = error.is_reset() && error.reason() == Some(Reason::REFUSED_STREAM);
        Some(if refused {
            Evidence {
                stage: Stage::Refused,
                kind: FailureKind::RefusedStream,
            }
        } else {
            maybe_processed(FailureKind::Reset)
        })
    } else if error.is_library() {
        // What h2 itself objects to: frames, or a head, that break the protocol.
        Some(maybe_processed(FailureKind::Junk))
    } else if error.is_reset() {
        // The sender's own reset. hyper has one that a response future can see: its body failed
        // (`on_user_err` in hyper's proto/h2/mod.rs).
        Some(maybe_processed(FailureKind::RequestBody))
    } else if error.is_go_away() {
        Some(maybe_processed(FailureKind::Reset))
    } else {
        // What is left is misuse of the library, or a bare reason.
        error.get_io().map(io::established)
    }
}

/// Reads an error that one request failed with before its response head.
///
/// GOAWAY then *says* that the stream is above the last one, and still proves nothing. h2 gives the error to
/// such streams only (`Streams::recv_go_away` in proto/streams/streams.rs). But hyper asks the connection
/// once more after it has queued the HEADERS (`poll_ready` after `send_request` in proto/h2/client.rs), and
/// a GOAWAY that came in between fails the request whatever its last stream: its HEADERS still go out, with
/// END_STREAM if there is no body, and a reset after them.
pub(super) fn request(error: &Error) -> Option<Evidence> {
    if error.is_remote() && error.is_go_away() {
        Some(maybe_processed(FailureKind::RefusedStream))
    } else {
        any(error)
    }
}
