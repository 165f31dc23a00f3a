use http::{HeaderName, StatusCode};

use super::Word;
use crate::policy::{GrpcCode, RetryOn};

pub(in super::super) const NAME: &str = "Envoy";

pub(in super::super) const STATUS_CODES: &str = "retriable-status-codes";
pub(in super::super) const HEADERS: &str = "retriable-headers";
pub(in super::super) const RATE_LIMITED: &str = "envoy-ratelimited";
pub(in super::super) const HTTP3: &str = "http3-post-connect-failure";

/// The response header that it answers with to whom it limits.
pub(in super::super) const RATE_LIMITED_HEADER: HeaderName =
    HeaderName::from_static("x-envoy-ratelimited");

/// The words of `retry_on`; what those without a condition mean depends on another list.
pub(in super::super) const WORDS: &[Word] = &[
    ("5xx", |list| any_failure(list).statuses(500..=599)),
    ("gateway-error", |list| any_failure(list).gateway_error()),
    ("reset", any_failure),
    ("reset-before-request", RetryOn::connect_failure),
    ("connect-failure", RetryOn::connect_failure),
    (RATE_LIMITED, |list| list.header(RATE_LIMITED_HEADER, None)),
    ("retriable-4xx", |list| list.status(StatusCode::CONFLICT)),
    ("refused-stream", RetryOn::refused_stream),
    (STATUS_CODES, |list| list),
    (HEADERS, |list| list),
    (HTTP3, |list| list),
];

pub(in super::super) const GRPC_WORDS: &[Word] = &[
    ("cancelled", |list| list.grpc(GrpcCode::Cancelled)),
    ("deadline-exceeded", |list| {
        list.grpc(GrpcCode::DeadlineExceeded)
    }),
    ("internal", |list| list.grpc(GrpcCode::Internal)),
    ("resource-exhausted", |list| {
        list.grpc(GrpcCode::ResourceExhausted)
    }),
    ("unavailable", |list| list.grpc(GrpcCode::Unavailable)),
];

/// Every end without a response is a reset of the stream, and counts as the 503 that it leads to.
const fn any_failure(list: RetryOn) -> RetryOn {
    list.connect_failure()
        .refused_stream()
        .reset()
        .timeout()
        .junk_response()
}
