use std::task::Context;

use http::{Response, StatusCode, response::Parts};
use http_body::Body;
use tower_service::Service;

use super::{attempts::Attempts, clock::Late, next::Next};
use crate::{
    BoxError,
    failure::{self, Evidence, Failure, FailureKind, Stage},
    policy::{self, Policy, Verdict},
    replay::{Replay, ReplayBody, ReplayError},
    trail::{Ended, NoPeer, Route, Trail},
};

/// How often a service that picks blindly may pick a tried peer before it is taken at its word that
/// there is no other. Of two peers picked evenly, all of these miss the other once in four billion.
const MOST_REFUSALS: u32 = 32;

/// Where an error came from.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// The service could not be made ready: the request had not been given to it.
    Readiness,
    Call,
}

/// What an attempt came to, and what follows.
impl<S, P, B, R> Attempts<S, P, B, R>
where
    S: Service<http::Request<ReplayBody<B>>, Response = Response<R>> + Clone,
    S::Error: Into<BoxError>,
    P: Policy,
    B: Body + Unpin,
    B::Error: Into<BoxError>,
    R: Body,
{
    /// What the policy says of a response.
    pub(super) fn judge(&mut self, response: &Parts) -> Verdict {
        let (Some(repeat), Some(replay)) = (&mut self.repeat, &self.replay) else {
            return Verdict::deliver();
        };
        // After a switch the connection speaks another protocol; there is nothing to repeat.
        if response.status == StatusCode::SWITCHING_PROTOCOLS {
            return Verdict::deliver();
        }
        let attempt = self.clock.view(&self.limits, &repeat.head, replay);
        repeat.policy.upstream_response_decision(&attempt, response)
    }

    /// Whether the first response is delivered as it is, which is what nearly always happens.
    pub(super) fn is_final(&self, verdict: Verdict) -> bool {
        verdict.is_deliver() && self.offer.is_untouched()
    }

    /// Decides about a response that is not [final](Self::is_final): it is delivered, or held, or dropped, but never
    /// dropped unless another attempt was admitted.
    pub(super) fn on_response(
        &mut self,
        response: Response<R>,
        verdict: Verdict,
        cx: &mut Context<'_>,
    ) -> Next<R> {
        let admitted = self.admit(verdict, Stage::MaybeProcessed);
        let peer = self.peer();
        let stage = verdict.proved(Stage::MaybeProcessed);
        let invites = stage != Stage::MaybeProcessed && !self.is_safe_to_repeat();
        match admitted {
            Ok(route) => {
                let sent = self.replay.as_ref().is_none_or(Replay::is_sent_in_full);
                self.offer
                    .decline(response, (stage, invites), sent, peer, cx);
                self.offer.show(Ok(()));
                self.advance(route, verdict)
            }
            // Whoever read that would send again what may have been processed before.
            Err(why) if invites && self.offer.may_be_processed() => {
                self.offer.decline(response, (stage, true), true, peer, cx);
                self.offer.show(Err(why));
                Next::Done(self.offer.close())
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
    ///
    /// That it had no connection proves nothing: another task may be making one, and send over it before it
    /// hears of the end.
    pub(super) fn on_overdue(&mut self, ended: Ended) -> Next<R> {
        let stage = if self.trail().is_some_and(Trail::is_waiting) {
            Stage::NotSent
        } else {
            Stage::MaybeProcessed
        };
        let evidence = |kind| Evidence { stage, kind };
        if ended == Ended::Deadline && self.trail().is_some_and(Trail::is_awaiting) {
            // There was no peer in all that time.
            self.offer.no_peer(NoPeer::exhausted().into());
            self.offer.show(Err("no peer"));
            return Next::Done(self.offer.close());
        }
        if ended == Ended::TimedOut {
            return self.on_failure(evidence(FailureKind::Timeout), None);
        }
        let failure = Failure::new(evidence(FailureKind::Deadline), None);
        self.follow(failure, Verdict::deliver(), Err("deadline"))
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
                return self.on_failure(evidence, None);
            }
            Late::Deadline => {
                self.offer.run_out();
                self.offer.show(Err("deadline"));
            }
            Late::Window => self.offer.show(Err("retry window")),
        }
        Next::Done(self.offer.close())
    }

    /// Asks the policy and the limits about a failure.
    fn on_failure(&mut self, evidence: Evidence, source: Option<BoxError>) -> Next<R> {
        let failure = Failure::new(evidence, source);
        let peer = self.peer();
        let (Some(repeat), Some(replay)) = (&mut self.repeat, &self.replay) else {
            return self.follow(failure, Verdict::deliver(), Err("request is sent once"));
        };
        let failure = failure.on_connection(repeat.head.trail.reused());
        // Overload that no peer was chosen for is our own: another attempt would add to it.
        let own_overload = evidence.kind == FailureKind::Overload && peer.is_none();
        let attempt = self.clock.view(&self.limits, &repeat.head, replay);
        let verdict = match evidence.stage {
            _ if own_overload => Verdict::deliver(),
            Stage::NotSent => repeat.policy.fail_to_connect(&attempt, &failure),
            _ => repeat.policy.error_while_proxy(&attempt, &failure),
        };
        let admitted = self.admit(verdict, evidence.stage);
        self.follow(failure, verdict, admitted)
    }

    /// Does what was decided about a failure: another attempt, or why there is none.
    fn follow(
        &mut self,
        failure: Failure,
        verdict: Verdict,
        admitted: Result<Route, &'static str>,
    ) -> Next<R> {
        let peer = self.peer();
        self.offer.fail(failure, verdict, peer);
        self.offer.show(admitted.map(|_| ()));
        match admitted {
            Ok(route) => self.advance(route, verdict),
            Err(_) => Next::Done(self.offer.close()),
        }
    }

    /// No peer was called: this was no attempt.
    fn on_no_peer(&mut self, no_peer: NoPeer, error: BoxError) -> Next<R> {
        if let (Some(repeat), Some(replay)) = (&mut self.repeat, &self.replay) {
            repeat.purse.unspend();
            if no_peer.is_tried() {
                repeat.refusals += 1;
                // The first who is asked after all these takes it, if it may go to a tried peer.
                if repeat.refusals <= MOST_REFUSALS || repeat.head.trail.relent() {
                    replay.revoke_all();
                    return Next::Now;
                }
            }
            if repeat.head.trail.unbind() {
                // The peer that was to be tried again is gone; another may be left.
                repeat.refusals = 0;
                replay.revoke_all();
                return Next::Now;
            }
        }
        self.offer.no_peer(error);
        self.offer.show(Err("no peer"));
        Next::Done(self.offer.close())
    }

    fn advance(&mut self, route: Route, verdict: Verdict) -> Next<R> {
        if let (Some(repeat), Some(replay)) = (&mut self.repeat, &self.replay) {
            replay.revoke_all();
            repeat.head.trail = repeat.head.trail.next(route);
            repeat.refusals = 0;
        }
        if verdict.delay().is_zero() {
            Next::Now
        } else {
            Next::Wait
        }
    }

    fn is_safe_to_repeat(&self) -> bool {
        let repeat = self.repeat.as_ref();
        repeat.is_none_or(|repeat| policy::is_safe_to_repeat(&repeat.head))
    }

    fn has_source_failed(&self, error: &(dyn std::error::Error + 'static)) -> bool {
        match &self.replay {
            Some(replay) => replay.has_source_failed(),
            None => ReplayError::find(error).is_some_and(ReplayError::is_source_failed),
        }
    }
}
