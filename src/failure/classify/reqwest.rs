//! reqwest.

use std::error::Error as StdError;

use hyper_util::client::legacy::Error as ClientError;
use reqwest::Error;

use super::{Evidence, FailureKind, Reading, hyper, maybe_processed, not_sent};

pub(super) fn read(error: &(dyn StdError + 'static)) -> Option<Reading> {
    let error = error.downcast_ref::<Error>()?;
    Some(request(error).map_or(Reading::Opaque, Reading::Exchange))
}

/// Reads an error of sending. Errors of bodies, redirects and building prove nothing;
/// those of building are about the request.
///
/// `is_connect` and `is_timeout` look through the whole chain, and so find the connect error of another
/// request that the body of this one came from. So the client's error is read where it stands, directly
/// below.
fn request(error: &Error) -> Option<Evidence> {
    if error.is_builder() {
        return Some(maybe_processed(FailureKind::Request));
    }
    if !error.is_request() {
        return None;
    }
    let source = error.source()?;
    let Some(client) = source.downcast_ref::<ClientError>() else {
        // The type of reqwest's own timeout is private. Nothing stands below it.
        let timeout = error.is_timeout() && source.source().is_none();
        return timeout.then_some(maybe_processed(FailureKind::Timeout));
    };
    let evidence = hyper::client(client)?;
    // reqwest's timeout of connecting is private too. No body stands below a connect error.
    let connect = client.is_connect() && evidence.kind == FailureKind::Connect;
    Some(if connect && error.is_timeout() {
        not_sent(FailureKind::ConnectTimeout)
    } else {
        evidence
    })
}
