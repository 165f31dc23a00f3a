//! `retry-on` of HAProxy.
//!
//! Read in proxy.c (`proxy_parse_retry_on`), http_ana.c (`http_wait_for_response`) and backend.c
//! (`back_handle_st_cer`), of HAProxy 3.5.

use std::time::Duration;

use http::StatusCode;

use super::super::{NonIdempotent, RetryOn};
use super::{
    ParseRetryLineError, RetryLine, backoff,
    error::Fault,
    list::{List, Word},
    split,
};

pub(super) const NAME: &str = "HAProxy";

const DIRECTIVE: &str = "retry-on";
const NONE: &str = "none";

/// `retries 3`, the default, and the first attempt.
const ATTEMPTS: u32 = 4;

/// What it waits before it connects once more to a server that it could not connect to.
const TURN_AROUND: Duration = Duration::from_secs(1);

pub(super) const WORDS: &[Word] = &[
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

pub(super) fn read(line: &str) -> Result<RetryLine, ParseRetryLineError> {
    let list = List {
        proxy: NAME,
        name: DIRECTIVE,
        words: WORDS.to_vec(),
        any_case: false,
        statuses: None,
    };
    let words = split::words(line, None).map_err(|fault| list.wrong_all(fault))?;
    let words = words.strip_prefix(&[DIRECTIVE]).unwrap_or(&words);
    if words.is_empty() {
        return Err(list.wrong_all(Fault::Empty(NONE)));
    }

    let mut retry_on = RetryOn::none();
    for (index, word) in words.iter().enumerate() {
        if word.contains(',') {
            return Err(list.wrong(index + 1, word, Fault::NotApart("space")));
        }
        let (_, add) = list.find(index + 1, word)?;
        if *word == NONE && words.len() > 1 {
            return Err(list.wrong(index + 1, word, Fault::NotAlone));
        }
        retry_on = add(retry_on);
    }
    Ok(RetryLine::new(retry_on, ATTEMPTS, |standard| {
        standard
            .non_idempotent(NonIdempotent::Always)
            .reuse_tried(true)
            .backoff(backoff(TURN_AROUND, TURN_AROUND))
    }))
}
