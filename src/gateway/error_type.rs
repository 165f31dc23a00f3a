//! The error types of RFC 9209, section 2.3.

use std::{
    error::Error as StdError,
    io::{self, ErrorKind},
};

use crate::failure::{FailureKind, chain};

/// The type that says most of what is known.
///
/// Where the RFC has none for a kind, it is one that claims no more than the kind does: a refused stream
/// is a `connection_terminated`, as in Envoy, because others would say that nothing was sent.
pub(super) fn error_type(kind: FailureKind, error: &(dyn StdError + 'static)) -> &'static str {
    let read =
        |read: fn(&(dyn StdError + 'static)) -> Option<&'static str>| chain(error).find_map(read);
    match kind {
        FailureKind::Connect => read(connect).unwrap_or("destination_unavailable"),
        FailureKind::ConnectTimeout => "connection_timeout",
        FailureKind::Certificate => "tls_certificate_error",
        FailureKind::Reset => read(tls).unwrap_or("connection_terminated"),
        FailureKind::RefusedStream => "connection_terminated",
        FailureKind::Junk => "http_protocol_error",
        FailureKind::Timeout | FailureKind::Deadline => "http_response_timeout",
        FailureKind::Overload => "connection_limit_reached",
        FailureKind::Request | FailureKind::RequestBody => "http_request_error",
        FailureKind::NoPeer => "destination_unavailable",
        FailureKind::Other => "proxy_internal_error",
    }
}

/// Why there is no connection, as one error of the chain tells.
fn connect(error: &(dyn StdError + 'static)) -> Option<&'static str> {
    // First: what a resolver failed with is an error of `io` too.
    if is_dns(error) {
        return Some("dns_error");
    }
    let by_kind = error.downcast_ref::<io::Error>().map(io::Error::kind);
    match by_kind {
        Some(ErrorKind::ConnectionRefused) => Some("connection_refused"),
        Some(ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable) => {
            Some("destination_ip_unroutable")
        }
        Some(
            ErrorKind::ConnectionReset
            | ErrorKind::ConnectionAborted
            | ErrorKind::BrokenPipe
            | ErrorKind::UnexpectedEof,
        ) => Some("connection_terminated"),
        _ => tls(error),
    }
}

/// Whether it is the connector's of hyper-util, which is reqwest's too, for a name that was not resolved.
///
/// Its type is public only as the connector's, and only its text tells what it is about.
#[cfg(feature = "hyper")]
fn is_dns(error: &(dyn StdError + 'static)) -> bool {
    use hyper_util::client::legacy::connect::HttpConnector;
    use tower_service::Service;
    type ConnectError = <HttpConnector as Service<http::Uri>>::Error;
    let error = error.downcast_ref::<ConnectError>();
    error.is_some_and(|error| error.to_string() == "dns error")
}

#[cfg(not(feature = "hyper"))]
fn is_dns(_: &(dyn StdError + 'static)) -> bool {
    false
}

#[cfg(feature = "rustls")]
fn tls(error: &(dyn StdError + 'static)) -> Option<&'static str> {
    Some(match error.downcast_ref()? {
        rustls::Error::AlertReceived(_) => "tls_alert_received",
        rustls::Error::InvalidCertificate(_) => "tls_certificate_error",
        _ => "tls_protocol_error",
    })
}

#[cfg(not(feature = "rustls"))]
fn tls(_: &(dyn StdError + 'static)) -> Option<&'static str> {
    None
}
