use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use http::{Request, Response};
use http_body::Body;
use pin_project_lite::pin_project;
use tower_service::Service;

use super::{
    ResponseBody,
    exchange::Exchange,
    order::{Order, State, StateProj, StateReplace},
    set::Set,
    settings::Settings,
};
use crate::{
    BoxError,
    trail::{Follow, NoPeer, Trail},
};

pin_project! {
    /// The future of a [`Balance`](super::Balance)'s response.
    pub struct ResponseFuture<S, B>
    where
        S: Service<Request<B>>,
    {
        #[pin]
        state: State<S, S::Future, B>,
    }
}

impl<S, B> ResponseFuture<S, B>
where
    S: Service<Request<B>> + Clone + Send + Sync + 'static,
    S::Error: Into<BoxError>,
{
    /// For a request that has its trail, if any, in its extensions.
    pub(super) fn new(request: Request<B>, set: &Arc<Set<S>>, settings: &Arc<Settings>) -> Self {
        let trail = Trail::of(request.extensions()).cloned();
        Self {
            state: Order::place(request, trail, set, settings, call),
        }
    }

    /// For a request that is given its trail.
    pub(super) fn follow(
        request: Request<B>,
        trail: Trail,
        set: &Arc<Set<S>>,
        settings: &Arc<Settings>,
    ) -> Self
    where
        S: Follow<Request<B>>,
    {
        Self {
            state: Order::place(request, Some(trail), set, settings, follow),
        }
    }
}

// Closures would move the request once more.

/// The trail is in the request's extensions.
fn call<S, B>(service: &mut S, request: Request<B>, _trail: Option<Trail>) -> S::Future
where
    S: Service<Request<B>>,
{
    service.call(request)
}

fn follow<S, B>(service: &mut S, request: Request<B>, trail: Option<Trail>) -> S::Future
where
    S: Follow<Request<B>>,
{
    match trail {
        Some(trail) => service.follow(request, trail),
        None => service.call(request),
    }
}

impl<S, B, R> Future for ResponseFuture<S, B>
where
    S: Service<Request<B>, Response = Response<R>> + Clone + Send + Sync + 'static,
    S::Error: Into<BoxError>,
    R: Body,
{
    type Output = Result<Response<ResponseBody<R>>, BoxError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.project().state;
        let finished = || State::Finished { error: None };
        loop {
            match state.as_mut().project() {
                StateProj::Awaiting { occupied, .. } => {
                    let occupied = ready!(occupied.as_mut().poll(cx));
                    if let StateReplace::Awaiting { order, .. } =
                        state.as_mut().project_replace(finished())
                    {
                        state.set(order.resume(occupied));
                    }
                }
                StateProj::Readying { order, readying } => {
                    let Some(readied) = ready!(order.poll_ready(readying, cx)) else {
                        state.set(State::finished(NoPeer::exhausted()));
                        continue;
                    };
                    if let StateReplace::Readying { order, readying } =
                        state.as_mut().project_replace(finished())
                    {
                        state.set(order.call(readying.into_first(), readied));
                    }
                }
                StateProj::Calling { future, exchange } => {
                    let result = ready!(future.poll(cx));
                    let mut exchange = exchange.take();
                    return Poll::Ready(match result {
                        Ok(response) => {
                            if let Some(exchange) = &mut exchange {
                                exchange.answered(&response);
                            }
                            Ok(response.map(|body| ResponseBody::new(body, exchange)))
                        }
                        Err(error) => Err(failed(error.into(), exchange)),
                    });
                }
                StateProj::Finished { error } => {
                    let error = error.take();
                    return Poll::Ready(Err(error.unwrap_or_else(|| NoPeer::exhausted().into())));
                }
            }
        }
    }
}

fn is_exhausted(error: &BoxError) -> bool {
    error.downcast_ref() == Some(&NoPeer::exhausted())
}

/// Tells an exchange that the call failed, and returns what the caller is told.
fn failed(error: BoxError, exchange: Option<Exchange>) -> BoxError {
    if let Some(mut exchange) = exchange {
        exchange.failed(&*error);
        if is_exhausted(&error) && exchange.exhaust() {
            // It was a balancer too; another pick may find another.
            return NoPeer::tried().into();
        }
    }
    error
}

impl<S, B> fmt::Debug for ResponseFuture<S, B>
where
    S: Service<Request<B>>,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}
