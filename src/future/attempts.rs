use std::{
    sync::Arc,
    task::{Context, Poll},
};

use http::{Request, Response, StatusCode, request::Parts};
use http_body::Body;
use tokio::time::Instant;
use tower_service::Service;

use super::{
    clock::{Clock, Late},
    offer::Offer,
};
use crate::{
    BoxError, Error,
    failure::{self, Evidence, Failure, FailureKind, Stage},
    head::Head,
    limits::{Limits, Withdrawal},
    policy::{Policy, Verdict},
    replay::{Replay, ReplayBody, ReplayError},
    trail::{Ended, NoPeer, Peer, Route, Trail},
};

/// How often a service that picks blindly may pick a tried peer before it is taken at its word that
/// there is no other. Of two peers picked evenly, all of these miss the other once in four billion.
const MOST_REFUSALS: u32 = 32;

/// The attempts of one request: what was tried, what is held, and whether there may be another.
pub(super) struct Attempts<S, P, B, R> {
    pub(super) limits: Arc<Limits>,
    pub(super) clock: Clock,
    /// `None`: the body is sent once, and nobody needs to know how far it got.
    pub(super) replay: Option<Replay<B>>,
    /// `None`: the request is sent once.
    pub(super) repeat: Option<Repeat<S, P>>,
    offer: Offer<R>,
}

/// What another attempt needs.
pub(super) struct Repeat<S, P> {
    service: S,
    policy: P,
    pub(super) head: Head,
    pub(super) trail: Trail,
    /// How often the attempt under way was refused by a tried peer.
    refusals: u32,
    pub(super) withdrawal: Option<Withdrawal>,
}

/// Where an error came from.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// The service could not be made ready: the request had not been given to it.
    Readiness,
    Call,
}

/// What follows an attempt.
pub(super) enum Next<R> {
    Done(Result<Response<R>, Error>),
    /// Another attempt, after a delay.
    Wait,
    /// Another attempt at once.
    Now,
}

impl<S, P, B, R> Attempts<S, P, B, R> {
    pub(super) fn next_start(&self) -> Instant {
        self.clock.next_start()
    }

    /// Why the attempt in flight has taken too long, if it has.
    pub(super) fn overdue(&self) -> Option<Ended> {
        self.clock.overdue(self.waiting_since())
    }

    /// When [`overdue`](Self::overdue) is to be asked again.
    pub(super) fn next_check(&self) -> Option<Instant> {
        self.clock.next_check(self.waiting_since())
    }

    /// Since when it is the peer's turn; `None` while the sender of the request is waited for.
    fn waiting_since(&self) -> Option<Instant> {
        let begun = self.clock.begun();
        match &self.replay {
            Some(replay) => replay.waiting_since(begun),
            None => Some(begun),
        }
    }

    fn peer(&self) -> Option<Peer> {
        self.repeat.as_ref()?.trail.peer()
    }

    pub(super) fn end(&self, why: Ended) {
        if let Some(repeat) = &self.repeat {
            repeat.trail.end(why);
        }
    }
}

