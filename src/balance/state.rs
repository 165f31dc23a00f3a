use std::{
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::Duration,
};

use http::StatusCode;
use tracing::{info, warn};

use crate::{failure::FailureKind, trail::Peer};

/// How a peer stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum State {
    /// Its breaker is closed: it is used.
    Closed,
    /// Its breaker would be open, but [too many](super::Balance::max_ejected) peers are out already: it is given a tenth of
    /// its requests, and of those only what can be repeated.
    Suspect,
    /// Its breaker is open: it is left out for a while.
    Open,
    /// Its breaker is half-open: one request at a time shows whether it is well again.
    HalfOpen,
    /// Active health checks have found it unwell.
    Down,
    /// It was taken out of the set, and finishes what it has.
    Draining,
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Closed => "closed",
            Self::Suspect => "suspect",
            Self::Open => "open",
            Self::HalfOpen => "half-open",
            Self::Down => "down",
            Self::Draining => "draining",
        })
    }
}

/// What a peer did that counts against it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Fault {
    /// There was no response.
    Error(FailureKind),
    /// Its response has a status that stands for the peer's own failure.
    Status(StatusCode),
    /// Its response says in gRPC's words that it is unavailable.
    GrpcUnavailable,
    /// The body of its response broke off.
    Body,
    /// An active health check had no response.
    CheckError(FailureKind),
    /// An active health check had a response with a status that it does not expect.
    CheckStatus(StatusCode),
}

impl Fault {
    pub(super) fn is_of_check(self) -> bool {
        matches!(self, Self::CheckError(_) | Self::CheckStatus(_))
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Error(kind) => kind.fmt(f),
            Self::Status(status) => write!(f, "status {}", status.as_u16()),
            Self::GrpcUnavailable => f.write_str("grpc-status unavailable"),
            Self::Body => f.write_str("body broke off"),
            Self::CheckError(kind) => write!(f, "health check: {kind}"),
            Self::CheckStatus(status) => write!(f, "health check: status {}", status.as_u16()),
        }
    }
}

/// A peer's change of state.
#[derive(Clone, Debug)]
pub struct StateChange {
    pub(super) peer: Peer,
    pub(super) from: State,
    pub(super) to: State,
    pub(super) fault: Option<Fault>,
    pub(super) out_for: Option<Duration>,
}

impl StateChange {
    /// Whose state changed.
    pub fn peer(&self) -> &Peer {
        &self.peer
    }

    /// The state before.
    pub fn from(&self) -> State {
        self.from
    }

    /// The state now.
    pub fn to(&self) -> State {
        self.to
    }

    /// What the peer did that led to it, if that was a fault.
    pub fn fault(&self) -> Option<Fault> {
        self.fault
    }

    /// For how long the peer is left out, where that is known.
    pub fn out_for(&self) -> Option<Duration> {
        self.out_for
    }

    pub(super) fn tell(&self, listener: Option<&Arc<dyn OnStateChange>>) {
        info!(
            peer = %self.peer,
            from = %self.from,
            to = %self.to,
            fault = self.fault.map(tracing::field::display),
            out_for = self.out_for.map(tracing::field::debug),
            "peer changed",
        );
        if let Some(listener) = listener {
            // It may be told while a panic unwinds or by what checks all peers: neither bears another.
            let told = catch_unwind(AssertUnwindSafe(|| listener.on_state_change(self)));
            if told.is_err() {
                warn!(peer = %self.peer, "the listener for changes of state panicked");
            }
        }
    }
}

/// Hears of every change of a peer's state, for metrics and alarms.
///
/// Closures are: `|change: &StateChange| …`. It is called by whichever task noticed, outside all locks, and must not
/// block. Changes of one peer come in order, but for those that happen at the same moment. A panic goes no further: the
/// request or the check that noticed goes on, and the next change is told.
///
/// Updates of the set are not told of, nor is anything of a peer that was taken out: to whom it may matter, who made
/// the update knows.
pub trait OnStateChange: Send + Sync {
    /// A peer's state has changed.
    fn on_state_change(&self, change: &StateChange);
}

impl<F> OnStateChange for F
where
    F: Fn(&StateChange) + Send + Sync,
{
    fn on_state_change(&self, change: &StateChange) {
        self(change);
    }
}
