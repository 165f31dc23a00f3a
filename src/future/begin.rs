use std::{mem, sync::Arc};

use http::{Request, Response, request::Parts};
use http_body::Body;
use tower_service::Service;

use super::{
    ResponseFuture, State,
    attempts::{Attempts, Call, Repeat},
    clock::Clock,
    offer::Offer,
    tell::tell,
};
use crate::{
    BoxError,
    head::Head,
    limits::{Alarm, Limits, MaxAttempts, Purse},
    policy::Policy,
    replay::{Replay, ReplayBody},
    trail::Trail,
};

/// The first attempt. One that came too late to be sent finds that out when the service is ready.
///
/// A request that may be repeated is begun in one function: to hand its parts to another would move them once more.
impl<S, P, B, R> ResponseFuture<S, P, B, R>
where
    S: Service<Request<ReplayBody<B>>, Response = Response<R>> + Clone,
    S::Error: Into<BoxError>,
    P: Policy,
    B: Body + Unpin,
    B::Error: Into<BoxError>,
    R: Body,
{
    /// Sends a request for the first time, through a service that is ready.
    pub(crate) fn begin(
        call: Call<S, B>,
        inner: &mut S,
        mut policy: P,
        limits: &Arc<Limits>,
        request: Request<B>,
    ) -> Self {
        let (mut parts, body) = request.into_parts();
        let max_attempts = MaxAttempts::take(&mut parts.extensions, limits);
        if max_attempts == 1 || !policy.may_retry(&parts) {
            return Self::once(call, inner, limits, parts, body);
        }
        // The clone was not polled ready; it must not be the one that is called.
        let clone = inner.clone();
        let mut service = mem::replace(inner, clone);
        let clock = Clock::start(limits, &parts);
        let (replay, body) = Replay::begin(body, || limits.keep());
        let head = Head::take(&parts, limits.is_timed());
        let state = if clock.is_over() {
            State::Readying
        } else {
            if let Some(budget) = &limits.budget {
                budget.deposit();
            }
            tell(limits, &clock, (1, max_attempts), &mut parts);
            policy.prepare(&clock.view(limits, &head, &replay), &mut parts);
            let trail = head.trail.clone();
            State::Calling {
                future: call(&mut service, Request::from_parts(parts, body), trail),
            }
        };
        Self {
            state,
            attempts: Attempts {
                limits: Arc::clone(limits),
                clock,
                replay: Some(replay),
                repeat: Some(Repeat {
                    call,
                    service,
                    policy,
                    head,
                    refusals: 0,
                    max_attempts,
                    purse: Purse::default(),
                }),
                lone: None,
                offer: Offer::nothing(),
            },
            alarm: Alarm::unset(),
        }
    }

    /// Sends a request once: there is nothing to decide, and only the clock binds it.
    fn once(
        call: Call<S, B>,
        ready: &mut S,
        limits: &Arc<Limits>,
        mut head: Parts,
        body: B,
    ) -> Self {
        let clock = Clock::start(limits, &head);
        let timed = limits.is_timed();
        // Without a body it is the peer's turn all the time: whoever judges the peer is told why it ended.
        let tells = timed || (limits.deadline.is_some() && body.is_end_stream());
        let (replay, body) = if timed {
            let (replay, body) = Replay::begin(body, || limits.keep());
            replay.commit();
            (Some(replay), body)
        } else {
            (None, ReplayBody::direct(body))
        };
        // The trail of a failover above has more to say: who was tried before.
        let lone = (tells && Trail::of(&head.extensions).is_none()).then(|| Trail::begin(timed));
        let state = if clock.is_over() {
            State::Readying
        } else {
            tell(limits, &clock, (1, 1), &mut head);
            let request = Request::from_parts(head, body);
            State::Calling {
                future: match &lone {
                    Some(trail) => call(ready, request, trail.clone()),
                    None => ready.call(request),
                },
            }
        };
        Self {
            state,
            attempts: Attempts {
                limits: Arc::clone(limits),
                clock,
                replay,
                repeat: None,
                lone,
                offer: Offer::nothing(),
            },
            alarm: Alarm::unset(),
        }
    }
}
