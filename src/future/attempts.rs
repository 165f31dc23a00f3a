use std::{
    sync::Arc,
    task::{Context, Poll},
};

use http::{Request, Response};
use http_body::Body;
use tokio::time::Instant;
use tower_service::Service;
use tracing::{debug, field};

use super::{
    clock::{Clock, Late},
    next::Next,
    offer::Offer,
    tell::tell,
};
use crate::{
    BoxError,
    head::Head,
    limits::{Limits, Purse},
    policy::Policy,
    replay::{Replay, ReplayBody},
    trail::{Ended, Peer, Trail},
};

/// The attempts of one request: what was tried, what is held, and whether there may be another.
pub(super) struct Attempts<S, P, B, R>
where
    S: Service<Request<ReplayBody<B>>>,
{
    pub(super) limits: Arc<Limits>,
    pub(super) clock: Clock,
    /// `None`: the body is sent once, and nobody needs to know how far it got.
    pub(super) replay: Option<Replay<B>>,
    /// `None`: the request is sent once.
    pub(super) repeat: Option<Repeat<S, P, B>>,
    /// Of a request that is sent once, if it is timed.
    pub(super) lone: Option<Trail>,
    pub(super) offer: Offer<R>,
}

/// How a service is called with an attempt's request, and given its trail.
pub(crate) type Call<S, B> =
    fn(&mut S, Request<ReplayBody<B>>, Trail) -> <S as Service<Request<ReplayBody<B>>>>::Future;

/// What another attempt needs.
pub(super) struct Repeat<S, P, B>
where
    S: Service<Request<ReplayBody<B>>>,
{
    pub(super) call: Call<S, B>,
    pub(super) service: S,
    pub(super) policy: P,
    pub(super) head: Head,
    /// How often the attempt under way was refused by a tried peer.
    pub(super) refusals: u32,
    pub(super) max_attempts: u32,
    pub(super) purse: Purse,
}

impl<S, P, B, R> Attempts<S, P, B, R>
where
    S: Service<Request<ReplayBody<B>>>,
{
    pub(super) fn next_start(&self) -> Instant {
        self.clock.next_start()
    }

    /// Why the attempt in flight has taken too long, if it has.
    pub(super) fn overdue(&self) -> Option<Ended> {
        self.clock.overdue(&self.limits, || self.waiting_since())
    }

    /// When [`overdue`](Self::overdue) is to be asked again.
    pub(super) fn next_check(&self) -> Option<Instant> {
        self.clock.next_check(&self.limits, || self.waiting_since())
    }

    /// Since when it is the peer's turn; `None` while the sender of the request is waited for, or a
    /// connection.
    fn waiting_since(&self) -> Option<Instant> {
        let begun = self.clock.begun();
        let since = match &self.replay {
            Some(replay) => replay.waiting_since(begun)?,
            None => begun,
        };
        match self.trail() {
            Some(trail) => trail.waiting_since(since),
            None => Some(since),
        }
    }

    /// Why it is too late for the next attempt, if it is.
    pub(super) fn late(&self) -> Option<Late> {
        self.clock.late(&self.limits)
    }

    /// When [`late`](Self::late) is to be asked again.
    pub(super) fn next_late(&self) -> Option<Instant> {
        self.clock.next_late(&self.limits)
    }

    /// The delay is over: the next attempt begins with making the service ready.
    pub(super) fn begin(&mut self) {
        self.clock.begin();
    }

    /// Lets the attempt under way take longer, if it is one that may; returns whether it does. Where it was
    /// `sent`, its peer has had its time.
    pub(super) fn lift(&mut self, sent: bool) -> bool {
        let lifts = self.limits.lift_on_last && self.is_last();
        if lifts {
            self.clock.lift();
            if let Some(trail) = self.trail().filter(|_| sent) {
                trail.set_overdue();
            }
            debug!(
                peer = self.peer().map(field::display),
                "attempt goes on after its time"
            );
        }
        lifts
    }

    /// Whether no other attempt can follow, whatever a policy says.
    fn is_last(&self) -> bool {
        let (Some(repeat), Some(replay)) = (&self.repeat, &self.replay) else {
            return true;
        };
        let (most, trail) = (repeat.max_attempts, &repeat.head.trail);
        let untried = trail.has_untried();
        let each_once = most == 0 && untried == Some(false);
        each_once
            || !Limits::allow_attempt(most, trail.attempt(), untried)
            || replay.check().is_err()
    }

    pub(super) fn peer(&self) -> Option<Peer> {
        self.trail()?.peer()
    }

    pub(super) fn trail(&self) -> Option<&Trail> {
        let repeat = self.repeat.as_ref().map(|repeat| &repeat.head.trail);
        repeat.or(self.lone.as_ref())
    }

    /// Ends the attempt in flight, before its future is dropped.
    ///
    /// Its body goes first: an exchange that is dropped with its body half sent can look to the peer
    /// like a whole one, and an exchange whose body fails does not.
    pub(super) fn end(&self, why: Ended) {
        if why == Ended::Deadline && self.clock.was_wasted(&self.limits, || self.waiting_since()) {
            if let Some(trail) = self.trail() {
                trail.set_overdue();
            }
        }
        if let Some(replay) = &self.replay {
            replay.revoke_all();
        }
        if let Some(trail) = self.trail() {
            trail.end(why);
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
    /// Makes the service ready for the next attempt.
    pub(super) fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        match &mut self.repeat {
            Some(repeat) => repeat.service.poll_ready(cx).map_err(Into::into),
            None => Poll::Ready(Ok(())),
        }
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
        let attempt = self.clock.view(&self.limits, &repeat.head, replay);
        let number = (attempt.number(), repeat.max_attempts);
        tell(&self.limits, &self.clock, number, &mut parts);
        repeat.policy.prepare(&attempt, &mut parts);
        repeat.purse.spend();
        if attempt.number() == repeat.max_attempts {
            replay.commit_when_read();
        }
        self.clock.call();
        let (request, trail) = (Request::from_parts(parts, body), repeat.head.trail.clone());
        Ok((repeat.call)(&mut repeat.service, request, trail))
    }
}
