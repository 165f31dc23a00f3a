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
    choose::{Asked, Level},
    exchange::Exchange,
    rules::Rules,
    set::{Chosen, Set},
};
use crate::{
    BoxError,
    failure::NotSent,
    trail::{NoPeer, Peer, Roster, Trail},
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
        /// There is no peer at all yet.
        Awaiting { order: Order<S, B>, occupied: Occupied },
        /// Peers were picked; their endpoints are being made ready, the best first.
        Readying { order: Order<S, B>, first: Chosen<S>, others: Vec<Chosen<S>> },
        /// The endpoint was called.
        Calling { #[pin] future: F, exchange: Option<Exchange> },
        /// There was no peer, or there is nothing more to do.
        Finished,
    }
}

/// Whether there is a peer now.
type Occupied = Pin<Box<dyn Future<Output = bool> + Send>>;

/// How many peers a request waits for at once, where none is ready.
const MOST_AWAITED: usize = 16;

/// A request that a peer is looked for, and who knows them.
struct Order<S, B> {
    request: Request<B>,
    set: Arc<Set<S>>,
    rules: Arc<Rules>,
    /// Whether another balancer has chosen this one.
    inner: bool,
}

impl<S, B> ResponseFuture<S, B>
where
    S: Service<Request<B>> + Clone + Send + Sync + 'static,
{
    pub(super) fn new(request: Request<B>, set: &Arc<Set<S>>, rules: &Arc<Rules>) -> Self {
        let trail = Trail::of(request.extensions());
        let order = Order {
            inner: trail.is_some_and(Trail::has_choice),
            request,
            set: Arc::clone(set),
            rules: Arc::clone(rules),
        };
        Self {
            state: order.begin(),
        }
    }
}

impl<S, B> Order<S, B>
where
    S: Service<Request<B>> + Clone + Send + Sync + 'static,
{
    fn begin(self) -> State<S, S::Future, B> {
        if let Some(first) = self.choose(&[], Level::Tried) {
            return State::Readying {
                order: self,
                first,
                others: Vec::new(),
            };
        }
        if !self.set.awaits_peers() || self.rules.patience.is_zero() {
            return State::Finished;
        }
        if let Some(trail) = self.trail() {
            trail.awaiting();
        }
        let (set, patience) = (Arc::clone(&self.set), self.rules.patience);
        let occupied = async move {
            let occupied = tokio::time::timeout(patience, set.occupied()).await;
            occupied.unwrap_or(false)
        };
        State::Awaiting {
            order: self,
            occupied: Box::pin(occupied),
        }
    }

    fn choose(&self, passed: &[Peer], down_to: Level) -> Option<Chosen<S>> {
        self.set.choose(&Asked {
            pick: &*self.rules.pick,
            rules: &self.rules,
            request: &self.request,
            passed,
            inner: self.inner,
            down_to,
        })
    }

    fn trail(&self) -> Option<&Trail> {
        Trail::of(self.request.extensions())
    }

    /// Waits for one of the chosen endpoints to be ready, and looks for others meanwhile. What is ready is put
    /// first.
    fn poll_ready(
        &self,
        first: &mut Chosen<S>,
        others: &mut Vec<Chosen<S>>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), S::Error>> {
        if let Poll::Ready(readied) = first.service.poll_ready(cx) {
            return Poll::Ready(readied);
        }
        for other in &mut *others {
            if let Poll::Ready(readied) = other.service.poll_ready(cx) {
                std::mem::swap(first, other);
                return Poll::Ready(readied);
            }
        }
        while others.len() + 1 < MOST_AWAITED {
            let awaited = others.iter().chain([&*first]);
            let awaited: Vec<_> = awaited
                .map(|chosen| chosen.standing.peer().clone())
                .collect();
            let Some(mut next) = self.choose(&awaited, first.level) else {
                break;
            };
            if let Poll::Ready(readied) = next.service.poll_ready(cx) {
                *first = next;
                return Poll::Ready(readied);
            }
            others.push(next);
        }
        Poll::Pending
    }

    fn approach(&self, first: &Chosen<S>) -> bool {
        let set = Arc::clone(&self.set);
        self.trail()
            .is_none_or(|trail| trail.approach(first.standing.peer(), Some(set)))
    }

    /// Calls the endpoint, which is ready, or failed to be.
    fn call(
        self,
        mut chosen: Chosen<S>,
        readied: Result<(), S::Error>,
    ) -> Result<(S::Future, Exchange), BoxError>
    where
        S::Error: Into<BoxError>,
    {
        let Self {
            request,
            set,
            rules,
            ..
        } = self;
        let trail = Trail::of(request.extensions()).cloned();
        if let Some(trail) = &trail {
            if !trail.choose(chosen.standing.peer(), Some(set as Arc<dyn Roster>)) {
                return Err(NoPeer::exhausted().into());
            }
        }
        let mut exchange = Exchange::begin(chosen.standing, rules, trail, chosen.probe);
        if let Err(error) = readied {
            let error = error.into();
            exchange.failed(&*error);
            return Err(NotSent::new(error).into());
        }
        Ok((chosen.service.call(request), exchange))
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
                StateProj::Awaiting { occupied, .. } => {
                    let occupied = ready!(occupied.as_mut().poll(cx));
                    if let StateReplace::Awaiting { order, .. } =
                        state.as_mut().project_replace(State::Finished)
                    {
                        if let Some(trail) = order.trail() {
                            trail.arrived();
                        }
                        if occupied {
                            state.set(order.begin());
                        }
                    }
                    continue;
                }
                StateProj::Readying {
                    order,
                    first,
                    others,
                } => match order.poll_ready(first, others, cx) {
                    Poll::Ready(readied) => readied,
                    Poll::Pending => {
                        // An attempt that is ended here has been here.
                        if !order.approach(first) {
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
                StateReplace::Readying { order, first, .. } => {
                    let (future, exchange) = order.call(first, readied)?;
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
    exchange: Option<Exchange>,
) -> Result<Response<ResponseBody<R>>, BoxError> {
    let Some(mut exchange) = exchange else {
        return result.map(|response| response.map(|body| ResponseBody::new(body, None)));
    };
    match result {
        Ok(response) => {
            let (parts, body) = response.into_parts();
            exchange.answered(&parts);
            let body = ResponseBody::new(body, Some(exchange));
            Ok(Response::from_parts(parts, body))
        }
        Err(error) => {
            exchange.failed(&*error);
            if is_exhausted(&error) && exchange.exhaust() {
                // It was a balancer too; another pick may find another.
                return Err(NoPeer::tried().into());
            }
            Err(error)
        }
    }
}

impl<S, B> fmt::Debug for ResponseFuture<S, B>
where
    S: Service<Request<B>>,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}
