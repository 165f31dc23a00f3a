//! What a retry line of another proxy's configuration means here.

mod beside;
mod envoy;
mod error;
mod haproxy;
mod list;
mod nginx;
mod split;
#[cfg(test)]
mod tests;
mod words;

use std::time::Duration;

use http::HeaderMap;

pub use self::{envoy::Envoy, error::ParseRetryLineError};
use super::{NonIdempotent, RetryAfter, RetryOn, Standard};
use crate::limits::Backoff;

/// A retry line of nginx, HAProxy or Envoy: on what, how often and how it tries again.
///
/// ```
/// use tower_failover::{FailoverLayer, policy::RetryLine};
///
/// let line = RetryLine::nginx("proxy_next_upstream error timeout http_503;")?;
/// assert_eq!(
///     line.retry_on().to_string(),
///     "connect-failure,refused-stream,reset,timeout,503"
/// );
/// let layer = FailoverLayer::from(line);
/// # Ok::<_, tower_failover::policy::ParseRetryLineError>(())
/// ```
///
/// What a line does not say is as that proxy has it by default:
///
/// | | attempts | a tried peer | before it | not safe to repeat |
/// |---|---|---|---|---|
/// | nginx | each peer once | never again | | once sent, not repeated |
/// | HAProxy | 4: `retries 3` | may be used again | up to 1 s: its turn-around time, drawn evenly | repeated |
/// | Envoy | 2: `num_retries: 1` | may be used again | up to 25 ms, doubled to 250 ms | repeated |
///
/// None of them heeds `Retry-After` where a line is all that is set; nor do these policies, until
/// [`Standard::retry_after`] says otherwise.
///
/// A line that never tries again (`off`, `none`, an empty `retry_on`) allows one attempt.
///
/// # Beside it
///
/// What stands in lines of its own there is set on the [layer](crate::FailoverLayer) or the
/// [policy](Standard) here:
///
/// | | there | here |
/// |---|---|---|
/// | nginx | `proxy_next_upstream_tries N` | [`max_attempts(N)`](crate::FailoverLayer::max_attempts) |
/// | | `proxy_next_upstream_timeout T` | [`retry_window(T)`](crate::FailoverLayer::retry_window); 0 is no limit there, and is not set here |
/// | | `proxy_read_timeout T` | [`per_try_timeout(T)`](crate::FailoverLayer::per_try_timeout) |
/// | HAProxy | `retries N` | [`max_attempts(N + 1)`](crate::FailoverLayer::max_attempts) |
/// | | `option redispatch` | nothing, that is how it is; without it [`retries_per_peer`](Standard::retries_per_peer) |
/// | | `timeout server T` | [`per_try_timeout(T)`](crate::FailoverLayer::per_try_timeout) |
/// | Envoy | `num_retries` | [`Envoy::num_retries`] |
/// | | `retry_back_off` | [`Standard::backoff`] |
/// | | `per_try_timeout` | [`per_try_timeout`](crate::FailoverLayer::per_try_timeout) |
///
/// **Without a [`per_try_timeout`](crate::FailoverLayer::per_try_timeout) a peer that hangs is waited
/// for**: `timeout`, `response-timeout` and half of `5xx` then never happen. nginx gives a peer 60 s where
/// nothing else is said.
///
/// nginx and HAProxy have no retry [budget](crate::FailoverLayer::budget), and the layer has one of 20 % of
/// the requests. [`Budget::new(1.0, 10)`](crate::limits::Budget::new), a retry for each request, comes near
/// to what they do.
///
/// A change of the policy goes onto the line's own, and the layer is the line's:
///
/// ```
/// # use std::{iter, time::Duration};
/// # use tower_failover::{FailoverLayer, policy::RetryLine};
/// # let line = RetryLine::haproxy("conn-failure 503")?;
/// let policy = line.policy().clone().backoff(|| iter::repeat(Duration::from_millis(100)));
/// let layer = FailoverLayer::from(line).policy(policy).per_try_timeout(Duration::from_secs(5));
/// # Ok::<_, tower_failover::policy::ParseRetryLineError>(())
/// ```
///
/// `FailoverLayer::new(line.policy().clone())` would lose the line's attempts.
///
/// # Where it differs
///
/// - An untried peer comes first, at once. HAProxy goes back to the same server unless `option redispatch`
///   is set, and Envoy may pick the same host.
/// - nginx withholds POST, LOCK and PATCH once they were sent; here it is every request that is not
///   [safe to repeat](super::Attempt::is_safe_to_repeat).
/// - A certificate that is not the peer's is never retried. nginx (`error`) and Envoy do, and HAProxy but
///   for a name that does not match.
/// - What provably was not sent counts as not connected: a request that was still in the queue of a
///   connection that died, and one that a peer's own limit refused, which Envoy never retries. Envoy's
///   `reset-before-request` looks at all attempts of a request; here only at the one that failed.
/// - A refused stream is tried again wherever resets are: the protocol proves that nothing was processed.
///   nginx reads any RST_STREAM as `invalid_header`; here only that one is, and others are an `error`.
/// - HAProxy waits its turn-around time only after a failure to connect; here it is waited before any tried
///   peer.
/// - nginx relays what does not begin with a status line as HTTP/0.9; here it is junk.
/// - HAProxy repeats no request that does not fit into one of its buffers (16 kB); here the layer's
///   [replay cap](crate::FailoverLayer::replay_cap) decides.
/// - The layer's other limits stay: its retry [budget](crate::FailoverLayer::budget) above all, which
///   nginx and HAProxy do not have.
#[derive(Clone, Debug)]
#[must_use]
pub struct RetryLine {
    conditions: Conditions,
    policy: Standard,
    max_attempts: u32,
}

