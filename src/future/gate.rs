use http::Request;
use tower_service::Service;

use super::attempts::Attempts;
use crate::{failure::Stage, limits::Limits, policy::Verdict, replay::ReplayBody, trail::Route};

impl<S, P, B, R> Attempts<S, P, B, R>
where
    S: Service<Request<ReplayBody<B>>>,
{
    /// Whether the layer's limits let the verdict's attempt happen; if so, what it takes is set
    /// aside.
    pub(super) fn admit(&mut self, verdict: Verdict, stage: Stage) -> Result<Route, &'static str> {
        let (Some(repeat), Some(replay)) = (&mut self.repeat, &self.replay) else {
            return Err("request is sent once");
        };
        let route = verdict.route().ok_or("policy")?;
        let attempt = self.clock.view(&self.limits, &repeat.head, replay);
        let untried = attempt.has_untried_peer();
        if !Limits::allow_attempt(repeat.max_attempts, attempt.number(), untried) {
            return Err("attempts");
        }
        if (route, untried) == (Route::Other { or_tried: false }, Some(false)) {
            return Err("no untried peer");
        }
        let stage = verdict.proved(stage);
        let may_repeat = stage != Stage::MaybeProcessed || verdict.repeats_unsafe();
        if !may_repeat && !attempt.is_safe_to_repeat() {
            return Err("request is not safe to repeat");
        }
        if attempt.can_replay().is_err() {
            return Err("request body cannot be replayed");
        }
        // To a peer that the request has not been to: where peers have names, an attempt that may go
        // to no tried one goes to another.
        let elsewhere = match (route, untried) {
            (Route::Same { .. }, _) => false,
            (Route::Other { .. }, Some(untried)) => untried,
            (Route::Other { or_tried }, None) => !or_tried && attempt.peer().is_some(),
        };
        self.clock.plan(&self.limits, verdict.delay())?;
        // What was not sent cost the upstreams nothing, and a dead peer must not use up the retries
        // that the others need.
        let free = stage == Stage::NotSent && elsewhere;
        match &self.limits.budget {
            Some(budget) if !free => {
                if !repeat.purse.set_aside(budget) {
                    return Err("budget");
                }
            }
            _ => repeat.purse.release(),
        }
        Ok(route)
    }
}
