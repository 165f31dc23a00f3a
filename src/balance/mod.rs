//! Choosing a peer with the request in hand.
//!
//! A balancer that picks in `poll_ready`, as `tower::balance` does, has not seen the request and
//! cannot leave out the peers that it has been to. [`Balance`] picks in `call`:
//!
//! ```
//! use std::convert::Infallible;
//! use http::{Request, Response};
//! use tower::{ServiceBuilder, service_fn};
//! use tower_failover::{FailoverLayer, ReplayBody, balance::{Balance, Endpoint}};
//!
//! # type Body = http_body_util::Full<bytes::Bytes>;
//! # async fn answer(_: Request<ReplayBody<Body>>) -> Result<Response<Body>, Infallible> {
//! #     Ok(Response::default())
//! # }
//! let peers = Balance::new([
//!     Endpoint::new("http://10.0.0.1", service_fn(answer)),
//!     Endpoint::new("http://10.0.0.2", service_fn(answer)),
//!     Endpoint::new("http://10.0.1.1", service_fn(answer)).backup(),
//! ]);
//! let service = ServiceBuilder::new()
//!     .layer(FailoverLayer::default())
//!     .service(peers);
//! # fn check<S: tower::Service<Request<Body>>>(_: S) {}
//! # check(service);
//! ```
//!
//! - A peer that the request has been to is left out while there is another; a backup is used when
//!   no peer of an earlier tier is left.
//! - A peer that fails [several times in a row](Balance::eject) is left out for a while, by all
//!   requests. It is used all the same when a request has no other peer left: it can hardly do worse
//!   than an error.
//! - Picking takes no lock: it reads an immutable snapshot of the peers. A clone is two pointers.
//! - Peers come as a list, or from a [`Discover`] through
//!   [`Balance::discover`].
//!
//! A balancer can be an endpoint of another, for regions of peers: it is left out when it has nobody left
//! for a request.
//!
//! Balancers that pick blindly can be used with [`Untried`] endpoints.

mod body;
mod discover;
mod endpoint;
mod exchange;
mod future;
mod health;
mod pick;
mod set;
mod tried;
mod untried;

use std::{
    fmt::{self, Display},
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use http::{Request, Response};
use http_body::Body;
use tower::discover::Discover;
use tower_service::Service;

pub use self::{
    body::ResponseBody,
    discover::Driver,
    endpoint::Endpoint,
    future::ResponseFuture,
    pick::{Candidates, InOrder, Pick, RoundRobin},
    untried::{Untried, UntriedFuture},
};
use self::{exchange::Rules, health::Ejection, set::Set};
use crate::{BoxError, failure::Classify, trail::Peer};

/// Sends each request to one of several peers, in turn by default.
///
/// It is always ready: which endpoint must be ready is known when the request is. Its endpoints'
/// errors pass through boxed; a [`NoPeer`](crate::trail::NoPeer) says that there was none.
///
/// Endpoints are shared by its clones, so their services must be `Send` and `Sync`; a boxed one is
/// tower's `BoxCloneSyncService`.
pub struct Balance<S> {
    set: Arc<Set<S>>,
    pick: Arc<dyn Pick>,
    rules: Arc<Rules>,
}

impl<S: Clone> Balance<S> {
    /// Balances over a list of endpoints.
    pub fn new<E>(endpoints: impl IntoIterator<Item = E>) -> Self
    where
        E: Into<Endpoint<S>>,
    {
        let balance = Self::empty();
        balance.set.replace(endpoints.into_iter().map(Into::into));
        balance
    }

    fn empty() -> Self {
        Self {
            set: Arc::default(),
            pick: Arc::new(RoundRobin::default()),
            rules: Arc::default(),
        }
    }

    /// Balances over what is discovered; each key names its peer.
    ///
    /// The [`Driver`] applies the updates, whether there is traffic or not: it is a future to spawn.
    /// Without it the set stays as it is, which is empty at first.
    #[expect(clippy::type_complexity, reason = "it is spawned, not named")]
    pub fn discover<D>(discover: D) -> (Self, Driver<D, S, fn(&D::Key, S) -> Endpoint<S>>)
    where
        D: Discover<Service = S>,
        D::Key: Display,
    {
        Self::discover_with(discover, |key, service| {
            Endpoint::new(key.to_string(), service)
        })
    }

    /// As [`discover`](Self::discover), with endpoints that are made from what is discovered.
    pub fn discover_with<D, F>(discover: D, endpoint: F) -> (Self, Driver<D, S, F>)
    where
        D: Discover,
        F: FnMut(&D::Key, D::Service) -> Endpoint<S>,
    {
        let balance = Self::empty();
        let driver = Driver::new(discover, endpoint, &balance.set);
        (balance, driver)
    }

    /// Sets the strategy; by default [`RoundRobin`].
    #[must_use]
    pub fn pick(mut self, pick: impl Pick + 'static) -> Self {
        self.pick = Arc::new(pick);
        self
    }

    /// Sets after how many failures in a row a peer is left out, and for how long; by default 5 and
    /// 30 seconds. With 0 no peer ever is.
    ///
    /// A failure is an error, a response of 502, 503 or 504, or a per-try timeout; a good response in
    /// between starts the count anew. Bodies that break off are counted by themselves, until one is
    /// whole. Neither good nor bad are 429 and the other responses of 500 and above, a client that goes
    /// away, a request that cannot be sent, a request body that fails, or an overload of our own.
    #[must_use]
    pub fn eject(mut self, after: u32, period: Duration) -> Self {
        Arc::make_mut(&mut self.rules).ejection = Ejection { after, period };
        self
    }

    /// Sets what reads the endpoints' errors, to tell a peer's failure from others; by default
    /// [`KnownErrors`](crate::failure::KnownErrors).
    #[must_use]
    pub fn classify(mut self, classify: impl Classify + 'static) -> Self {
        Arc::make_mut(&mut self.rules).classify = Arc::new(classify);
        self
    }

    /// The peers, by tier.
    pub fn peers(&self) -> Vec<Peer> {
        self.set.peers()
    }
}

impl<S, B, R> Service<Request<B>> for Balance<S>
where
    S: Service<Request<B>, Response = Response<R>> + Clone + Send + Sync + 'static,
    S::Error: Into<BoxError>,
    R: Body,
{
    type Response = Response<ResponseBody<R>>;
    type Error = BoxError;
    type Future = ResponseFuture<S, B>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let member = self.set.pick(&*self.pick, &request);
        ResponseFuture::new(request, member, &self.set, &self.rules)
    }
}

impl<S> Clone for Balance<S> {
    fn clone(&self) -> Self {
        Self {
            set: Arc::clone(&self.set),
            pick: Arc::clone(&self.pick),
            rules: Arc::clone(&self.rules),
        }
    }
}

impl<S: Clone> fmt::Debug for Balance<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Balance")
            .field("peers", &self.peers())
            .field("ejection", &self.rules.ejection)
            .finish_non_exhaustive()
    }
}
