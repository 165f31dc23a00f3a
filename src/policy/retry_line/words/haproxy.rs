use http::StatusCode;

use super::Word;
use crate::policy::RetryOn;

pub(in super::super) const NAME: &str = "HAProxy";
pub(in super::super) const NONE: &str = "none";

pub(in super::super) const WORDS: &[Word] = &[
    (NONE, |list| list),
    ("conn-failure", RetryOn::connect_failure),
    ("empty-response", empty_response),
    ("junk-response", RetryOn::junk_response),
    ("response-timeout", RetryOn::timeout),
    ("0rtt-rejected", |list| list),
    ("401", |list| list.status(StatusCode::UNAUTHORIZED)),
    ("403", |list| list.status(StatusCode::FORBIDDEN)),
    ("404", |list| list.status(StatusCode::NOT_FOUND)),
    ("408", |list| list.status(StatusCode::REQUEST_TIMEOUT)),
    ("421", |list| list.status(StatusCode::MISDIRECTED_REQUEST)),
    ("425", |list| list.status(StatusCode::TOO_EARLY)),
    ("429", |list| list.status(StatusCode::TOO_MANY_REQUESTS)),
    ("500", |list| list.status(StatusCode::INTERNAL_SERVER_ERROR)),
    ("501", |list| list.status(StatusCode::NOT_IMPLEMENTED)),
    ("502", |list| list.status(StatusCode::BAD_GATEWAY)),
    ("503", |list| list.status(StatusCode::SERVICE_UNAVAILABLE)),
    ("504", |list| list.status(StatusCode::GATEWAY_TIMEOUT)),
    ("all-retryable-errors", |list| {
        let list = empty_response(list).connect_failure().junk_response();
        let list = list.timeout().gateway_error();
        list.status(StatusCode::INTERNAL_SERVER_ERROR)
    }),
];

/// A stream that is reset has brought nothing, whatever the reason.
const fn empty_response(list: RetryOn) -> RetryOn {
    list.reset().refused_stream()
}
