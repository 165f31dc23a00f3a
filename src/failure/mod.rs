//! What a failed attempt proves about the request that it carried.
//!
//! Whether a request may be sent again is decided by *evidence*: a [`Stage`] says how far it
//! provably got. Errors of hyper, h2, reqwest, rustls, `std::io` and tower are read by
//! [`KnownErrors`]; a client of your own plugs in with the one method of [`Classify`].

mod broken;
mod classify;
#[cfg(feature = "hyper")]
mod junk;
mod not_sent;

use std::{error::Error as StdError, fmt};

use http::StatusCode;

#[cfg(feature = "hyper")]
pub(crate) use self::junk::Junk;
pub(crate) use self::{broken::Broken, classify::chain};
pub use self::{classify::KnownErrors, not_sent::NotSent};
use crate::{BoxError, trail::NoPeer};

/// How far a request provably got: this, not its method alone, decides who may be sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Stage {
    /// Not one byte of it left: it may go to another peer whatever its method.
    NotSent,
    /// The protocol says that the peer did not process it (RFC 9113, section 8.7).
    Refused,
    /// Nothing is proved: the peer may have processed it.
    MaybeProcessed,
}

impl Stage {
    /// What is proved of a request that got as far as `self` in one attempt and as far as `other` in
    /// another.
    pub(crate) fn or(self, other: Self) -> Self {
        match (self, other) {
            (Self::MaybeProcessed, _) | (_, Self::MaybeProcessed) => Self::MaybeProcessed,
            (Self::Refused, _) | (_, Self::Refused) => Self::Refused,
            (Self::NotSent, Self::NotSent) => Self::NotSent,
        }
    }
}

/// What went wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FailureKind {
    /// No connection: refused, unreachable, name not resolved, handshake failed.
    Connect,
    /// No connection within the connect timeout.
    ConnectTimeout,
    /// The peer's certificate is not valid for it.
    Certificate,
    /// The connection was closed or reset before a response head.
    Reset,
    /// What came was not a response.
    Junk,
    /// No response head within the per-try timeout, or within a timeout of a layer below.
    Timeout,
    /// The overall deadline passed.
    Deadline,
    /// HTTP/2 REFUSED_STREAM, or a stream above the last one that GOAWAY names.
    RefusedStream,
    /// A concurrency limit or load shedding refused the request.
    Overload,
    /// The request cannot be sent as it is, whoever the peer: the sender's fault.
    Request,
    /// The request's own body failed while it was read: the sender's fault.
    RequestBody,
    /// There was no peer to send it to.
    NoPeer,
    /// Anything else.
    Other,
}

/// What an error proves, and what it says went wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Evidence {
    /// How far the request got.
    pub stage: Stage,
    /// What went wrong.
    pub kind: FailureKind,
}

/// Reads evidence out of an error.
pub trait Classify: Send + Sync {
    /// Returns what `error` proves, or `None` when this classifier does not know it: the failure is
    /// then [`Stage::MaybeProcessed`], [`FailureKind::Other`].
    ///
    /// To answer [`Stage::NotSent`] or [`Stage::Refused`] is to promise that no upstream can have
    /// processed the request: it may be sent again whatever its method.
    fn classify(&self, error: &(dyn StdError + 'static)) -> Option<Evidence>;
}

/// Finds the answer of a balancer that had nobody, as far as layers have wrapped it.
pub(crate) fn no_peer(error: &(dyn StdError + 'static)) -> Option<NoPeer> {
    let mut next = Some(error);
    while let Some(error) = next {
        // An inner failover's error speaks for all of its own peers, whatever stands below it; and a
        // response that broke off was a peer's, whatever its body failed with.
        if error.is::<crate::Error>() || error.is::<Broken>() {
            return None;
        }
        if let Some(found) = error.downcast_ref() {
            return Some(*found);
        }
        next = error.source();
    }
    None
}

/// One attempt's failure, as a [`Policy`](crate::Policy) sees it.
#[derive(Debug)]
pub struct Failure {
    evidence: Evidence,
    reused: Option<bool>,
    source: Option<BoxError>,
}

impl Failure {
    pub(crate) fn new(evidence: Evidence, source: Option<BoxError>) -> Self {
        Self {
            evidence,
            reused: None,
            source,
        }
    }

    pub(crate) fn on_connection(mut self, reused: Option<bool>) -> Self {
        self.reused = reused;
        self
    }

    /// How far the request provably got.
    pub fn stage(&self) -> Stage {
        self.evidence.stage
    }

    /// What went wrong.
    pub fn kind(&self) -> FailureKind {
        self.evidence.kind
    }

    /// Whether the connection had served another response before; `None` when nobody below tells.
    ///
    /// A reused connection that dies is often one that the peer had closed while it was idle. That
    /// is likely, and not proof: an origin can read a request whole and then close.
    pub fn connection_reused(&self) -> Option<bool> {
        self.reused
    }

    /// The inner service's own error; `None` for a timeout that the layer itself set.
    pub fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_deref().map(|error| error as _)
    }

    pub(crate) fn into_source(self) -> Option<BoxError> {
        self.source
    }
}

impl FailureKind {
    /// The status with which a gateway answers it.
    ///
    /// | | |
    /// |---|---|
    /// | 400 | the request cannot be sent as it is, or its body failed |
    /// | 503 | no peer was available, or a limit of our own refused the request |
    /// | 504 | a timeout: of connecting, of the last attempt, or of the whole request |
    /// | 502 | anything else |
    pub fn status(&self) -> StatusCode {
        match self {
            Self::Request | Self::RequestBody => StatusCode::BAD_REQUEST,
            Self::NoPeer | Self::Overload => StatusCode::SERVICE_UNAVAILABLE,
            Self::ConnectTimeout | Self::Timeout | Self::Deadline => StatusCode::GATEWAY_TIMEOUT,
            Self::Connect
            | Self::Certificate
            | Self::Reset
            | Self::Junk
            | Self::RefusedStream
            | Self::Other => StatusCode::BAD_GATEWAY,
        }
    }
}

impl fmt::Display for FailureKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connect => "connect failure",
            Self::ConnectTimeout => "connect timeout",
            Self::Certificate => "peer certificate not valid",
            Self::Reset => "connection closed before a response",
            Self::Junk => "response is not HTTP",
            Self::Timeout => "no response in time",
            Self::Deadline => "deadline passed",
            Self::RefusedStream => "stream refused",
            Self::Overload => "overloaded",
            Self::Request => "request cannot be sent",
            Self::RequestBody => "reading the request body failed",
            Self::NoPeer => "no peer available",
            Self::Other => "upstream failure",
        })
    }
}
