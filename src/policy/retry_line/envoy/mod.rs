//! `retry_on` of Envoy and the lists that go with it.
//!
//! Read in source/common/router: retry_state_impl.cc (`parseRetryOn`, `wouldRetryFromHeaders`,
//! `wouldRetryFromReset`), retry_policy_impl.cc, and router.cc (`maybeRetryReset`).

mod names;
mod request;
mod text;

use std::time::Duration;

use http::{HeaderName, StatusCode};

pub(super) use self::request::from_request;
use self::{
    names::{CONFIGURATION, Names, REQUEST},
    text::{entries, unbracketed, value},
};
use super::{
    super::{NonIdempotent, RetryOn, Statuses},
    Conditions, ParseRetryLineError, RetryLine, beside,
    error::Fault,
    list::List,
    words::{
        Word,
        envoy::{
            GRPC_WORDS, HEADERS, HTTP3, NAME, RATE_LIMITED, RATE_LIMITED_HEADER, STATUS_CODES,
            WORDS,
        },
    },
};

/// A retry policy of Envoy's: the line `retry_on` and the lists that go with it.
///
/// Each is given as it stands in a configuration, and read by [`line`](Self::line). Quotes around a
/// value and its key before it (`retry_on: "5xx"`, Istio's `retryOn: 5xx`) are read over, and so are
/// empty entries of a list.
///
/// ```
/// use tower_failover::policy::Envoy;
///
/// let line = Envoy::new()
///     .retry_on("connect-failure,retriable-status-codes,unavailable")
///     .retriable_status_codes("503,429")
///     .num_retries("3")
///     .line()?;
/// assert_eq!(
///     line.retry_on().to_string(),
///     "connect-failure,429,503,grpc:unavailable,unless-header:x-envoy-ratelimited"
/// );
/// assert_eq!(line.max_attempts(), 4);
/// # Ok::<_, tower_failover::policy::ParseRetryLineError>(())
/// ```
///
/// What each word means stands at [`RetryLine::envoy`].
#[derive(Clone, Debug)]
#[must_use]
pub struct Envoy {
    names: Names,
    retry_on: String,
    retry_grpc_on: String,
    num_retries: String,
    retriable_status_codes: String,
    retriable_header_names: String,
}

impl Envoy {
    /// One retry, on nothing yet.
    pub const fn new() -> Self {
        Self::named(CONFIGURATION)
    }

    const fn named(names: Names) -> Self {
        Self {
            names,
            retry_on: String::new(),
            retry_grpc_on: String::new(),
            num_retries: String::new(),
            retriable_status_codes: String::new(),
            retriable_header_names: String::new(),
        }
    }

    /// Sets `retry_on`, which in a configuration holds gRPC's words as well.
    pub fn retry_on(mut self, list: impl Into<String>) -> Self {
        self.retry_on = list.into();
        self
    }

    /// Sets gRPC's words alone, as `x-envoy-retry-grpc-on` has them; they add to those of `retry_on`.
    pub fn retry_grpc_on(mut self, list: impl Into<String>) -> Self {
        self.retry_grpc_on = list.into();
        self
    }

    /// Sets `num_retries`, the retries after the first attempt; by default, and where it is empty, 1.
    pub fn num_retries(mut self, number: impl Into<String>) -> Self {
        self.num_retries = number.into();
        self
    }

    /// Sets `retriable_status_codes`. They count if `retriable-status-codes` is on the line.
    pub fn retriable_status_codes(mut self, list: impl Into<String>) -> Self {
        self.retriable_status_codes = list.into();
        self
    }

    /// Sets names of response headers. They count if `retriable-headers` is on the line.
    ///
    /// They are those of `x-envoy-retriable-header-names`, or of the matchers in `retriable_headers`
    /// that only ask for the header to be there.
    pub fn retriable_header_names(mut self, list: impl Into<String>) -> Self {
        self.retriable_header_names = list.into();
        self
    }

