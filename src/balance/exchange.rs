use std::{error::Error as StdError, fmt, sync::Arc, time::Duration};

use http::{HeaderMap, Response, header::CONTENT_TYPE};
use tokio::time::Instant;

use super::{
    set::Set,
    settings::Settings,
    standing::{Probe, Standing},
    state::Fault,
};
use crate::{
    failure::FailureKind,
    policy::GrpcCode,
    trail::{Ended, Roster, Trail},
};

/// How long a failure takes, to those who compare how long peers take: one that fails fast is not fast.
const PENALTY: Duration = Duration::from_secs(5);

/// One exchange with a peer, from the call until the end of the response's body: it is in flight for as long,
/// and tells the peer's standing how it went.
///
/// *Worth retrying* and *unhealthy* are different questions: a 404 never counts, nor does a client
/// that goes away, a request that cannot be sent, a request body that fails, or an overload of our own.
pub(super) struct Exchange {
    standing: Arc<Standing>,
    settings: Arc<Settings>,
    trail: Option<Trail>,
    /// The standing's epoch when it began.
    epoch: u32,
    began: Option<Instant>,
    /// It is the one that may show whether the peer is well; until it has.
    probe: Option<Box<Probe>>,
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
    /// The standing has let it begin. `now` is the time, if it is known.
    pub(super) fn begun(
        standing: Arc<Standing>,
        settings: Arc<Settings>,
        probe: Option<Box<Probe>>,
        now: Option<Instant>,
    ) -> Self {
        Self {
            epoch: standing.epoch(),
            began: settings
                .is_timed()
                .then(|| now.unwrap_or_else(Instant::now)),
            standing,
            settings,
            trail: None,
            probe,
            seen: Seen::Nothing,
        }
    }

    /// It is an attempt of the trail's request: its peer is written down. Returns `false` where nobody waits for that
    /// attempt any more.
    pub(super) fn follow<S: Send + Sync + 'static>(
        &mut self,
        trail: Trail,
        set: &Arc<Set<S>>,
    ) -> bool {
        let roster: Arc<dyn Roster> = set.clone();
        let current = trail.choose(self.standing.peer(), Some(roster));
        self.trail = current.then_some(trail);
        current
    }

    /// The service failed.
    pub(super) fn failed(&mut self, error: &(dyn StdError + 'static)) {
        self.seen = Seen::Failure;
        if let Some(kind) = self.settings.rules.kind_of_fault(error) {
            self.charge(Fault::Error(kind));
        }
        self.probe = None;
    }

    /// The peer is a balancer that had nobody for the request. Returns whether there is anyone to pick
    /// again.
    pub(super) fn exhaust(&self) -> bool {
        let peer = self.standing.peer();
        self.trail.as_ref().is_some_and(|trail| trail.exhaust(peer))
    }

    /// A response head arrived.
    pub(super) fn answered<R>(&mut self, response: &Response<R>) {
        let (status, headers) = (response.status(), response.headers());
        let breaker = &self.settings.rules.breaker;
        let grpc_code = || GrpcCode::of_head(headers, response.extensions());
        let fault = if breaker.statuses.contains(status) {
            Some(Fault::Status(status))
        } else if is_grpc(headers) && grpc_code() == Some(GrpcCode::Unavailable) {
            Some(Fault::GrpcUnavailable)
        } else {
            None
        };
        self.seen = Seen::Head;
        match (fault, status.as_u16()) {
            (Some(fault), _) => {
                self.seen = Seen::Failure;
                self.charge(fault);
            }
            // Neither a good sign nor a bad one: it may be the request that is at fault.
            (None, 429) => {}
            // But whoever compares response times must not be drawn to it.
            (None, 500..) => self.lose(),
            _ => {
                self.standing.answered(self.epoch, &self.settings.rules);
                if let Some((elapsed, now)) = self.elapsed() {
                    self.standing.responded(elapsed, now);
                }
            }
        }
        self.probe = None;
    }

    /// The response's body arrived whole.
    pub(super) fn completed(&self) {
        self.standing.completed();
    }

    /// The response's body broke off.
    pub(super) fn broken(&self) {
        self.charge(Fault::Body);
    }

    fn charge(&self, fault: Fault) {
        self.standing
            .failed(fault, self.epoch, &self.settings.rules);
        match fault {
            // How long it went on before says nothing of how long a response takes.
            Fault::Body if self.began.is_some() => {
                self.standing.lost(PENALTY, Instant::now());
            }
            Fault::Body => {}
            _ => self.lose(),
        }
    }

    fn lose(&self) {
        if let Some((elapsed, now)) = self.elapsed() {
            self.standing.lost(elapsed.max(PENALTY), now);
        }
    }

    /// How long it has taken, if that is measured, and the time.
    fn elapsed(&self) -> Option<(Duration, Instant)> {
        let began = self.began?;
        let now = Instant::now();
        Some((now.saturating_duration_since(began), now))
    }
}

/// Whether a response is one to gRPC: most need not be searched for its status.
fn is_grpc(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE);
    kind.is_some_and(|kind| kind.as_bytes().starts_with(b"application/grpc"))
}

impl Drop for Exchange {
    fn drop(&mut self) {
        self.standing.end();
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
                Seen::Nothing => self.charge(Fault::Error(FailureKind::Timeout)),
                Seen::Head => self.charge(Fault::Body),
                Seen::Failure => {}
            }
        }
    }
}

impl fmt::Debug for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exchange")
            .field("peer", &self.standing.peer())
            .finish_non_exhaustive()
    }
}
