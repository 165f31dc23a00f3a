//! The attempt loop, as one state machine.

mod attempts;
mod clock;
mod drain;
mod gate;
mod next;
mod offer;
mod outcome;
mod tell;

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use http::{Request, Response, request::Parts};
use http_body::Body;
use pin_project_lite::pin_project;
use tokio::time::Instant;
use tower_service::Service;

use self::{attempts::Attempts, clock::Late, next::Next, outcome::Step};
use crate::{
    BoxError, Error,
    failure::Stage,
    limits::{Alarm, Limits},
    policy::Policy,
    replay::ReplayBody,
    report::Report,
    trail::Ended,
};

pin_project! {
    /// The future of a [`Failover`](crate::Failover)'s response.
    ///
    /// It owns everything that the request needs: dropping it ends the attempt in flight, gives back
    /// what was reserved, and leaves nothing running.
    pub struct ResponseFuture<S, P, B, R>
    where
        S: Service<Request<ReplayBody<B>>>,
    {
        #[pin]
        state: State<S::Future>,
        // Dropped after the attempt in flight.
        attempts: Attempts<S, P, B, R>,
        #[pin]
        alarm: Alarm,
    }

    impl<S, P, B, R> PinnedDrop for ResponseFuture<S, P, B, R>
    where
        S: Service<Request<ReplayBody<B>>>,
    {
        fn drop(this: Pin<&mut Self>) {
            let this = this.project();
            if !matches!(*this.state, State::Finished) {
                this.attempts.end(Ended::Abandoned);
            }
        }
    }
}

pin_project! {
    #[project = StateProj]
    enum State<F> {
        /// An attempt is in flight.
        Calling { #[pin] future: F },
        /// The delay before the next attempt runs.
        Waiting,
        /// The service is being made ready for the next attempt.
        Readying,
        Finished,
    }
}

impl<S, P, B, R> ResponseFuture<S, P, B, R>
where
    S: Service<Request<ReplayBody<B>>, Response = Response<R>> + Clone,
    S::Error: Into<BoxError>,
    P: Policy,
    B: Body + Unpin,
    B::Error: Into<BoxError>,
    R: Body,
{
    /// Calls `ready` with a request that can be sent again.
    pub(crate) fn repeatable(
        ready: S,
        policy: P,
        limits: Arc<Limits>,
        max_attempts: u32,
        head: Parts,
        body: B,
    ) -> Self {
        let (attempts, future) =
            Attempts::repeatable(ready, policy, limits, max_attempts, head, body);
        Self::begin(attempts, future)
    }

    /// Calls `ready` with a request that is sent once, whatever happens.
    pub(crate) fn once(ready: &mut S, limits: Arc<Limits>, head: Parts, body: B) -> Self {
        let (attempts, future) = Attempts::once(ready, limits, head, body);
        Self::begin(attempts, future)
    }

    /// A request that came too late to be sent finds that out when the service is ready.
    fn begin(attempts: Attempts<S, P, B, R>, future: Option<S::Future>) -> Self {
        Self {
            state: future.map_or(State::Readying, |future| State::Calling { future }),
            attempts,
            alarm: Alarm::unset(),
        }
    }

    /// The error of a service that never became ready for a first attempt.
    pub(crate) fn not_ready(limits: &Limits, error: BoxError) -> Error {
        let mut evidence = limits.evidence(&*error);
        evidence.stage = Stage::NotSent;
        Error::new(evidence, Report::default(), Some(error))
    }
}

impl<S, P, B, R> Future for ResponseFuture<S, P, B, R>
where
    S: Service<Request<ReplayBody<B>>, Response = Response<R>> + Clone,
    S::Error: Into<BoxError>,
    P: Policy,
    B: Body + Unpin,
    B::Error: Into<BoxError>,
    R: Body,
{
    type Output = Result<Response<R>, Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let attempts = this.attempts;
        loop {
            let next = match this.state.as_mut().project() {
                StateProj::Calling { future } => match future.poll(cx) {
                    Poll::Ready(Ok(response)) => attempts.on_response(response, cx),
                    Poll::Ready(Err(error)) => attempts.on_error(error.into(), Step::Call),
                    Poll::Pending => {
                        let ended = ready!(poll_due(
                            this.alarm.as_mut(),
                            cx,
                            || attempts.overdue(),
                            || attempts.next_check(),
                        ));
                        if ended == Ended::TimedOut && attempts.lift(true) {
                            continue;
                        }
                        // Whoever is dropped with the future learns why from the trail; and only an
                        // attempt that has ended can be said to have called nobody.
                        attempts.end(ended);
                        this.state.set(State::Waiting);
                        attempts.on_overdue(ended)
                    }
                },
                StateProj::Waiting => {
                    ready!(this.alarm.as_mut().poll_until(attempts.next_start(), cx));
                    Next::Now
                }
                StateProj::Readying => match attempts.poll_ready(cx) {
                    Poll::Ready(Ok(())) => match attempts.launch() {
                        Ok(future) => {
                            this.state.set(State::Calling { future });
                            continue;
                        }
                        Err(failed) => failed,
                    },
                    Poll::Ready(Err(error)) => attempts.on_error(error, Step::Readiness),
                    Poll::Pending => {
                        let late = ready!(poll_due(
                            this.alarm.as_mut(),
                            cx,
                            || attempts.late(),
                            || attempts.next_late(),
                        ));
                        if late == Late::Try && attempts.lift(false) {
                            continue;
                        }
                        attempts.on_late(late)
                    }
                },
                StateProj::Finished => panic!("a failover future was polled after its end"),
            };
            // The old attempt's future goes first, so that nothing of it runs beside the next one.
            match next {
                Next::Done(result) => {
                    this.state.set(State::Finished);
                    return Poll::Ready(result);
                }
                Next::Wait => this.state.set(State::Waiting),
                Next::Now => {
                    attempts.begin();
                    this.state.set(State::Readying);
                }
            }
        }
    }
}

/// Waits until there is something that is due.
///
/// What an attempt waits for can have changed since the alarm was set: each time it goes off, `due` is
/// asked again, and `next` says when to ask after that.
fn poll_due<T>(
    mut alarm: Pin<&mut Alarm>,
    cx: &mut Context<'_>,
    due: impl Fn() -> Option<T>,
    next: impl Fn() -> Option<Instant>,
) -> Poll<T> {
    loop {
        if let Some(due) = due() {
            return Poll::Ready(due);
        }
        let Some(at) = next() else {
            return Poll::Pending;
        };
        ready!(alarm.as_mut().poll_until(at, cx));
    }
}

impl<S, P, B, R> fmt::Debug for ResponseFuture<S, P, B, R>
where
    S: Service<Request<ReplayBody<B>>>,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}
