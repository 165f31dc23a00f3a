use std::{
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, ready},
};

use http::Request;
use pin_project_lite::pin_project;
use tower::load::Load;
use tower_service::Service;

use crate::{
    BoxError,
    trail::{NoPeer, Peer, Trail},
};

/// An endpoint that refuses a request which has been there.
///
/// It is for balancers that pick without seeing the request, such as `tower::balance::p2c`: the
/// refusal is no attempt, and [`Failover`](crate::Failover) asks for another pick.
///
/// To a balancer that compares loads it must be the outermost service of the endpoint, above what
/// measures the load. A peer that fails fast has little to do and would be picked again and again;
/// while a request that it refused looks for another, it is more loaded than any that refused none.
///
/// A [`retry`](crate::policy::Verdict::retry) at the same peer depends on its being picked again within
/// a bounded number of picks; among many peers that is luck.
#[derive(Clone, Debug)]
pub struct Untried<S> {
    peer: Peer,
    inner: S,
    /// Requests that were refused and have not found another peer yet.
    refusals: Arc<AtomicUsize>,
}

impl<S> Untried<S> {
    /// Names a service by the peer that it reaches.
    pub fn new(peer: impl Into<Arc<str>>, inner: S) -> Self {
        Self {
            peer: Peer::new(peer),
            inner,
            refusals: Arc::default(),
        }
    }
}

impl<S, B> Service<Request<B>> for Untried<S>
where
    S: Service<Request<B>>,
    S::Error: Into<BoxError>,
{
    type Response = S::Response;
    type Error = BoxError;
    type Future = UntriedFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let refusal = Trail::of(request.extensions()).and_then(|trail| self.refuse(trail));
        match refusal {
            Some(refusal) => UntriedFuture {
                called: None,
                refusal,
            },
            None => UntriedFuture {
                called: Some(self.inner.call(request)),
                refusal: NoPeer::exhausted(),
            },
        }
    }
}

impl<S: Load> Load for Untried<S> {
    type Metric = (usize, S::Metric);

    fn load(&self) -> Self::Metric {
        (self.refusals.load(Ordering::Relaxed), self.inner.load())
    }
}

impl<S> Untried<S> {
    fn refuse(&self, trail: &Trail) -> Option<NoPeer> {
        if !trail.allows(&self.peer) && !trail.has_relented() {
            trail.hold_refusal(&self.refusals);
            return Some(NoPeer::tried());
        }
        let current = trail.choose(&self.peer, None);
        (!current).then(NoPeer::exhausted)
    }
}

pin_project! {
    /// The future of an [`Untried`] endpoint's response.
    #[derive(Debug)]
    pub struct UntriedFuture<F> {
        // `None`: the request was refused.
        #[pin]
        called: Option<F>,
        refusal: NoPeer,
    }
}

impl<F, T, E> Future for UntriedFuture<F>
where
    F: Future<Output = Result<T, E>>,
    E: Into<BoxError>,
{
    type Output = Result<T, BoxError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        match this.called.as_pin_mut() {
            Some(future) => Poll::Ready(ready!(future.poll(cx)).map_err(Into::into)),
            None => Poll::Ready(Err((*this.refusal).into())),
        }
    }
}
