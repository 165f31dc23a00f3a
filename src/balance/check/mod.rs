//! Finding out how the peers are, without traffic.

mod checker;
mod probe;
mod schedule;
mod tally;
mod ward;

use std::time::Duration;

use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, Uri, uri::PathAndQuery,
};

pub use self::checker::Checker;
use self::{schedule::Schedule, tally::Tally};
use crate::{ConfigError, policy::Statuses};

/// A request that shows whether a peer is well, and how its answers are judged.
///
/// [`Balance::health_check`](super::Balance::health_check) sends it to each peer of a set all the time. A peer
/// is well until some checks [in a row](Self::fall) have failed. It is [`Down`](super::State::Down) then, and
/// gets a request only when that has no other peer left, until some [in a row](Self::rise) have passed. Its
/// breaker starts anew with that.
///
/// A check passes when a response head with an expected [status](Self::statuses) comes within the
/// [timeout](Self::timeout). One that is held back by an overload of our own, that no peer was there for (where
/// the endpoint is a balancer too), or that cannot be sent as it is, says nothing of the peer: it neither
/// passes nor fails.
///
/// ```
/// use std::time::Duration;
/// use http::{HeaderValue, header::HOST};
/// use tower_failover::balance::HealthCheck;
///
/// let check = HealthCheck::new("/healthz?deep=1")?
///     .interval(Duration::from_secs(10))?
///     .timeout(Duration::from_secs(1))
///     .statuses("200, 204".parse()?)
///     .header(HOST, HeaderValue::from_static("shop.example"));
/// # Ok::<_, tower_failover::ConfigError>(())
/// ```
#[derive(Clone, Debug)]
pub struct HealthCheck {
    method: Method,
    path: PathAndQuery,
    headers: HeaderMap,
    statuses: Statuses,
    timeout: Duration,
    schedule: Schedule,
    rise: u32,
    fall: u32,
}

impl HealthCheck {
    /// Checks by a GET of this path, which may have a query; it comes to the endpoints as the URI of a proxied
    /// request does, without a scheme and an authority.
    ///
    /// # Errors
    ///
    /// If it is not a path that starts with `/`, or it has a fragment.
    pub fn new(path: &str) -> Result<Self, ConfigError> {
        let parsed = path.parse::<PathAndQuery>().ok();
        // What is parsed leaves a fragment out.
        let same = |parsed: &PathAndQuery| path.starts_with('/') && parsed.as_str() == path;
        let Some(path) = parsed.filter(same) else {
            let expected = "a path, with or without a query, that starts with \"/\"";
            return Err(ConfigError::new("health_check path", path, expected));
        };
        Ok(Self {
            method: Method::GET,
            path,
            headers: HeaderMap::new(),
            statuses: Statuses::none().with_range(200..=299),
            timeout: Duration::from_secs(2),
            schedule: Schedule::default(),
            rise: 2,
            fall: 3,
        })
    }

    /// Sets the method; by default GET.
    ///
    /// A HEAD has no body that a connection must be rid of before it can be used again.
    #[must_use]
    pub fn method(mut self, method: Method) -> Self {
        self.method = method;
        self
    }

    /// Sets a header; by default there are none. `Host` is one that servers of many names need.
    ///
    /// An endpoint does to it what it does to a request's. The body is empty: a header that says otherwise
    /// makes a request that cannot be sent.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    /// Sets the statuses that a check passes with; by default 200 to 299.
    #[must_use]
    pub fn statuses(mut self, statuses: Statuses) -> Self {
        self.statuses = statuses;
        self
    }

    /// Sets the time from the end of a peer's check to its next one, as in Envoy and HAProxy; by default 5 seconds.
    ///
    /// The first one comes sooner: at random within the first second, or within one millisecond for each peer
    /// that came with it, if that is longer; but within one interval.
    ///
    /// # Errors
    ///
    /// If it is zero.
    pub fn interval(mut self, interval: Duration) -> Result<Self, ConfigError> {
        self.schedule = self.schedule.interval(interval)?;
        Ok(self)
    }

    /// Sets by which share of the interval a check comes earlier or later, at random; by default 0.1. It keeps
    /// checks, also those of other processes, from falling into step.
    ///
    /// # Errors
    ///
    /// If it is not from 0 to 0.5, HAProxy's bounds.
    pub fn jitter(mut self, share: f64) -> Result<Self, ConfigError> {
        self.schedule = self.schedule.jitter(share)?;
        Ok(self)
    }

    /// Sets how long a check may take until its response head, the endpoint's readiness and a new connection
    /// included; by default 2 seconds. One that takes longer has failed.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Sets how many checks in a row a peer that is down must pass to be well; by default 2, as in HAProxy. 0 is 1.
    #[must_use]
    pub fn rise(mut self, checks: u32) -> Self {
        self.rise = checks.max(1);
        self
    }

    /// Sets how many checks in a row a peer must fail to be down; by default 3, as in HAProxy. 0 is 1.
    #[must_use]
    pub fn fall(mut self, checks: u32) -> Self {
        self.fall = checks.max(1);
        self
    }

    fn request<B: Default>(&self) -> Request<B> {
        let mut request = Request::new(B::default());
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = Uri::from(self.path.clone());
        *request.headers_mut() = self.headers.clone();
        request
    }

    fn expects(&self, status: StatusCode) -> bool {
        self.statuses.contains(status)
    }

    fn tally(&self) -> Tally {
        Tally::new(self.rise, self.fall)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn path_that_cannot_be_meant_is_named() {
        for wrong in ["", "health", "http://a/health", "*", "/a b", "/a#b", "?a"] {
            let error = HealthCheck::new(wrong).unwrap_err();
            assert_eq!(
                (error.setting(), error.value()),
                ("health_check path", wrong)
            );
        }
    }

    #[test]
    fn path_and_query_are_kept() {
        for path in ["/", "/health", "/health?deep=1&x", "//a"] {
            let request = HealthCheck::new(path).unwrap().request::<()>();
            assert_eq!(request.uri(), path);
            assert_eq!(request.method(), Method::GET);
        }
    }

    #[test]
    fn expected_are_2xx_unless_others_are_set() {
        let check = HealthCheck::new("/").unwrap();
        let expects = |check: &HealthCheck| {
            let statuses = [199, 200, 299, 300, 503].map(|n| StatusCode::from_u16(n).unwrap());
            statuses.map(|status| check.expects(status))
        };
        assert_eq!(expects(&check), [false, true, true, false, false]);
        let check = check.statuses("503".parse().unwrap());
        assert_eq!(expects(&check), [false, false, false, false, true]);
    }
}