/// What a line says to the policy.
#[derive(Clone, Debug)]
struct Conditions {
    retry_on: RetryOn,
    non_idempotent: NonIdempotent,
    reuse_tried: bool,
    /// The longest delay before the first retry, and before any.
    backoff: (Duration, Duration),
}

impl RetryLine {
    /// Reads `proxy_next_upstream` of nginx, or the same of `grpc_`, `fastcgi_`, `uwsgi_` and `scgi_`.
    ///
    /// It is the whole directive or its words alone, which then are those of `proxy_`. Words are set apart
    /// by any space, may stand in quotes, and are in any case, as there; comments are read over, and
    /// nothing else may follow the semicolon.
    ///
    /// | word | what it becomes |
    /// |---|---|
    /// | `error` | `connect-error`, `refused-stream`, `reset` |
    /// | `timeout` | `connect-timeout`, `timeout` |
    /// | `invalid_header` | `junk-response`, `refused-stream` |
    /// | `http_403`, `http_404`, `http_429`, `http_500`, `http_502`, `http_503`, `http_504` | that status |
    /// | `non_idempotent` | [`NonIdempotent::Always`](super::NonIdempotent::Always) |
    /// | `updating` | nothing: it is about caches |
    /// | `off` | nothing at all, whatever else stands there |
    ///
    /// `http_502` and `http_504` are no words of `fastcgi_`, `uwsgi_` and `scgi_`, nor is `updating` one of
    /// `grpc_`.
    ///
    /// # Errors
    ///
    /// A word is unknown, or there is none.
    pub fn nginx(line: &str) -> Result<Self, ParseRetryLineError> {
        nginx::read(line)
    }

    /// Reads `retry-on` of HAProxy, the whole line or its words alone.
    ///
    /// Words are set apart by any space, may stand in quotes, and are in lower case, as there; comments
    /// are read over.
    ///
    /// | word | what it becomes |
    /// |---|---|
    /// | `conn-failure` | `connect-failure` |
    /// | `empty-response` | `reset`, `refused-stream` |
    /// | `junk-response` | `junk-response` |
    /// | `response-timeout` | `timeout` |
    /// | `0rtt-rejected` | nothing: no early data is ever sent, so none is rejected |
    /// | `401`, `403`, `404`, `408`, `421`, `425`, `429`, `500` to `504` | that status |
    /// | `all-retryable-errors` | all of the failures above, and 500, 502, 503, 504 |
    /// | `none` | nothing; no other word may stand beside it |
    ///
    /// A response whose head broke off in the middle is junk for HAProxy from 2.8 on, and empty for 2.6. The
    /// errors of HTTP clients here do not tell it from an empty one: it is a `reset`.
    ///
    /// # Errors
    ///
    /// A word is unknown (so is any other status), there is none, or `none` is not alone.
    pub fn haproxy(line: &str) -> Result<Self, ParseRetryLineError> {
        haproxy::read(line)
    }

