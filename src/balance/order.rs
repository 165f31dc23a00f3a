use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use http::Request;
use pin_project_lite::pin_project;
use tower_service::Service;

use super::{
    asked::{Asked, Level},
    exchange::Exchange,
    readying::Readying,
    set::{Chosen, Nobody, Set},
    settings::Settings,
};
use crate::{
    BoxError,
    failure::NotSent,
    trail::{Freedom, NoPeer, Peer, Trail},
};

/// A request that a peer is looked for, and who knows them.
pub(super) struct Order<S, B>
where
    S: Service<Request<B>>,
{
    request: Request<B>,
    /// What it has been through, if somebody keeps account.
    trail: Option<Trail>,
    set: Arc<Set<S>>,
    settings: Arc<Settings>,
    freedom: Freedom,
    call: Call<S, B>,
}

/// How an endpoint is called, and given the trail if it has not got it.
pub(super) type Call<S, B> =
    fn(&mut S, Request<B>, Option<Trail>) -> <S as Service<Request<B>>>::Future;

/// What a look for a peer came to.
enum Found<S> {
    /// An endpoint that is ready, or that was waited for.
    Endpoint(S, Exchange),
    /// One that is to be waited for.
    Busy(Chosen<S>),
    /// There is no peer at all.
    Nobody,
    /// Nobody is to be called.
    Error(BoxError),
}

