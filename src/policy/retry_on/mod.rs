//! On what a request is tried again.

mod error;
mod failures;
mod grpc;
mod headers;
#[cfg(test)]
pub(super) mod samples;
mod text;
mod vocabulary;

use http::{HeaderName, HeaderValue, StatusCode, response};

pub use self::error::ParseRetryOnError;
use self::{
    failures::Failures,
    grpc::GrpcCodes,
    headers::{Header, Headers},
};
use super::{GrpcCode, Statuses};
use crate::failure::Failure;

/// The failures and responses after which a request is tried again.
///
/// It is built by its setters or read from a comma-separated list, as people keep it in
/// configuration; an empty list is no condition at all:
///
/// ```
/// use tower_failover::policy::RetryOn;
///
/// let list: RetryOn = "connect-failure,reset,503,header:x-retry=yes".parse()?;
/// assert_eq!(list.to_string(), "connect-failure,reset,503,header:x-retry=yes");
/// assert_eq!("".parse::<RetryOn>()?, RetryOn::none());
/// assert!("connect-failure,restart".parse::<RetryOn>().is_err());
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
///
/// | entry | when |
/// |---|---|
/// | `connect-failure` | nothing was sent: no connection, or the service was not ready |
/// | `connect-error` | the same, for any reason but time |
/// | `connect-timeout` | the same, for want of time |
/// | `refused-stream` | HTTP/2 REFUSED_STREAM, or GOAWAY below the stream |
/// | `reset` | closed, reset or failed without a response head |
/// | `reset-reused` | the same, only on a connection that had served a response before |
/// | `timeout` | no response head within the per-try timeout |
/// | `junk-response` | what came is not HTTP |
/// | `503`, any number | that status, 100 to 999 |
/// | `5xx`, `1xx` to `9xx` | any status of that class |
/// | `500-504` | any status from the first to the last |
/// | `gateway-error` | status 502, 503 or 504 |
/// | `header:NAME`, `header:NAME=VALUE` | the response has that header, with that value |
/// | `grpc:CODE` | the response has that gRPC status: a [name or a number](GrpcCode) |
/// | `unless-header:NAME`, `unless-header:NAME=VALUE` | not on this list, whatever else matches: the response has that header |
///
/// Never on any list: a certificate that is not the peer's, a request that cannot be sent as it is, and
/// a request body that failed.
///
/// # The text
///
/// Order, duplicates and space around an entry are no difference. Words are in lower case, as HAProxy
/// and Envoy have it; header names are in any. An entry that is empty is an error, wherever it stands.
/// In a VALUE `%2C` is a comma, and `%25` a percent sign. The text that is written is the shortest one
/// that reads back as the same list.
///
/// A gRPC status is looked for in the response's head, where it stands when no message came before it,
/// or below a [`PeekLayer`](crate::peek::PeekLayer) in trailers that came first; and it counts only if it
/// stands there once.
#[derive(Clone, PartialEq, Eq)]
pub struct RetryOn {
    failures: Failures,
    statuses: Statuses,
    headers: Headers,
    grpc: GrpcCodes,
    unless: Headers,
}

impl RetryOn {
    /// Nothing.
    pub const fn none() -> Self {
        Self {
            failures: Failures::NONE,
            statuses: Statuses::none(),
            headers: Headers::none(),
            grpc: GrpcCodes::none(),
            unless: Headers::none(),
        }
    }

    /// Adds `connect-failure`: both `connect-error` and `connect-timeout`.
    #[must_use]
    pub const fn connect_failure(self) -> Self {
        self.and_failures(Failures::CONNECT_FAILURE)
    }

    /// Adds `connect-error`.
    #[must_use]
    pub const fn connect_error(self) -> Self {
        self.and_failures(Failures::CONNECT_ERROR)
    }

    /// Adds `connect-timeout`.
    #[must_use]
    pub const fn connect_timeout(self) -> Self {
        self.and_failures(Failures::CONNECT_TIMEOUT)
    }

    /// Adds `refused-stream`.
    #[must_use]
    pub const fn refused_stream(self) -> Self {
        self.and_failures(Failures::REFUSED_STREAM)
    }

    /// Adds `reset`.
    #[must_use]
    pub const fn reset(self) -> Self {
        self.and_failures(Failures::RESET)
    }

    /// Adds `reset-reused`.
    #[must_use]
    pub const fn reset_reused(self) -> Self {
        self.and_failures(Failures::RESET_REUSED)
    }

    /// Adds `timeout`.
    #[must_use]
    pub const fn timeout(self) -> Self {
        self.and_failures(Failures::TIMEOUT)
    }

    /// Adds `junk-response`.
    #[must_use]
    pub const fn junk_response(self) -> Self {
        self.and_failures(Failures::JUNK_RESPONSE)
    }

    /// Adds a status.
    #[must_use]
    pub const fn status(mut self, status: StatusCode) -> Self {
        self.statuses = self.statuses.with(status);
        self
    }

    /// Adds statuses: a set of them, or a range such as `500..=599`.
    #[must_use]
    pub fn statuses(mut self, statuses: impl Into<Statuses>) -> Self {
        self.statuses = self.statuses.union(statuses.into());
        self
    }

    /// Adds `gateway-error`.
    #[must_use]
    pub const fn gateway_error(mut self) -> Self {
        self.statuses = self.statuses.with_range(502..=504);
        self
    }

    /// Adds a response header, with any value or with one.
    #[must_use]
    pub fn header(self, name: HeaderName, value: Option<HeaderValue>) -> Self {
        self.and_header(Header { name, value })
    }

    /// Adds a gRPC status.
    #[must_use]
    pub const fn grpc(mut self, code: GrpcCode) -> Self {
        self.grpc = self.grpc.and(code);
        self
    }

    /// Adds `unless-header`: a response with that header does not match, whatever else does. It says nothing
    /// of another policy [beside this one](crate::policy::PolicyExt::or).
    #[must_use]
    pub fn unless_header(self, name: HeaderName, value: Option<HeaderValue>) -> Self {
        self.and_unless(Header { name, value })
    }

    /// Whether nothing is ever tried again: there is no condition, or only an `unless-header`.
    pub fn is_none(&self) -> bool {
        self.failures.is_none() && !self.has_responses()
    }

    /// Whether any response is tried again.
    pub(super) fn has_responses(&self) -> bool {
        !(self.statuses.is_none() && self.headers.is_none() && self.grpc.is_none())
    }

    const fn and_failures(mut self, failures: Failures) -> Self {
        self.failures = self.failures.and(failures);
        self
    }

    fn and_header(mut self, header: Header) -> Self {
        self.headers.insert(header);
        self
    }

    fn and_unless(mut self, header: Header) -> Self {
        self.unless.insert(header);
        self
    }

    pub(super) fn matches_failure(&self, failure: &Failure) -> bool {
        self.failures.has_any(Failures::met_by(failure))
    }

    pub(super) fn matches_response(&self, response: &response::Parts) -> bool {
        let matches = self.statuses.contains(response.status)
            || self.headers.any_in(&response.headers)
            || self.grpc.any_in(response);
        matches && !self.unless.any_in(&response.headers)
    }
}

impl Default for RetryOn {
    /// `connect-failure,refused-stream,reset,timeout,gateway-error`.
    fn default() -> Self {
        Self::none()
            .connect_failure()
            .refused_stream()
            .reset()
            .timeout()
            .gateway_error()
    }
}

#[cfg(test)]
mod tests;
