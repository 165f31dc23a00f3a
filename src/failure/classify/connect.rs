//! Why there is no connection.

use std::error::Error as StdError;
use std::io;

use super::tower::is_elapsed;
use super::{Evidence, FailureKind, chain, not_sent};

/// Reads the reason out of what stands below a connect error.
///
/// Nothing below can take the proof away: the connector runs before the request is handed to anything.
pub(super) fn evidence(error: &(dyn StdError + 'static)) -> Evidence {
    #[cfg(feature = "rustls")]
    if chain(error).any(super::rustls::is_certificate) {
        return not_sent(FailureKind::Certificate);
    }
    if chain(error).any(is_timeout) {
        return not_sent(FailureKind::ConnectTimeout);
    }
    not_sent(FailureKind::Connect)
}

fn is_timeout(error: &(dyn StdError + 'static)) -> bool {
    is_elapsed(error)
        || error
            .downcast_ref::<io::Error>()
            .is_some_and(|error| error.kind() == io::ErrorKind::TimedOut)
}
