use std::{error::Error as StdError, fmt, sync::Arc};

use http::StatusCode;
use tracing::debug;

use super::health::{Ejection, Health};
use crate::{
    failure::{Classify, FailureKind, KnownErrors},
    trail::{Ended, Trail},
};

/// How a balancer judges its peers.
#[derive(Clone)]
pub(super) struct Rules {
    pub(super) ejection: Ejection,
    pub(super) classify: Arc<dyn Classify>,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            ejection: Ejection::default(),
            classify: Arc::new(KnownErrors),
        }
    }
}

/// One exchange with a peer, from the call until the end of the response's body: it tells the peer's
/// health how it went.
///
/// *Worth retrying* and *unhealthy* are different questions: a 404 never counts, nor does a client
/// that goes away, a request that cannot be sent, a request body that fails, or an overload of our own.
pub(super) struct Exchange {
    health: Arc<Health>,
    rules: Arc<Rules>,
    trail: Option<Trail>,
    seen: Seen,
}

/// What has come of an exchange so far.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Seen {
    Nothing,
    /// A head that was no failure.
    Head,
    /// A failure, whose fault it was has been decided.
    Failure,
}

impl Exchange {
    pub(super) fn begin(health: Arc<Health>, rules: Arc<Rules>, trail: Option<Trail>) -> Self {
        Self {
            health,
            rules,
            trail,
            seen: Seen::Nothing,
        }
    }

    /// The service failed.
    pub(super) fn failed(&mut self, error: &(dyn StdError + 'static)) {
        self.seen = Seen::Failure;
        let evidence = self.rules.classify.classify(error);
        match evidence.map(|evidence| evidence.kind) {
            Some(
                FailureKind::Request
                | FailureKind::RequestBody
                | FailureKind::Overload
                | FailureKind::NoPeer,
            ) => {}
            _ => self.charge(Health::failed),
        }
    }

    /// The peer is a balancer that had nobody for the request. Returns whether there is anyone to pick
    /// again.
    pub(super) fn exhaust(&self) -> bool {
        let peer = self.health.peer();
        self.trail.as_ref().is_some_and(|trail| trail.exhaust(peer))
    }

    /// A response head arrived.
    pub(super) fn answered(&mut self, status: StatusCode) {
        self.seen = Seen::Head;
        match status.as_u16() {
            502..=504 => {
                self.seen = Seen::Failure;
                self.charge(Health::failed);
            }
            // Neither a good sign nor a bad one: it may be the request that is at fault.
            429 | 500.. => {}
            _ => self.health.answered(),
        }
    }

    /// The response's body arrived whole.
    pub(super) fn completed(&self) {
        self.health.completed();
    }

    /// The response's body broke off.
    pub(super) fn broken(&self) {
        self.charge(Health::broken);
    }

    fn charge(&self, failure: fn(&Health, Ejection) -> bool) {
        let ejection = self.rules.ejection;
        if failure(&self.health, ejection) {
            debug!(peer = %self.health.peer(), period = ?ejection.period, "peer ejected");
        }
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        let ended = self.trail.as_ref().and_then(|trail| match trail.ended() {
            // It had its time before that, and more.
            Some(Ended::Deadline | Ended::Abandoned) if trail.was_overdue() => {
                Some(Ended::TimedOut)
            }
            ended => ended,
        });
        // Dropped before its answer, or before as much of it as a layer above waits for: the peer's
        // fault only if its time was up.
        if ended == Some(Ended::TimedOut) {
            match self.seen {
                Seen::Nothing => self.charge(Health::failed),
                Seen::Head => self.charge(Health::broken),
                Seen::Failure => {}
            }
        }
    }
}

impl fmt::Debug for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exchange")
            .field("peer", &self.health.peer())
            .finish_non_exhaustive()
    }
}
