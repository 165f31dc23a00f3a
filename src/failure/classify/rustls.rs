//! rustls, as it is and inside `std::io`'s error.

use std::error::Error as StdError;
use std::io;

use rustls::Error;

use super::{FailureKind, Reading, not_sent};

pub(super) fn read(error: &(dyn StdError + 'static)) -> Option<Reading> {
    is_certificate(error).then_some(Reading::Shared(not_sent(FailureKind::Certificate)))
}

/// Whether the peer's certificate, or the name in it, was turned down.
///
/// It is verified before the session carries a byte of HTTP. Alerts are the other way round: TLS 1.3 lets
/// the peer turn down *our* certificate when the request is already on its way, so they prove nothing.
pub(super) fn is_certificate(error: &(dyn StdError + 'static)) -> bool {
    let inner = error
        .downcast_ref::<io::Error>()
        .and_then(io::Error::get_ref)
        .and_then(|inner| inner.downcast_ref::<Error>());
    matches!(
        inner.or_else(|| error.downcast_ref::<Error>()),
        Some(Error::InvalidCertificate(_))
    )
}
