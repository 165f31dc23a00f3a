//! What the upstreams do, and what the client asks for.

use std::{fmt, net::SocketAddr};

use h2::Reason;

use crate::{
    http2::{Http2, Stream},
    lines::Dialect,
    support::scripted::Scripted,
};

/// What a bad upstream does, in the words of [`Behaviour`](crate::support::scripted::Behaviour).
const HTTP1: &[&str] = &[
    "refuse",
    "blackhole",
    "accept_close",
    "read_close",
    "reset_after_headers_read",
    "partial_headers",
    "garbage",
    "status:200;no field=1",
    "hang",
    "status:404",
    "status:409",
    "status:429",
    "status:500",
    "status:503",
    "status:503;x-envoy-ratelimited=true",
    "status:200;grpc-status=14",
    "body_cut:200:100:10",
];

/// The same over HTTP/2.
const HTTP2: &[(&str, Reason)] = &[
    ("h2 refused_stream", Reason::REFUSED_STREAM),
    ("h2 internal_error", Reason::INTERNAL_ERROR),
];

/// Which of the two upstreams are bad.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bad {
    First,
    Both,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Method {
    Get,
    /// With a small body.
    Post,
}

/// One request: what its upstreams do with it, and what it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Scenario {
    pub(crate) behaviour: &'static str,
    /// What a bad upstream resets its streams with, if it speaks HTTP/2.
    http2: Option<Reason>,
    pub(crate) bad: Bad,
    pub(crate) method: Method,
}

/// One of the upstreams of a scenario.
#[derive(Debug)]
pub(crate) enum Upstream {
    Http1(Scripted),
    Http2(Http2),
}

/// Every scenario that the dialect's proxy can be put into.
pub(crate) fn of(dialect: Dialect) -> Vec<Scenario> {
    let http1 = HTTP1.iter().map(|behaviour| (*behaviour, None));
    let http2 = HTTP2.iter().map(|(name, reason)| (*name, Some(*reason)));
    // nginx speaks HTTP/2 with upstreams since 1.29.4 only.
    let http2 = http2.filter(|_| dialect != Dialect::Nginx);
    let mut all = Vec::new();
    for (behaviour, http2) in http1.chain(http2) {
        for bad in [Bad::First, Bad::Both] {
            for method in [Method::Get, Method::Post] {
                all.push(Scenario {
                    behaviour,
                    http2,
                    bad,
                    method,
                });
            }
        }
    }
    all
}

impl Scenario {
    /// Two upstreams, `u1` and `u2`, for one request.
    pub(crate) async fn upstreams(&self) -> [Upstream; 2] {
        [
            self.upstream("u1", true).await,
            self.upstream("u2", self.bad == Bad::Both).await,
        ]
    }

    async fn upstream(&self, name: &'static str, bad: bool) -> Upstream {
        if let Some(reason) = self.http2 {
            let does = if bad {
                Stream::Reset(reason)
            } else {
                Stream::Echo
            };
            return Upstream::Http2(Http2::start(name, does).await);
        }
        // A good one echoes, so that a body that was sent again is seen.
        let behaviour = if bad { self.behaviour } else { "echo" };
        let behaviour = behaviour.parse().unwrap_or_else(|wrong| panic!("{wrong}"));
        Upstream::Http1(Scripted::unattended(name, vec![behaviour]).await)
    }

    pub(crate) fn is_http2(&self) -> bool {
        self.http2.is_some()
    }

    /// Whether the upstream at `index` sees the attempts that reach for it.
    pub(crate) fn sees(&self, index: usize) -> bool {
        let reached = !matches!(self.behaviour, "refuse" | "blackhole");
        reached || (index > 0 && self.bad == Bad::First)
    }
}

impl Upstream {
    pub(crate) fn addr(&self) -> SocketAddr {
        match self {
            Self::Http1(upstream) => upstream.addr(),
            Self::Http2(upstream) => upstream.addr(),
        }
    }

    pub(crate) fn attempts(&self) -> usize {
        match self {
            Self::Http1(upstream) => upstream.attempts(),
            Self::Http2(upstream) => upstream.attempts(),
        }
    }
}

impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bad = match self.bad {
            Bad::First => "then good",
            Bad::Both => "both",
        };
        write!(f, "{}, {bad}", self.behaviour)
    }
}

impl Method {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
        }
    }

    pub(crate) fn body(self) -> &'static str {
        match self {
            Self::Get => "",
            Self::Post => "hello",
        }
    }
}
