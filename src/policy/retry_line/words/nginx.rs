use http::StatusCode;

use super::Word;

pub(in super::super) const NAME: &str = "nginx";

pub(in super::super) const OFF: &str = "off";
pub(in super::super) const NON_IDEMPOTENT: &str = "non_idempotent";
/// The table of words is that of `proxy_cache_use_stale` too, which has this one from there.
pub(in super::super) const UPDATING: &str = "updating";

pub(in super::super) const WORDS: &[Word] = &[
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