    /// Reads `retry_on` of Envoy; [`Envoy`] reads it with the lists that go with it.
    ///
    /// Words are set apart by commas and are in lower case, as there; empty entries are none.
    ///
    /// | word | what it becomes |
    /// |---|---|
    /// | `5xx` | any failure; 500 to 599 |
    /// | `gateway-error` | any failure; 502, 503, 504 |
    /// | `reset` | any failure |
    /// | `reset-before-request`, `connect-failure` | `connect-failure` |
    /// | `refused-stream` | `refused-stream` |
    /// | `retriable-4xx` | 409 |
    /// | `retriable-status-codes` | those of [`Envoy::retriable_status_codes`] |
    /// | `retriable-headers` | those of [`Envoy::retriable_header_names`] |
    /// | `envoy-ratelimited` | a response with `x-envoy-ratelimited` |
    /// | `cancelled`, `deadline-exceeded`, `internal`, `resource-exhausted`, `unavailable` | that gRPC status |
    ///
    /// "Any failure" is `connect-failure`, `refused-stream`, `reset`, `timeout` and `junk-response`: to
    /// Envoy, whatever ends without a response is a reset of the stream, and counts as a 5xx and as a
    /// gateway error.
    ///
    /// A response with `x-envoy-ratelimited` is not tried again unless `envoy-ratelimited` is on the
    /// line, whatever else is.
    ///
    /// # Errors
    ///
    /// A word is unknown, where Envoy reads over it; `retriable-status-codes` or `retriable-headers` is
    /// there without its list; or `http3-post-connect-failure` is there: nothing is sent over HTTP/3.
    pub fn envoy(line: &str) -> Result<Self, ParseRetryLineError> {
        Envoy::new().retry_on(line).line()
    }

    /// Reads what a request asks for in the headers of Envoy: `x-envoy-retry-on`,
    /// `x-envoy-retry-grpc-on`, `x-envoy-max-retries`, `x-envoy-retriable-status-codes` and
    /// `x-envoy-retriable-header-names`. Without one of the first two it asks for nothing: `None`.
    ///
    /// Believe them only from clients that you trust, and remove them before the request goes on: they can
    /// ask for any number of attempts, and for a POST to be repeated.
    ///
    /// # Errors
    ///
    /// As [`envoy`](Self::envoy). Envoy reads over what it does not know, unless it is told to check
    /// headers strictly; so may the caller.
    pub fn from_envoy_headers(headers: &HeaderMap) -> Result<Option<Self>, ParseRetryLineError> {
        envoy::from_request(headers)
    }

    fn new(conditions: Conditions, attempts: u32) -> Self {
        let Conditions {
            retry_on,
            non_idempotent,
            reuse_tried,
            backoff: (base, max),
        } = &conditions;
        // `max` is not shorter than `base` anywhere.
        let backoff = Backoff::new(*base, *max).unwrap_or_default();
        let policy = Standard::new(retry_on.clone())
            .non_idempotent(*non_idempotent)
            .reuse_tried(*reuse_tried)
            .backoff(backoff)
            .retry_after(RetryAfter::IGNORED);
        Self {
            max_attempts: if retry_on.is_none() { 1 } else { attempts },
            policy,
            conditions,
        }
    }

    /// The line in our own words.
    pub fn retry_on(&self) -> &RetryOn {
        &self.conditions.retry_on
    }

    /// What becomes of requests that are not safe to repeat. See [`Standard::non_idempotent`].
    pub fn non_idempotent(&self) -> NonIdempotent {
        self.conditions.non_idempotent
    }

    /// Whether a tried peer may be used again. See [`Standard::reuse_tried`].
    pub fn reuse_tried(&self) -> bool {
        self.conditions.reuse_tried
    }

    /// The longest delay before the first retry, and before any.
    #[cfg(feature = "serde")]
    pub(crate) fn backoff_bounds(&self) -> (Duration, Duration) {
        self.conditions.backoff
    }

    /// The policy that does as the line says.
    pub fn policy(&self) -> &Standard {
        &self.policy
    }

    /// The attempts that a request may take, the first included; 0 is each peer once. See
    /// [`FailoverLayer::max_attempts`](crate::FailoverLayer::max_attempts).
    pub fn max_attempts(&self) -> u32 {
        self.max_attempts
    }
}