pin_project! {
    /// What has become of an order.
    #[project = StateProj]
    #[project_replace = StateReplace]
    pub(super) enum State<S, F, B>
    where
        S: Service<Request<B>>,
    {
        /// There is no peer at all yet.
        Awaiting { order: Box<Order<S, B>>, occupied: Occupied },
        /// Peers were picked; their endpoints are being made ready.
        Readying { order: Box<Order<S, B>>, readying: Box<Readying<S>> },
        /// The endpoint was called.
        Calling { #[pin] future: F, exchange: Option<Exchange> },
        /// There was nobody to call, or there is nothing more to do.
        Finished { error: Option<BoxError> },
    }
}

/// Whether there is a peer now.
type Occupied = Pin<Box<dyn Future<Output = bool> + Send>>;

impl<S, F, B> State<S, F, B>
where
    S: Service<Request<B>>,
{
    pub(super) fn finished(error: impl Into<BoxError>) -> Self {
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
    /// Looks for a peer, and calls it if it is ready: nearly always it is, and then nothing of the order is kept.
    ///
    /// To move a request copies 250 bytes: it is looked at where it is, and moved once.
    pub(super) fn place(
        request: Request<B>,
        trail: Option<Trail>,
        set: &Arc<Set<S>>,
        settings: &Arc<Settings>,
        call: Call<S, B>,
    ) -> State<S, S::Future, B> {
        // It is asked once: later, the peer that is waited for would look like another balancer's choice.
        let freedom = trail.as_ref().map_or(Freedom::TOTAL, Trail::freedom);
        match look(&request, trail.as_ref(), set, settings, freedom) {
            // As `go_on` does, without an order that the request would have to be moved into.
            Found::Endpoint(mut service, exchange) => State::Calling {
                future: call(&mut service, request, trail),
                exchange: Some(exchange),
            },
            Found::Error(error) => State::Finished { error: Some(error) },
            found => {
                let order = Self {
                    request,
                    trail,
                    set: Arc::clone(set),
                    settings: Arc::clone(settings),
                    freedom,
                    call,
                };
                order.go_on(found)
            }
        }
    }

    /// Does what follows from a look.
    fn go_on(self, found: Found<S>) -> State<S, S::Future, B> {
        match found {
            Found::Endpoint(mut service, exchange) => State::Calling {
                future: (self.call)(&mut service, self.request, self.trail),
                exchange: Some(exchange),
            },
            Found::Busy(first) => State::Readying {
                order: Box::new(self),
                readying: Box::new(Readying::new(first)),
            },
            Found::Nobody => self.wait(),
            Found::Error(error) => State::Finished { error: Some(error) },
        }
    }

    /// There is no peer at all: waits for one, if one may come.
    fn wait(self) -> State<S, S::Future, B> {
        if let Some(trail) = &self.trail {
            trail.awaiting();
        }
        let (set, patience) = (Arc::clone(&self.set), self.settings.patience);
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
    pub(super) fn resume(self, occupied: bool) -> State<S, S::Future, B> {
        if let Some(trail) = &self.trail {
            trail.arrived();
        }
        if !occupied {
            return State::finished(NoPeer::exhausted());
        }
        let found = self.look();
        self.go_on(found)
    }

    fn look(&self) -> Found<S> {
        let trail = self.trail.as_ref();
        look(
            &self.request,
            trail,
            &self.set,
            &self.settings,
            self.freedom,
        )
    }

    fn choose(&self, passed: &[Peer], down_to: Level) -> Result<Chosen<S>, Nobody> {
        self.set.choose(&Asked {
            settings: &self.settings,
            request: &self.request,
            trail: self.trail.as_ref(),
            passed,
            freedom: self.freedom,
            down_to,
        })
    }

    /// Waits for one of the chosen endpoints to be ready. `None`: nobody waits for this attempt any more.
    pub(super) fn poll_ready(
        &self,
        readying: &mut Readying<S>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<(), S::Error>>> {
        let choose = |passed: &[Peer], down_to| self.choose(passed, down_to).ok();
        if let Poll::Ready(readied) = readying.poll_ready(cx, choose) {
            return Poll::Ready(Some(readied));
        }
        // An attempt that is ended here has been at the first.
        let set = Arc::clone(&self.set);
        let trail = self.trail.as_ref();
        let current = trail.is_none_or(|trail| trail.approach(readying.first(), Some(set)));
        if current {
            Poll::Pending
        } else {
            Poll::Ready(None)
        }
    }

    /// Calls the endpoint, which is ready, or failed to be.
    pub(super) fn call(
        self,
        chosen: Chosen<S>,
        readied: Result<(), S::Error>,
    ) -> State<S, S::Future, B> {
        let trail = self.trail.as_ref();
        let begun = begin(chosen, readied, trail, &self.set, &self.settings);
        let found = begun.unwrap_or_else(|| self.look());
        self.go_on(found)
    }
}

/// Chooses a peer for a request, and sees whether its endpoint is ready.
fn look<S, B>(
    request: &Request<B>,
    trail: Option<&Trail>,
    set: &Arc<Set<S>>,
    settings: &Arc<Settings>,
    freedom: Freedom,
) -> Found<S>
where
    S: Service<Request<B>> + Clone + Send + Sync + 'static,
    S::Error: Into<BoxError>,
{
    loop {
        let chosen = set.choose(&Asked {
            settings,
            request,
            trail,
            passed: &[],
            freedom,
            down_to: Level::Tried,
        });
        let mut first = match chosen {
            Ok(first) => first,
            // Another balancer that has chosen this one may have a peer elsewhere.
            Err(Nobody::AtAll) if !freedom.inner && !settings.patience.is_zero() => {
                return Found::Nobody;
            }
            Err(_) => return Found::Error(NoPeer::exhausted().into()),
        };
        // Most are ready at once. Nobody is woken for this look: whoever polls the future looks again.
        let mut noop = Context::from_waker(Waker::noop());
        let Poll::Ready(readied) = first.service.poll_ready(&mut noop) else {
            return Found::Busy(first);
        };
        if let Some(found) = begin(first, readied, trail, set, settings) {
            return found;
        }
    }
}

/// Begins an exchange with a chosen endpoint, which is ready, or failed to be. `None`: it has left the set since it was
/// chosen.
fn begin<S, B>(
    chosen: Chosen<S>,
    readied: Result<(), S::Error>,
    trail: Option<&Trail>,
    set: &Arc<Set<S>>,
    settings: &Arc<Settings>,
) -> Option<Found<S>>
where
    S: Service<Request<B>> + Clone + Send + Sync + 'static,
    S::Error: Into<BoxError>,
{
    let Chosen {
        service,
        standing,
        probe,
        at,
        ..
    } = chosen;
    if !standing.begin() {
        return None;
    }
    let mut exchange = Exchange::begun(standing, Arc::clone(settings), probe, at);
    if let Some(trail) = trail {
        if !exchange.follow(trail.clone(), set) {
            return Some(Found::Error(NoPeer::exhausted().into()));
        }
    }
    Some(match readied {
        Ok(()) => Found::Endpoint(service, exchange),
        Err(error) => {
            let error = error.into();
            exchange.failed(&*error);
            Found::Error(NotSent::new(error).into())
        }
    })
}