impl<S, P, B, R> Attempts<S, P, B, R>
where
    S: Service<Request<ReplayBody<B>>, Response = Response<R>> + Clone,
    S::Error: Into<BoxError>,
    P: Policy,
    B: Body + Unpin,
    B::Error: Into<BoxError>,
    R: Body,
{
    /// Sends a request once: there is nothing to decide, and only the clock binds it.
    pub(super) fn once(
        ready: &mut S,
        limits: Arc<Limits>,
        head: Parts,
        body: B,
    ) -> (Self, S::Future) {
        let clock = Clock::start(&limits, &head);
        let (replay, body) = if limits.per_try_timeout.is_some() {
            let (replay, body) = Replay::begin(body, limits.keep());
            replay.commit();
            (Some(replay), body)
        } else {
            (None, ReplayBody::direct(body))
        };
        let future = ready.call(Request::from_parts(head, body));
        (Self::new(limits, clock, replay, None), future)
    }

    /// Sends a request for the first time, and remembers what it takes to send it again.
    pub(super) fn repeatable(
        mut ready: S,
        mut policy: P,
        limits: Arc<Limits>,
        mut parts: Parts,
        body: B,
    ) -> (Self, S::Future) {
        if let Some(budget) = &limits.budget {
            budget.deposit();
        }
        let clock = Clock::start(&limits, &parts);
        let (replay, body) = Replay::begin(body, limits.keep());
        let (head, trail) = (Head::take(&parts), Trail::new());
        policy.prepare(&clock.view(&head, &trail, &replay), &mut parts);
        parts.extensions.insert(trail.clone());
        let future = ready.call(Request::from_parts(parts, body));
        let repeat = Repeat {
            service: ready,
            policy,
            head,
            trail,
            refusals: 0,
            withdrawal: None,
        };
        (Self::new(limits, clock, Some(replay), Some(repeat)), future)
    }

    fn new(
        limits: Arc<Limits>,
        clock: Clock,
        replay: Option<Replay<B>>,
        repeat: Option<Repeat<S, P>>,
    ) -> Self {
        Self {
            limits,
            clock,
            replay,
            repeat,
            offer: Offer::nothing(),
        }
    }

    /// Makes the service ready for the next attempt.
    pub(super) fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        match &mut self.repeat {
            Some(repeat) => repeat.service.poll_ready(cx).map_err(Into::into),
            None => Poll::Ready(Ok(())),
        }
    }

    /// Why it is too late for the next attempt, if it is.
    pub(super) fn late(&self) -> Option<Late> {
        self.clock.late()
    }

    /// When [`late`](Self::late) is to be asked again.
    pub(super) fn next_late(&self) -> Option<Instant> {
        self.clock.next_late()
    }

    /// The delay is over: the next attempt begins with making the service ready.
    pub(super) fn begin(&mut self) {
        self.clock.begin();
    }

    /// Starts the next attempt; the service is ready.
    pub(super) fn launch(&mut self) -> Result<S::Future, Next<R>> {
        if let Some(late) = self.late() {
            return Err(self.on_late(late));
        }
        let (Some(repeat), Some(replay)) = (&mut self.repeat, &self.replay) else {
            return Err(Next::Done(self.offer.close()));
        };
        let Ok(body) = replay.start() else {
            return Err(Next::Done(self.offer.close()));
        };
        let mut parts = repeat.head.restore();
        let attempt = self.clock.view(&repeat.head, &repeat.trail, replay);
        repeat.policy.prepare(&attempt, &mut parts);
        parts.extensions.insert(repeat.trail.clone());
        if let Some(withdrawal) = &mut repeat.withdrawal {
            withdrawal.spend();
        }
        if attempt.number() == self.limits.max_attempts {
            replay.commit_when_read();
        }
        Ok(repeat.service.call(Request::from_parts(parts, body)))
    }

    /// Decides about a response: it is delivered, or held, or dropped, but never dropped unless
    /// another attempt was admitted.
    pub(super) fn on_response(&mut self, response: Response<R>, cx: &mut Context<'_>) -> Next<R> {
        let (Some(repeat), Some(replay)) = (&mut self.repeat, &self.replay) else {
            return Next::Done(Ok(response));
        };
        // After a switch the connection speaks another protocol; there is nothing to repeat.
        let (verdict, response) = if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            (Verdict::deliver(), response)
        } else {
            let (parts, body) = response.into_parts();
            let attempt = self.clock.view(&repeat.head, &repeat.trail, replay);
            let verdict = repeat.policy.upstream_response_decision(&attempt, &parts);
            (verdict, Response::from_parts(parts, body))
        };
        if verdict.is_deliver() && self.offer.is_untouched() {
            return Next::Done(Ok(response));
        }
        let admitted = self.admit(verdict, Stage::MaybeProcessed);
        let peer = self.peer();
        match admitted {
            Ok(route) => {
                let sent = self.replay.as_ref().is_none_or(Replay::is_sent_in_full);
                self.offer.decline(response, sent, peer, cx);
                self.offer.show(Ok(()));
                self.advance(route, verdict)
            }
            Err(why) => {
                let response = self.offer.deliver(response, peer, cx);
                if !verdict.is_deliver() {
                    self.offer.show(Err(why));
                }
                Next::Done(Ok(self.offer.report(response)))
            }
        }
    }

    /// Decides about an error of the service.
    pub(super) fn on_error(&mut self, error: BoxError, step: Step) -> Next<R> {
        if let Some(no_peer) = failure::no_peer(&*error) {
            return self.on_no_peer(no_peer, error);
        }
        let mut evidence = self.limits.evidence(&*error);
        if step == Step::Readiness {
            evidence.stage = Stage::NotSent;
        } else if self.has_source_failed(&*error) {
            evidence = Evidence {
                stage: Stage::MaybeProcessed,
                kind: FailureKind::RequestBody,
            };
        }
        let next = self.on_failure(evidence, Some(error));
        if let (Step::Readiness, Some(repeat)) = (step, &mut self.repeat) {
            // A service that failed its readiness must not be polled again; its clone may.
            repeat.service = repeat.service.clone();
        }
        next
    }

    /// Decides about an attempt that was ended for taking too long.
    pub(super) fn on_overdue(&mut self, ended: Ended) -> Next<R> {
        let evidence = |kind| Evidence {
            stage: Stage::MaybeProcessed,
            kind,
        };
        if ended == Ended::TimedOut {
            let mut evidence = evidence(FailureKind::Timeout);
            if self
                .repeat
                .as_ref()
                .is_some_and(|repeat| repeat.trail.is_waiting())
            {
                evidence.stage = Stage::NotSent;
            }
            return self.on_failure(evidence, None);
        }
        let peer = self.peer();
        self.offer.fail(evidence(FailureKind::Deadline), None, peer);
        self.offer.show(Err("deadline"));
        Next::Done(self.offer.close())
    }

    /// Decides about a service that takes too long to be ready for the next attempt, or is ready too
    /// late for it.
    pub(super) fn on_late(&mut self, late: Late) -> Next<R> {
        match late {
            Late::Try => {
                let evidence = Evidence {
                    stage: Stage::NotSent,
                    kind: FailureKind::Timeout,
                };
                self.on_failure(evidence, None)
            }
            Late::Deadline | Late::Window => {
                let (kind, why) = match late {
                    Late::Deadline => (Some(FailureKind::Deadline), "deadline"),
                    _ => (None, "retry window"),
                };
                if let Some(kind) = kind {
                    self.offer.run_out(kind);
                }
                self.offer.show(Err(why));
                Next::Done(self.offer.close())
            }
        }
    }

    fn on_failure(&mut self, evidence: Evidence, source: Option<BoxError>) -> Next<R> {
        let peer = self.peer();
        let (Some(repeat), Some(replay)) = (&mut self.repeat, &self.replay) else {
            self.offer.fail(evidence, source, peer);
            self.offer.show(Err("request is sent once"));
            return Next::Done(self.offer.close());
        };
        let failure = Failure::new(evidence, source).on_connection(repeat.trail.reused());
        // Overload that no peer was chosen for is our own: another attempt would add to it.
        let own_overload = evidence.kind == FailureKind::Overload && peer.is_none();
        let attempt = self.clock.view(&repeat.head, &repeat.trail, replay);
        let verdict = match evidence.stage {
            _ if own_overload => Verdict::deliver(),
            Stage::NotSent => repeat.policy.fail_to_connect(&attempt, &failure),
            _ => repeat.policy.error_while_proxy(&attempt, &failure),
        };
        let admitted = self.admit(verdict, evidence.stage);
        self.offer.fail(evidence, failure.into_source(), peer);
        self.offer.show(admitted.map(|_| ()));
        match admitted {
            Ok(route) => self.advance(route, verdict),
            Err(_) => Next::Done(self.offer.close()),
        }
    }

    /// No peer was called: this was no attempt.
    fn on_no_peer(&mut self, no_peer: NoPeer, error: BoxError) -> Next<R> {
        if let (Some(repeat), Some(replay)) = (&mut self.repeat, &self.replay) {
            if let Some(withdrawal) = &mut repeat.withdrawal {
                withdrawal.unspend();
            }
            if no_peer.is_tried() {
                repeat.refusals += 1;
                // The first who is asked after all these takes it, if it may go to a tried peer.
                if repeat.refusals <= MOST_REFUSALS || repeat.trail.relent() {
                    replay.revoke();
                    return Next::Now;
                }
            }
        }
        self.offer.no_peer(error);
        self.offer.show(Err("no peer"));
        Next::Done(self.offer.close())
    }

    fn advance(&mut self, route: Route, verdict: Verdict) -> Next<R> {
        if let (Some(repeat), Some(replay)) = (&mut self.repeat, &self.replay) {
            replay.revoke();
            repeat.trail = repeat.trail.next(route);
            repeat.refusals = 0;
        }
        if verdict.delay().is_zero() {
            Next::Now
        } else {
            Next::Wait
        }
    }

    fn has_source_failed(&self, error: &(dyn std::error::Error + 'static)) -> bool {
        match &self.replay {
            Some(replay) => replay.has_source_failed(),
            None => ReplayError::find(error).is_some_and(ReplayError::is_source_failed),
        }
    }
}
