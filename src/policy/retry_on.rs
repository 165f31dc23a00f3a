use std::{error::Error as StdError, fmt, ops::RangeInclusive, str::FromStr};

use http::{HeaderName, HeaderValue, StatusCode, response};

use crate::failure::{Failure, FailureKind, Stage};

/// The failures and responses after which a request is tried again.
///
/// It is built by its setters or read from a comma-separated list, as people keep it in
/// configuration; an empty list is no condition at all:
///
/// ```
/// use tower_failover::policy::RetryOn;
///
/// let list: RetryOn = "connect-failure,reset,503,header:x-retry=yes".parse()?;
/// assert_ne!(list, RetryOn::default());
/// assert_eq!("".parse::<RetryOn>()?, RetryOn::none());
/// assert!("connect-failure,restart".parse::<RetryOn>().is_err());
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
///
/// | word | when |
/// |---|---|
/// | `connect-failure` | nothing was sent: no connection, or the service was not ready |
/// | `reset` | closed, reset or failed without a response head |
/// | `reset-reused` | the same, only on a connection that had served a response before |
/// | `timeout` | no response head within the per-try timeout |
/// | `junk-response` | what came is not HTTP |
/// | `refused-stream` | HTTP/2 REFUSED_STREAM, or GOAWAY below the stream |
/// | `5xx` | status 500 to 599 |
/// | `gateway-error` | status 502, 503 or 504 |
/// | `503`, any number | that status, 100 to 999 |
/// | `header:NAME`, `header:NAME=VALUE` | the response has that header, with that value |
/// | `grpc:CODE` | the response head has that `grpc-status` |
///
/// Never on any list: a certificate that is not the peer's, a request that cannot be sent as it is, and
/// a request body that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RetryOn {
    connect_failure: bool,
    reset: bool,
    reset_reused: bool,
    timeout: bool,
    junk_response: bool,
    refused_stream: bool,
    statuses: Vec<RangeInclusive<u16>>,
    headers: Vec<(HeaderName, Option<HeaderValue>)>,
}

impl RetryOn {
    /// Nothing.
    pub const fn none() -> Self {
        Self {
            connect_failure: false,
            reset: false,
            reset_reused: false,
            timeout: false,
            junk_response: false,
            refused_stream: false,
            statuses: Vec::new(),
            headers: Vec::new(),
        }
    }

    /// Adds `connect-failure`.
    #[must_use]
    pub fn connect_failure(mut self) -> Self {
        self.connect_failure = true;
        self
    }

    /// Adds `reset`.
    #[must_use]
    pub fn reset(mut self) -> Self {
        self.reset = true;
        self
    }

    /// Adds `reset-reused`.
    #[must_use]
    pub fn reset_reused(mut self) -> Self {
        self.reset_reused = true;
        self
    }

    /// Adds `timeout`.
    #[must_use]
    pub fn timeout(mut self) -> Self {
        self.timeout = true;
        self
    }

    /// Adds `junk-response`.
    #[must_use]
    pub fn junk_response(mut self) -> Self {
        self.junk_response = true;
        self
    }

    /// Adds `refused-stream`.
    #[must_use]
    pub fn refused_stream(mut self) -> Self {
        self.refused_stream = true;
        self
    }

    /// Adds a status.
    #[must_use]
    pub fn status(self, status: StatusCode) -> Self {
        self.statuses(status.as_u16()..=status.as_u16())
    }

    /// Adds a range of statuses, such as `500..=599`.
    #[must_use]
    pub fn statuses(mut self, range: RangeInclusive<u16>) -> Self {
        self.statuses.push(range);
        self
    }

    /// Adds `gateway-error`.
    #[must_use]
    pub fn gateway_error(self) -> Self {
        self.statuses(502..=504)
    }

    /// Adds a response header, with any value or with one.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: Option<HeaderValue>) -> Self {
        self.headers.push((name, value));
        self
    }

    /// Adds a gRPC status code in the response head.
    #[must_use]
    pub fn grpc(self, code: u32) -> Self {
        let name = HeaderName::from_static("grpc-status");
        self.header(name, Some(HeaderValue::from(code)))
    }

    pub(super) fn matches_failure(&self, failure: &Failure) -> bool {
        match failure.kind() {
            FailureKind::Certificate | FailureKind::Request | FailureKind::RequestBody => false,
            FailureKind::RefusedStream => self.refused_stream,
            FailureKind::Timeout => self.timeout,
            FailureKind::Junk => self.junk_response,
            FailureKind::Reset if self.reset => true,
            _ if failure.stage() == Stage::NotSent => self.connect_failure,
            _ => self.reset || (self.reset_reused && failure.connection_reused() == Some(true)),
        }
    }

    pub(super) fn matches_response(&self, response: &response::Parts) -> bool {
        let status = response.status.as_u16();
        let has = |(name, value): &(HeaderName, Option<HeaderValue>)| {
            let mut found = response.headers.get_all(name).iter();
            match value {
                Some(value) => found.any(|found| found == value),
                None => found.next().is_some(),
            }
        };
        self.statuses.iter().any(|range| range.contains(&status)) || self.headers.iter().any(has)
    }

    fn with_word(self, word: &str) -> Option<Self> {
        Some(match word {
            "connect-failure" => self.connect_failure(),
            "reset" => self.reset(),
            "reset-reused" => self.reset_reused(),
            "timeout" => self.timeout(),
            "junk-response" => self.junk_response(),
            "refused-stream" => self.refused_stream(),
            "5xx" => self.statuses(500..=599),
            "gateway-error" => self.gateway_error(),
            _ => match word.split_once(':') {
                Some(("header", header)) => {
                    let (name, value) = match header.split_once('=') {
                        Some((name, value)) => (name, Some(value.parse().ok()?)),
                        None => (header, None),
                    };
                    self.header(name.parse().ok()?, value)
                }
                Some(("grpc", code)) => self.grpc(code.parse().ok()?),
                Some(_) => return None,
                None => self.status(word.parse().ok()?),
            },
        })
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

impl FromStr for RetryOn {
    type Err = ParseRetryOnError;

    fn from_str(list: &str) -> Result<Self, Self::Err> {
        if list.trim().is_empty() {
            return Ok(Self::none());
        }
        let mut words = list.split(',').map(str::trim).enumerate();
        words.try_fold(Self::none(), |set, (index, word)| {
            set.with_word(word).ok_or_else(|| ParseRetryOnError {
                word: word.to_owned(),
                position: index + 1,
            })
        })
    }
}

/// A word of a [`RetryOn`] list that means nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseRetryOnError {
    word: String,
    position: usize,
}

