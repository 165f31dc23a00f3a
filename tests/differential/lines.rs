//! The retry lines, each in the words of the proxy it comes from.

use std::fmt;

/// Whose words a line is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    Nginx,
    Haproxy,
    Envoy,
}

/// A retry line, and what goes with it on either side.
#[derive(Debug)]
pub(crate) struct Line {
    pub(crate) text: &'static str,
    /// More of the peer's own configuration: HAProxy's lines, the fields of Envoy's retry policy.
    pub(crate) more: &'static str,
    /// Ours, that say the same.
    pub(crate) flags: Flags,
    pub(crate) times: Times,
}

/// How long a connection may take, and then a response head, in milliseconds.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Times {
    pub(crate) connect: u32,
    pub(crate) head: u32,
}

/// The usual ones.
const QUICK: Times = Times {
    connect: 200,
    head: 300,
};

/// The time for the head is over before the one to connect.
const LONG_CONNECT: Times = Times {
    connect: 500,
    head: 200,
};

#[derive(Debug)]
pub(crate) enum Flags {
    /// The line as it stands, and these.
    LineAnd(&'static [&'static str]),
    /// These, because no flag takes the whole of it.
    Instead(&'static [&'static str]),
}

const fn plain(text: &'static str) -> Line {
    with(text, "", &[])
}

const fn with(text: &'static str, more: &'static str, flags: &'static [&'static str]) -> Line {
    Line {
        text,
        more,
        flags: Flags::LineAnd(flags),
        times: QUICK,
    }
}

const fn long_connect(mut line: Line) -> Line {
    line.times = LONG_CONNECT;
    line
}

const NGINX: &[Line] = &[
    plain("off"),
    plain("error timeout"),
    plain("error timeout http_502 http_503 http_504"),
    plain("error timeout non_idempotent"),
    plain("invalid_header"),
    plain("http_404 http_429"),
    plain("timeout"),
    plain("error"),
    long_connect(plain("error timeout")),
];

/// With round robin, another server at every retry.
pub(crate) const REDISPATCH: &str = "option redispatch";

/// The same server at every retry: HAProxy's default, said aloud, for flags of ours that say it too.
pub(crate) const STAY: &str = "no option redispatch";

const fn redispatched(text: &'static str) -> Line {
    with(text, REDISPATCH, &[])
}

const HAPROXY: &[Line] = &[
    redispatched("none"),
    redispatched("conn-failure"),
    redispatched("empty-response"),
    redispatched("junk-response"),
    redispatched("response-timeout"),
    redispatched("503"),
    redispatched("all-retryable-errors"),
    plain("all-retryable-errors"),
    with(
        "all-retryable-errors",
        STAY,
        &["--retries-per-peer", "4294967295"],
    ),
    long_connect(redispatched("conn-failure")),
    long_connect(redispatched("response-timeout")),
];

const ENVOY: &[Line] = &[
    plain(""),
    plain("5xx"),
    plain("gateway-error"),
    plain("reset"),
    plain("connect-failure"),
    plain("retriable-4xx"),
    plain("refused-stream"),
    plain("5xx,envoy-ratelimited"),
    plain("unavailable"),
    Line {
        text: "retriable-status-codes",
        more: "retriable_status_codes: [404, 503]",
        flags: Flags::Instead(&[
            "--retry-on=404,503,unless-header:x-envoy-ratelimited",
            "--non-idempotent=always",
            "--reuse-tried",
            "--max-attempts=2",
        ]),
        times: QUICK,
    },
    long_connect(plain("connect-failure")),
];

impl Dialect {
    pub(crate) fn lines(self) -> &'static [Line] {
        match self {
            Self::Nginx => NGINX,
            Self::Haproxy => HAPROXY,
            Self::Envoy => ENVOY,
        }
    }
}

impl Line {
    /// Whether this word is on it.
    pub(crate) fn says(&self, word: &str) -> bool {
        self.text.split([' ', ',']).any(|found| found == word)
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.text, self.more) {
            ("", _) => f.write_str("(empty)")?,
            (text, "") => f.write_str(text)?,
            (text, more) => write!(f, "{text}; {more}")?,
        }
        match self.times {
            LONG_CONNECT => f.write_str("; long connect"),
            _ => Ok(()),
        }
    }
}
