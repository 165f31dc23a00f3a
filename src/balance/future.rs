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
    endpoint::Member,
    exchange::{Exchange, Rules},
    set::Set,
};
use crate::{
    BoxError,
    failure::NotSent,
    trail::{NoPeer, Roster, Trail},
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

pin_project! {
    #[project = StateProj]
    #[project_replace = StateReplace]
    enum State<S, F, B> {
        /// A peer was picked; its endpoint is being made ready.
        Readying { picked: Picked<S, B> },
        /// The endpoint was called.
        Calling { #[pin] future: F, exchange: Option<Exchange> },
        /// There was no peer, or there is nothing more to do.
        Finished,
    }
}

struct Picked<S, B> {
    request: Request<B>,
    member: Member<S>,
    set: Arc<Set<S>>,
    rules: Arc<Rules>,
}

impl<S, B> ResponseFuture<S, B>
where
    S: Service<Request<B>> + Clone,
{
    pub(super) fn new(
        request: Request<B>,
        member: Option<Member<S>>,
        set: &Arc<Set<S>>,
        rules: &Arc<Rules>,
    ) -> Self {
        let state = match member {
            Some(member) => State::Readying {
                picked: Picked {
                    request,
                    member,
                    set: Arc::clone(set),
                    rules: Arc::clone(rules),
                },
            },
            None => State::Finished,
        };
        Self { state }
    }
}

impl<S, B> Picked<S, B>
where
    S: Service<Request<B>> + Clone + Send + Sync + 'static,
    S::Error: Into<BoxError>,
{
    fn approach(&self) -> bool {
        let set = Arc::clone(&self.set);
        Trail::of(self.request.extensions())
            .is_none_or(|trail| trail.approach(self.member.peer(), Some(set)))
    }

    /// Calls the endpoint, which is ready, or failed to be.
    fn call(self, readied: Result<(), S::Error>) -> Result<(S::Future, Exchange), BoxError> {
        let Self {
            request,
            mut member,
            set,
            rules,
        } = self;
        let trail = Trail::of(request.extensions()).cloned();
        if let Some(trail) = &trail {
            if !trail.choose(member.peer(), Some(set as Arc<dyn Roster>)) {
                return Err(NoPeer::exhausted().into());
            }
        }
        let mut exchange = Exchange::begin(member.health, rules, trail);
        if let Err(error) = readied {
            let error = error.into();
            exchange.failed(&*error);
            return Err(NotSent::new(error).into());
        }
        Ok((member.service.call(request), exchange))
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
        loop {
            let readied = match state.as_mut().project() {
                StateProj::Readying { picked } => match picked.member.service.poll_ready(cx) {
                    Poll::Ready(readied) => readied,
                    Poll::Pending => {
                        // An attempt that is ended here has been here.
                        if !picked.approach() {
                            return Poll::Ready(Err(NoPeer::exhausted().into()));
                        }
                        return Poll::Pending;
                    }
                },
                StateProj::Calling { future, exchange } => {
                    let result = ready!(future.poll(cx)).map_err(Into::into);
                    return Poll::Ready(settle(result, exchange.take()));
                }
                StateProj::Finished => return Poll::Ready(Err(NoPeer::exhausted().into())),
            };
            match state.as_mut().project_replace(State::Finished) {
                StateReplace::Readying { picked } => {
                    let (future, exchange) = picked.call(readied)?;
                    let exchange = Some(exchange);
                    state.set(State::Calling { future, exchange });
                }
                _ => return Poll::Ready(Err(NoPeer::exhausted().into())),
            }
        }
    }
}

fn is_exhausted(error: &BoxError) -> bool {
    error.downcast_ref() == Some(&NoPeer::exhausted())
}

/// Tells the exchange what came of the call, and lets a response's body carry it on.
fn settle<R: Body>(
    result: Result<Response<R>, BoxError>,
    mut exchange: Option<Exchange>,
) -> Result<Response<ResponseBody<R>>, BoxError> {
    if let Some(exchange) = &mut exchange {
        match &result {
            Ok(response) => exchange.answered(response.status()),
            Err(error) => exchange.failed(&**error),
        }
        if result.as_ref().is_err_and(is_exhausted) && exchange.exhaust() {
            // It was a balancer too; another pick may find another.
            return Err(NoPeer::tried().into());
        }
    }
    result.map(|response| response.map(|body| ResponseBody::new(body, exchange)))
}

impl<S, B> fmt::Debug for ResponseFuture<S, B>
where
    S: Service<Request<B>>,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}
