//! `proxy_next_upstream` of nginx.
//!
//! Read in ngx_http_upstream.c (`ngx_http_upstream_next` and who calls it) and in the tables of words in
//! ngx_http_proxy_module.c and its kin, of nginx 1.31.

use std::time::Duration;

use super::super::{NonIdempotent, RetryOn};
use super::{
    Conditions, ParseRetryLineError, RetryLine, beside,
    error::Fault,
    list::List,
    split::{self, Split},
    words::nginx::{NAME, NON_IDEMPOTENT, OFF, UPDATING, WORDS},
};

/// The directives, each with the words that it lacks; the first one is meant where none is named.
const DIRECTIVES: [(&str, &[&str]); 5] = [
    ("proxy_next_upstream", &[]),
    ("grpc_next_upstream", &[UPDATING]),
    ("fastcgi_next_upstream", &["http_502", "http_504"]),
    ("uwsgi_next_upstream", &["http_502", "http_504"]),
    ("scgi_next_upstream", &["http_502", "http_504"]),
];

pub(super) fn read(line: &str) -> Result<RetryLine, ParseRetryLineError> {
    let [proxy, ..] = DIRECTIVES;
    let Split { words, after } =
        split::words(line, Some(';')).map_err(|fault| list(proxy).wrong_all(fault))?;
    let named = DIRECTIVES
        .into_iter()
        .find(|(name, _)| words.first() == Some(name));
    let list = list(named.unwrap_or(proxy));
    let words = &words[usize::from(named.is_some())..];
    let mut retry_on = RetryOn::none();
    let (mut off, mut non_idempotent) = (false, NonIdempotent::Never);
    for (index, word) in words.iter().enumerate() {
        if word.contains(',') {
            return Err(list.wrong(index + 1, word, Fault::NotApart("space")));
        }
        let (word, add) = list.find(index + 1, word)?;
        match word {
            OFF => off = true,
            NON_IDEMPOTENT => non_idempotent = NonIdempotent::Always,
            _ => retry_on = add(retry_on),
        }
    }
    if let Some(after) = after {
        return Err(list.after_end(words.len() + 1, after));
    }
    if words.is_empty() {
        return Err(list.wrong_all(Fault::Empty(OFF)));
    }
    if off {
        retry_on = RetryOn::none();
    }
    let conditions = Conditions {
        retry_on,
        non_idempotent,
        reuse_tried: false,
        backoff: (Duration::ZERO, Duration::ZERO),
    };
    Ok(RetryLine::new(conditions, 0))
}

fn list((name, lacks): (&'static str, &[&str])) -> List {
    let words = WORDS.iter().filter(|(word, _)| !lacks.contains(word));
    List {
        proxy: NAME,
        name,
        words: words.copied().collect(),
        any_case: true,
        statuses: None,
        beside: beside::nginx,
    }
}
