//! `proxy_next_upstream` of nginx.
//!
//! Read in ngx_http_upstream.c (`ngx_http_upstream_next` and who calls it) and in the tables of words in
//! ngx_http_proxy_module.c and its kin, of nginx 1.31.

use http::StatusCode;

use super::super::{NonIdempotent, RetryOn};
use super::{
    ParseRetryLineError, RetryLine,
    error::Fault,
    list::{List, Word},
    split,
};
use crate::limits::Backoff;

pub(super) const NAME: &str = "nginx";

const OFF: &str = "off";
const NON_IDEMPOTENT: &str = "non_idempotent";
/// The table of words is that of `proxy_cache_use_stale` too, which has this one from there.
const UPDATING: &str = "updating";

pub(super) const WORDS: &[Word] = &[
    ("error", |list| {
        list.connect_error().refused_stream().reset()
    }),
    ("timeout", |list| list.connect_timeout().timeout()),
    ("invalid_header", |list| {
        list.junk_response().refused_stream()
    }),
    ("http_500", |list| {
        list.status(StatusCode::INTERNAL_SERVER_ERROR)
    }),
    ("http_502", |list| list.status(StatusCode::BAD_GATEWAY)),
    ("http_503", |list| {
        list.status(StatusCode::SERVICE_UNAVAILABLE)
    }),
    ("http_504", |list| list.status(StatusCode::GATEWAY_TIMEOUT)),
    ("http_403", |list| list.status(StatusCode::FORBIDDEN)),
    ("http_404", |list| list.status(StatusCode::NOT_FOUND)),
    ("http_429", |list| {
        list.status(StatusCode::TOO_MANY_REQUESTS)
    }),
    (NON_IDEMPOTENT, |list| list),
    (OFF, |list| list),
    (UPDATING, |list| list),
];

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
    let words = split::words(line, Some(';')).map_err(|fault| list(proxy).wrong_all(fault))?;
    let named = DIRECTIVES
        .into_iter()
        .find(|(name, _)| words.first() == Some(name));
    let list = list(named.unwrap_or(proxy));
    let words = &words[usize::from(named.is_some())..];
    if words.is_empty() {
        return Err(list.wrong_all(Fault::Empty(OFF)));
    }

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
    if off {
        retry_on = RetryOn::none();
    }
    Ok(RetryLine::new(retry_on, 0, |standard| {
        standard
            .non_idempotent(non_idempotent)
            .backoff(Backoff::NONE)
    }))
}

fn list((name, lacks): (&'static str, &[&str])) -> List {
    let words = WORDS.iter().filter(|(word, _)| !lacks.contains(word));
    List {
        proxy: NAME,
        name,
        words: words.copied().collect(),
        any_case: true,
        statuses: None,
    }
}