impl ParseRetryOnError {
    /// The word.
    pub fn word(&self) -> &str {
        &self.word
    }

    /// Its place in the list, counted from 1.
    pub fn position(&self) -> usize {
        self.position
    }
}

impl fmt::Display for ParseRetryOnError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { word, position } = self;
        write!(
            f,
            "entry {position}, `{word}`, is none of connect-failure, reset, reset-reused, timeout, \
             junk-response, refused-stream, 5xx, gateway-error, a status from 100 to 999, \
             header:NAME, header:NAME=VALUE, grpc:CODE"
        )
    }
}

impl StdError for ParseRetryOnError {}

#[cfg(test)]
mod tests {
    use http::Response;

    use super::*;
    use crate::failure::Evidence;

    fn list(list: &str) -> RetryOn {
        list.parse().unwrap()
    }

    fn failure(kind: FailureKind) -> Failure {
        let stage = match kind {
            FailureKind::Connect | FailureKind::Overload | FailureKind::Certificate => {
                Stage::NotSent
            }
            FailureKind::RefusedStream => Stage::Refused,
            _ => Stage::MaybeProcessed,
        };
        Failure::new(Evidence { stage, kind }, None)
    }

    fn answers(list: &str, status: u16, header: (&str, &str)) -> bool {
        let response = Response::builder()
            .status(status)
            .header(header.0, header.1);
        let (parts, ()) = response.body(()).unwrap().into_parts();
        super::RetryOn::from_str(list)
            .unwrap()
            .matches_response(&parts)
    }

    #[test]
    fn each_word_matches_its_failure_and_no_other() {
        let words = [
            ("connect-failure", FailureKind::Connect),
            ("reset", FailureKind::Reset),
            ("timeout", FailureKind::Timeout),
            ("junk-response", FailureKind::Junk),
            ("refused-stream", FailureKind::RefusedStream),
        ];
        for (word, _) in words {
            for (other, kind) in words {
                let matches = list(word).matches_failure(&failure(kind));
                assert_eq!(matches, word == other, "{word} on {kind}");
            }
        }
    }

    #[test]
    fn reset_reused_needs_a_reused_connection() {
        let reset = || failure(FailureKind::Reset);
        let list = list("reset-reused");
        assert!(list.matches_failure(&reset().on_connection(Some(true))));
        assert!(!list.matches_failure(&reset().on_connection(Some(false))));
        assert!(!list.matches_failure(&reset()));
    }

    #[test]
    fn no_list_holds_a_bad_certificate_or_a_failed_request_body() {
        let list = list("connect-failure,reset,timeout,junk-response,refused-stream");
        for kind in [FailureKind::Certificate, FailureKind::RequestBody] {
            assert!(!list.matches_failure(&failure(kind)), "{kind}");
        }
    }

    #[test]
    fn statuses_match_exactly() {
        let none = ("x", "y");
        assert!(answers("5xx", 500, none) && answers("5xx", 599, none));
        assert!(!answers("5xx", 499, none) && !answers("5xx", 600, none));
        assert!(answers("gateway-error", 502, none) && answers("gateway-error", 504, none));
        assert!(!answers("gateway-error", 501, none) && !answers("gateway-error", 505, none));
        assert!(answers("404, 429", 429, none) && !answers("404, 429", 403, none));
    }

    #[test]
    fn headers_match_by_name_or_by_value() {
        assert!(answers("header:X-Retry", 200, ("x-retry", "no")));
        assert!(answers("header:x-retry=yes", 200, ("x-retry", "yes")));
        assert!(!answers("header:x-retry=yes", 200, ("x-retry", "no")));
        assert!(!answers("header:x-retry", 200, ("x-other", "yes")));
        assert!(answers("grpc:14", 200, ("grpc-status", "14")));
        assert!(!answers("grpc:14", 200, ("grpc-status", "0")));
    }

    #[test]
    fn wrong_word_is_named_with_its_position() {
        let wrong = [
            ("reset,,503", 2, ""),
            ("reset,rest", 2, "rest"),
            ("99", 1, "99"),
            ("header:", 1, "header:"),
            ("grpc:x", 1, "grpc:x"),
            ("5xx,status:503", 2, "status:503"),
        ];
        for (text, position, word) in wrong {
            let error = text.parse::<RetryOn>().unwrap_err();
            assert_eq!((error.position, error.word.as_str()), (position, word));
            let start = format!("entry {position}, `{word}`, is none of connect-failure");
            assert!(error.to_string().starts_with(&start), "{error}");
        }
    }
}
