use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker, ready},
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
    set::{Chosen, Nobody, Set},
};
use crate::{
    BoxError,
    failure::NotSent,
    trail::{NoPeer, Peer, Trail},
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
        Awaiting { order: Box<Order<S, B>>, occupied: Occupied },
        /// Peers were picked; their endpoints are being made ready.
        Readying { readying: Box<Readying<S, B>> },
        /// The endpoint was called.
        Calling { #[pin] future: F, exchange: Option<Exchange> },
        /// There was nobody to call, or there is nothing more to do.
        Finished { error: Option<BoxError> },
    }
}

/// Whether there is a peer now.
type Occupied = Pin<Box<dyn Future<Output = bool> + Send>>;

/// How many peers a request waits for at once, where none is ready.
const MOST_AWAITED: usize = 16;

/// How many it looks at to find one that is.
const MOST_LOOKED_AT: usize = 64;

/// A request that a peer is looked for, and who knows them.
struct Order<S, B> {
    request: Request<B>,
    set: Arc<Set<S>>,
    rules: Arc<Rules>,
    /// Whether another balancer has chosen this one.
    inner: bool,
}

/// Peers that were picked for a request, none of which was ready at once.
struct Readying<S, B> {
    order: Order<S, B>,
    /// The best.
    first: Chosen<S>,
    others: Vec<Chosen<S>>,
}

impl<S, B> ResponseFuture<S, B>
where
    S: Service<Request<B>> + Clone + Send + Sync + 'static,
    S::Error: Into<BoxError>,
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

impl<S, F, B> State<S, F, B> {
    fn finished(error: impl Into<BoxError>) -> Self {
        Self::Finished {
            error: Some(error.into()),
        }
    }
}

impl<S, B> Order<S, B>
where
    S: Service<Request<B>> + Clone + Send + Sync + 'static,
    S::Error: Into<BoxError>,
{
    fn begin(self) -> State<S, S::Future, B> {
        let mut first = match self.choose(&[], Level::Tried) {
            Ok(first) => first,
            Err(Nobody::AtAll) if !self.rules.patience.is_zero() => return self.wait(),
            Err(_) => return State::finished(NoPeer::exhausted()),
        };
        // Most are ready at once, and the request need not be moved any more. Nobody is woken for this look: whoever polls
        // the future looks again.
        let mut look = Context::from_waker(Waker::noop());
        match first.service.poll_ready(&mut look) {
            Poll::Ready(readied) => self.call(first, readied),
            Poll::Pending => State::Readying {
                readying: Box::new(Readying {
                    order: self,
                    first,
                    others: Vec::new(),
                }),
            },
        }
    }

    /// There is no peer at all: waits for one, if one may come.
    fn wait(self) -> State<S, S::Future, B> {
        if let Some(trail) = self.trail() {
            trail.awaiting();
        }
        let (set, patience) = (Arc::clone(&self.set), self.rules.patience);
        let occupied = async move {
            let occupied = tokio::time::timeout(patience, set.occupied()).await;
            occupied.unwrap_or(false)
        };
        State::Awaiting {
            order: Box::new(self),
            occupied: Box::pin(occupied),
        }
    }

    /// There is a peer now, or there will be none.
    fn resume(self, occupied: bool) -> State<S, S::Future, B> {
        if let Some(trail) = self.trail() {
            trail.arrived();
        }
        if occupied {
            self.begin()
        } else {
            State::finished(NoPeer::exhausted())
        }
    }

    fn choose(&self, passed: &[Peer], down_to: Level) -> Result<Chosen<S>, Nobody> {
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

    /// Calls the endpoint, which is ready, or failed to be.
    fn call(self, chosen: Chosen<S>, readied: Result<(), S::Error>) -> State<S, S::Future, B> {
        let Chosen {
            mut service,
            standing,
            probe,
            at,
            ..
        } = chosen;
        if !standing.begin() {
            // It has left the set since it was chosen.
            return self.begin();
        }
        let Self {
            request,
            set,
            rules,
            ..
        } = self;
        let mut exchange = Exchange::begun(standing, rules, probe, at);
        if let Some(trail) = Trail::of(request.extensions()) {
            if !exchange.follow(trail, set) {
                return State::finished(NoPeer::exhausted());
            }
        }
        if let Err(error) = readied {
            let error = error.into();
            exchange.failed(&*error);
            return State::finished(NotSent::new(error));
        }
        State::Calling {
            future: service.call(request),
            exchange: Some(exchange),
        }
    }
}

impl<S, B> Readying<S, B>
where
    S: Service<Request<B>> + Clone + Send + Sync + 'static,
    S::Error: Into<BoxError>,
{
    /// Waits for one of the chosen endpoints to be ready, and looks for others meanwhile. What is ready is put
    /// first.
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        let Self {
            order,
            first,
            others,
        } = self;
        if let Poll::Ready(readied) = first.service.poll_ready(cx) {
            return Poll::Ready(readied);
        }
        for other in &mut *others {
            if let Poll::Ready(readied) = other.service.poll_ready(cx) {
                std::mem::swap(first, other);
                return Poll::Ready(readied);
            }
        }
        let awaited = others.iter().chain([&*first]);
        let mut passed: Vec<_> = awaited
            .map(|chosen| chosen.standing.peer().clone())
            .collect();
        // One that starts slowly is well: it is better than one that is busy.
        let down_to = first.level.max(Level::Well);
        while passed.len() < MOST_LOOKED_AT {
            let Ok(mut next) = order.choose(&passed, down_to) else {
                break;
            };
            if let Poll::Ready(readied) = next.service.poll_ready(cx) {
                *first = next;
                return Poll::Ready(readied);
            }
            passed.push(next.standing.peer().clone());
            if others.len() + 1 < MOST_AWAITED {
                others.push(next);
            }
        }
        Poll::Pending
    }

    /// Nobody is ready: an attempt that is ended here has been at the first.
    fn approach(&self) -> bool {
        let set = Arc::clone(&self.order.set);
        let trail = self.order.trail();
        trail.is_none_or(|trail| trail.approach(self.first.standing.peer(), Some(set)))
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
                StateProj::Readying { readying } => {
                    let Poll::Ready(readied) = readying.poll_ready(cx) else {
                        if readying.approach() {
                            return Poll::Pending;
                        }
                        state.set(State::finished(NoPeer::exhausted()));
                        continue;
                    };
                    if let StateReplace::Readying { readying } =
                        state.as_mut().project_replace(finished())
                    {
                        let Readying {
                            order, mut first, ..
                        } = *readying;
                        // It was a while ago.
                        first.at = None;
                        state.set(order.call(first, readied));
                    }
                }
                StateProj::Calling { future, exchange } => {
                    let result = ready!(future.poll(cx)).map_err(Into::into);
                    return Poll::Ready(settle(result, exchange.take()));
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