    /// Reads them.
    ///
    /// # Errors
    ///
    /// A word is unknown, or cannot be honoured: see [`RetryLine::envoy`].
    pub fn line(&self) -> Result<RetryLine, ParseRetryLineError> {
        let mut retry_on = RetryOn::none();
        let mut rate_limited = false;
        let list = self.retry_on_list();
        let keys = [CONFIGURATION.retry_on, REQUEST.retry_on, "retryOn"];
        let words = value(&self.retry_on, &keys);
        for (position, word) in entries(words) {
            list.check_beside(position, word)?;
        }
        for (position, word) in entries(words) {
            let (word, add) = find(&list, position, word)?;
            rate_limited |= word == RATE_LIMITED;
            let needs = |other| list.wrong(position, word, Fault::Needs(other));
            retry_on = match word {
                HTTP3 => return Err(list.wrong(position, word, Fault::Http3)),
                STATUS_CODES => {
                    let statuses = self.statuses()?;
                    let statuses =
                        statuses.ok_or_else(|| needs(self.names.retriable_status_codes))?;
                    retry_on.statuses(statuses)
                }
                HEADERS => {
                    let headers = self.headers()?;
                    if headers.is_empty() {
                        return Err(needs(self.names.retriable_header_names));
                    }
                    let headers = headers.into_iter();
                    headers.fold(retry_on, |list, header| list.header(header, None))
                }
                _ => add(retry_on),
            };
        }

        let list = self.list(self.names.retry_grpc_on, GRPC_WORDS.to_vec());
        let keys = [CONFIGURATION.retry_grpc_on, REQUEST.retry_grpc_on];
        for (position, word) in entries(value(&self.retry_grpc_on, &keys)) {
            let (_, add) = find(&list, position, word)?;
            retry_on = add(retry_on);
        }

        if retry_on.has_responses() && !rate_limited {
            retry_on = retry_on.unless_header(RATE_LIMITED_HEADER, None);
        }
        let attempts = self.retries()?.saturating_add(1);
        let conditions = Conditions {
            retry_on,
            non_idempotent: NonIdempotent::Always,
            reuse_tried: true,
            backoff: (Duration::from_millis(25), Duration::from_millis(250)),
        };
        Ok(RetryLine::new(conditions, attempts))
    }

    fn retry_on_list(&self) -> List {
        let mut words = WORDS.to_vec();
        if self.names.mixed {
            words.extend(GRPC_WORDS);
        }
        self.list(self.names.retry_on, words)
    }

    fn list(&self, name: &'static str, words: Vec<Word>) -> List {
        List {
            proxy: NAME,
            name,
            words,
            any_case: false,
            statuses: Some(self.names.retriable_status_codes),
            beside: beside::envoy,
        }
    }

    /// A list that holds no words of its own.
    fn wordless(&self, name: &'static str) -> List {
        self.list(name, Vec::new())
    }

    fn retries(&self) -> Result<u32, ParseRetryLineError> {
        let keys = [CONFIGURATION.num_retries, REQUEST.num_retries];
        let number = value(&self.num_retries, &keys);
        match number.parse() {
            _ if number.is_empty() => Ok(1),
            Ok(retries) if number.bytes().all(|byte| byte.is_ascii_digit()) => Ok(retries),
            _ => {
                let list = self.wordless(self.names.num_retries);
                Err(list.wrong(1, number, Fault::NoNumber))
            }
        }
    }

    /// `None` if there are none.
    fn statuses(&self) -> Result<Option<Statuses>, ParseRetryLineError> {
        let list = self.wordless(self.names.retriable_status_codes);
        let keys = [
            CONFIGURATION.retriable_status_codes,
            REQUEST.retriable_status_codes,
        ];
        let codes = unbracketed(value(&self.retriable_status_codes, &keys));
        let mut statuses = Statuses::none();
        for (position, code) in entries(codes) {
            let status = StatusCode::from_bytes(code.as_bytes());
            let status = status.map_err(|_| list.wrong(position, code, Fault::NoStatus))?;
            statuses = statuses.with(status);
        }
        Ok(Some(statuses).filter(|statuses| !statuses.is_none()))
    }

    fn headers(&self) -> Result<Vec<HeaderName>, ParseRetryLineError> {
        let list = self.wordless(self.names.retriable_header_names);
        let keys = [
            CONFIGURATION.retriable_header_names,
            REQUEST.retriable_header_names,
        ];
        let names = unbracketed(value(&self.retriable_header_names, &keys));
        let header = |(position, name): (usize, &str)| {
            let header = name.parse();
            header.map_err(|_| list.wrong(position, name, Fault::NoHeader))
        };
        entries(names).map(header).collect()
    }
}

fn find(list: &List, position: usize, word: &str) -> Result<Word, ParseRetryLineError> {
    if word.contains(char::is_whitespace) {
        return Err(list.wrong(position, word, Fault::NotApart("commas")));
    }
    list.find(position, word)
}

impl Default for Envoy {
    fn default() -> Self {
        Self::new()
    }
}
