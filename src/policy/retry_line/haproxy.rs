//! `retry-on` of HAProxy.
//!
//! Read in proxy.c (`proxy_parse_retry_on`), http_ana.c (`http_wait_for_response`) and backend.c
//! (`back_handle_st_cer`), of HAProxy 3.5.

use std::time::Duration;

use super::super::{NonIdempotent, RetryOn};
use super::{
    Conditions, ParseRetryLineError, RetryLine, beside,
    error::Fault,
    list::List,
    split,
    words::haproxy::{NAME, NONE, WORDS},
};

const DIRECTIVE: &str = "retry-on";

/// `retries 3`, the default, and the first attempt.
const ATTEMPTS: u32 = 4;

/// What it waits before it connects once more to a server that it could not connect to.
const TURN_AROUND: Duration = Duration::from_secs(1);

pub(super) fn read(line: &str) -> Result<RetryLine, ParseRetryLineError> {
    let list = List {
        proxy: NAME,
        name: DIRECTIVE,
        words: WORDS.to_vec(),
        any_case: false,
        statuses: None,
        beside: beside::haproxy,
    };
    let split = split::words(line, None).map_err(|fault| list.wrong_all(fault))?;
    let words = split.words;
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
    let conditions = Conditions {
        retry_on,
        non_idempotent: NonIdempotent::Always,
        reuse_tried: true,
        backoff: (TURN_AROUND, TURN_AROUND),
    };
    Ok(RetryLine::new(conditions, ATTEMPTS))
}
