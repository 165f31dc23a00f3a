use std::{
    sync::Arc,
    task::{Context, Poll},
};

use http::{Request, Response, StatusCode, request::Parts};
use http_body::Body;
use tokio::time::Instant;
use tower_service::Service;

use super::{clock::Clock, offer::Offer};
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
    limits: Arc<Limits>,
    clock: Clock,
    /// `None`: the body is sent once, and nobody needs to know how far it got.
    replay: Option<Replay<B>>,
    /// `None`: the request is sent once.
    repeat: Option<Repeat<S, P>>,
    offer: Offer<R>,
}

/// What another attempt needs.
struct Repeat<S, P> {
    service: S,
    policy: P,
    head: Head,
    trail: Trail,
    /// How often the attempt under way was refused by a tried peer.
    refusals: u32,
    withdrawal: Option<Withdrawal>,
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
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.clock.deadline()
    }

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

    /// Starts the next attempt; the service is ready.
    pub(super) fn launch(&mut self) -> Result<S::Future, Next<R>> {
        let (Some(repeat), Some(replay)) = (&mut self.repeat, &self.replay) else {
            return Err(Next::Done(self.offer.close()));
        };
        let Ok(body) = replay.start() else {
            return Err(Next::Done(self.offer.close()));
        };
        self.clock.begin();
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
    /// another attempt follows.
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
            Err(_) => Next::Done(Ok(self.offer.deliver(response, peer, cx))),
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
            return self.on_failure(evidence(FailureKind::Timeout), None);
        }
        let peer = self.peer();
        self.offer.fail(evidence(FailureKind::Deadline), None, peer);
        self.offer.show(Err("deadline"));
        Next::Done(self.offer.close())
    }

    /// The deadline passed before the next attempt could start.
    pub(super) fn on_late(&mut self) -> Next<R> {
        self.offer.run_out();
        Next::Done(self.offer.close())
    }

    fn on_failure(&mut self, evidence: Evidence, source: Option<BoxError>) -> Next<R> {
        let peer = self.peer();
        let (Some(repeat), Some(replay)) = (&mut self.repeat, &self.replay) else {
            self.offer.fail(evidence, source, peer);
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
            if no_peer.is_tried() && repeat.refusals < MOST_REFUSALS {
                repeat.refusals += 1;
                replay.revoke();
                return Next::Now;
            }
        }
        self.offer.no_peer(error);
        Next::Done(self.offer.close())
    }

    /// Whether the layer's limits let the verdict's attempt happen; if so, what it takes is set
    /// aside.
    fn admit(&mut self, verdict: Verdict, stage: Stage) -> Result<Route, &'static str> {
        let (Some(repeat), Some(replay)) = (&mut self.repeat, &self.replay) else {
            return Err("request is sent once");
        };
        let route = verdict.route().ok_or("policy")?;
        let attempt = self.clock.view(&repeat.head, &repeat.trail, replay);
        let may_repeat = stage != Stage::MaybeProcessed || verdict.repeats_unsafe();
        if !may_repeat && !attempt.is_safe_to_repeat() {
            return Err("request is not safe to repeat");
        }
        if attempt.can_replay().is_err() {
            return Err("request body cannot be replayed");
        }
        let untried = match route {
            Route::Same => None,
            Route::Other { .. } => attempt.has_untried_peer(),
        };
        if (route, untried) == (Route::Other { or_tried: false }, Some(false)) {
            return Err("no untried peer");
        }
        if !self.limits.allows_attempt(attempt.number(), untried) {
            return Err("attempts");
        }
        self.clock.plan(verdict.delay())?;
        // What was not sent cost the upstreams nothing, and a dead peer must not use up the retries
        // that the others need.
        let free = stage == Stage::NotSent && untried == Some(true);
        repeat.withdrawal = match &self.limits.budget {
            Some(budget) if !free => Some(budget.withdraw().ok_or("budget")?),
            _ => None,
        };
        Ok(route)
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
