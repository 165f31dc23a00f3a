//! `std::io`.

use std::error::Error as StdError;
use std::io::{Error, ErrorKind};

use super::{Evidence, FailureKind, Reading, maybe_processed, not_sent};

pub(super) fn read(error: &(dyn StdError + 'static)) -> Option<Reading> {
    let error = error.downcast_ref::<Error>()?;
    evidence(error).map(Reading::Shared)
}

/// An error of another kind may still wrap one that says more.
fn evidence(error: &Error) -> Option<Evidence> {
    match error.kind() {
        // Only connect(2) fails with this on TCP. The other errors of connect(2), such as "host
        // unreachable", also end connections that are established.
        ErrorKind::ConnectionRefused => Some(not_sent(FailureKind::Connect)),
        ErrorKind::TimedOut => Some(maybe_processed(FailureKind::Timeout)),
        ErrorKind::ConnectionReset
        | ErrorKind::ConnectionAborted
        | ErrorKind::BrokenPipe
        | ErrorKind::UnexpectedEof => Some(maybe_processed(FailureKind::Reset)),
        _ => None,
    }
}

/// What an error of a connection proves that is known to be established: nothing, whatever its kind.
#[cfg(feature = "hyper")]
pub(super) fn established(error: &Error) -> Evidence {
    maybe_processed(match error.kind() {
        ErrorKind::TimedOut => FailureKind::Timeout,
        _ => FailureKind::Reset,
    })
}
