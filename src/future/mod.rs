//! The attempt loop, as one state machine.

mod attempts;
mod begin;
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
    task::{Context, Poll, ready},
};

use http::{Request, Response};
use http_body::Body;
use pin_project_lite::pin_project;
use tokio::time::Instant;
use tower_service::Service;

pub(crate) use self::attempts::Call;
use self::{attempts::Attempts, clock::Late, next::Next, outcome::Step};
use crate::{BoxError, Error, limits::Alarm, policy::Policy, replay::ReplayBody, trail::Ended};

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
                    Poll::Ready(Ok(response)) => {
                        let (parts, body) = response.into_parts();
                        let verdict = attempts.judge(&parts);
                        let response = Response::from_parts(parts, body);
                        if attempts.is_final(verdict) {
                            this.state.set(State::Finished);
                            return Poll::Ready(Ok(response));
                        }
                        attempts.on_response(response, verdict, cx)
                    }
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
/// asked, and `next` says when to ask after that. It looks at the clock, and is not asked before.
fn poll_due<T>(
    mut alarm: Pin<&mut Alarm>,
    cx: &mut Context<'_>,
    due: impl Fn() -> Option<T>,
    next: impl Fn() -> Option<Instant>,
) -> Poll<T> {
    loop {
        let Some(at) = next() else {
            return Poll::Pending;
        };
        ready!(alarm.as_mut().poll_until(at, cx));
        if let Some(due) = due() {
            return Poll::Ready(due);
        }
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
