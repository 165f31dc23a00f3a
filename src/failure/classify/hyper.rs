//! hyper's connections, our own pool of them, and hyper-util's pooled client.

use std::error::Error as StdError;
use std::io::Error as IoError;

use hyper::Error;
use hyper_util::client::legacy::Error as ClientError;

use crate::upstream::{Step, UpstreamError};

use super::{Evidence, FailureKind, Reading, connect, h2, io, maybe_processed, not_sent};

type ReadH2 = fn(&::h2::Error) -> Option<Evidence>;

pub(super) fn read(error: &(dyn StdError + 'static)) -> Option<Reading> {
    if let Some(error) = error.downcast_ref::<ClientError>() {
        return Some(client(error).map_or(Reading::Opaque, Reading::Exchange));
    }
    let error = error.downcast_ref::<Error>()?;
    Some(connection(error, h2::any).map_or(Reading::Opaque, Reading::Shared))
}

/// Reads an error of our own pool, which knows how far the request came.
pub(super) fn upstream(error: &UpstreamError) -> Option<Evidence> {
    match error.step() {
        Step::Connect => Some(connect::evidence(error)),
        Step::Queue => Some(not_sent(FailureKind::Reset)),
        Step::Exchange => connection(error.source()?.downcast_ref()?, h2::request),
    }
}

/// Reads an error of hyper-util's pooled client, which only an exchange can fail with.
pub(super) fn client(error: &ClientError) -> Option<Evidence> {
    if error.is_connect() {
        return Some(connect::evidence(error));
    }
    let source = error.source()?.downcast_ref::<Error>()?;
    // `try_send_request` in hyper-util's client/legacy/client.rs adds the connection to every error that
    // it returns after it has given the request to one. Without it, the connection was made and ended, or
    // its HTTP handshake failed, before that.
    if error.connect_info().is_none() {
        return Some(not_sent(FailureKind::Reset));
    }
    connection(source, h2::request)
}

fn connection(error: &Error, read_h2: ReadH2) -> Option<Evidence> {
    if error.is_canceled() {
        return handed_back(error).then_some(not_sent(FailureKind::Reset));
    }
    if error.is_user() {
        return user(error);
    }
    if error.is_parse() {
        return Some(maybe_processed(FailureKind::Junk));
    }
    if error.is_timeout() {
        return Some(maybe_processed(FailureKind::Timeout));
    }
    // An origin may read a request whole and then close: the end of a connection is never proof, not even
    // on a connection that had been idle. `is_closed` has no message that it speaks of.
    if error.is_incomplete_message() || error.is_closed() || error.is_shutdown() {
        return Some(maybe_processed(FailureKind::Reset));
    }
    let source = error.source()?;
    if let Some(error) = source.downcast_ref() {
        return read_h2(error);
    }
    source.downcast_ref::<IoError>().map(io::established)
}

/// Whether the request was still in the queue when its connection ended.
///
/// hyper makes a canceled error in four places. In three the request was never taken out of the queue:
/// `SendRequest::send_request` in client/conn ("connection was not ready"), `Drop for Envelope` in
/// client/dispatch.rs ("connection closed"), and `Client::recv_msg` in proto/h1/dispatch.rs (the source is
/// the connection's error). The fourth is an upgrade that never came, after a response (upgrade.rs).
fn handed_back(error: &Error) -> bool {
    error.source().is_some_and(|source| {
        source.is::<Error>()
            || matches!(
                source.to_string().as_str(),
                "connection was not ready" | "connection closed"
            )
    })
}

/// Reads what hyper calls an error of its user: the body failed, or ended short of its length.
fn user(error: &Error) -> Option<Evidence> {
    // Misuse, such as CONNECT with a body, has no source.
    error.source()?;
    // Not the user's: the connection's task was dropped, which GOAWAY does to a request that waits for a
    // stream. Only its text tells; unrecognised, it counts as the body's, which is never retried.
    if error.to_string() == "dispatch task is gone" {
        return Some(maybe_processed(FailureKind::Reset));
    }
    Some(maybe_processed(FailureKind::RequestBody))
}
