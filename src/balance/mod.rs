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
//! # Who is picked
//!
//! A request is given to a peer of the first of these groups that has one, and within it as the
//! [strategy](Pick) says:
//!
//! 1. peers that are well and that it has not been to, by [tier](Endpoint::tier), and within a tier by the
//!    [zones](ZoneOrder) that it prefers; one whose breaker is half-open is among them for one request at a time;
//! 2. peers that it has not been to, although they are sick: they can hardly do worse than an error;
//! 3. where the policy allows it, peers that it has been to: those that it has been to least, and that did not ask to be left
//!    alone, first.
//!
//! A peer whose endpoint is not ready is passed over for one of the same group that is. Where there is no peer
//! at all, a request [waits](Balance::wait_for_peers) for discovery or a [`Handle`] to bring one.
//!
//! Picking takes no lock: it reads an immutable snapshot of the peers. A clone is two pointers.
//!
//! # Who is well
//!
//! Each peer has a [`Breaker`]: five failures in a row open it for 30 seconds or more, then single requests
//! show whether it is well. At most [half](Balance::max_ejected) of a tier is left out by that, unless another tier
//! stands in for it, and one peer always stays. Every failed attempt counts for its own peer. [Health
//! checks](HealthCheck) find a peer that is down before a request does.
//!
//! Health decides who is asked first, and not who may be asked.
//!
//! [`Balance::snapshot`] shows how all peers are, and [`Balance::on_state_change`] tells of every change.
//!
//! # Other balancers
//!
//! A balancer can be an endpoint of another, for regions of peers: it is left out when it has nobody left
//! for a request, and tried peers come after the untried ones of all regions.
//!
//! Balancers that pick blindly, such as `tower::balance::p2c` with its measures of load, can be used with [`Untried`]
//! endpoints.

mod asked;
mod body;
mod breaker;
mod check;
mod choose;
mod clock;
mod discover;
mod endpoint;
mod exchange;
mod feeder;
mod fleet;
mod future;
mod handle;
mod order;
mod pick;
mod readying;
mod rules;
mod set;
mod settings;
mod snapshot;
mod standing;
mod state;
mod tried;
mod untried;
mod view;
mod zone;

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
    breaker::Breaker,
    check::{Checker, HealthCheck},
    discover::Driver,
    endpoint::Endpoint,
    future::ResponseFuture,
    handle::{Drain, Handle},
    pick::{Candidates, ConsistentHash, InOrder, LeastLoaded, Pick, Random, RoundRobin},
    snapshot::{DiscoveryError, LastFailure, PeerSnapshot, Snapshot},
    state::{Fault, OnStateChange, State, StateChange},
    untried::{Untried, UntriedFuture},
    zone::{Zone, ZoneOrder},
};
use self::{breaker::share, rules::Rules, set::Set, settings::Settings};
use crate::{
    BoxError, ConfigError,
    failure::Classify,
    trail::{Follow, Peer, Trail},
};

/// Sends each request to one of several peers, in turn by default.
///
/// It is always ready: which endpoint must be ready is known when the request is. A peer whose endpoint is not
/// ready is passed over for one that is, of up to 64 that are looked at; where none is, the request waits for
/// the first of 16 that becomes it. Its endpoints' errors pass through boxed; a
/// [`NoPeer`](crate::trail::NoPeer) says that there was none.
///
/// Endpoints are shared by its clones, so their services must be `Send` and `Sync`; a boxed one is
/// tower's `BoxCloneSyncService`. Its settings are a clone's own: they are set before it is cloned.
pub struct Balance<S> {
    set: Arc<Set<S>>,
    settings: Arc<Settings>,
}

impl<S: Clone> Balance<S> {
    /// Balances over a list of endpoints. Those of the same name are one peer, with a place for each.
    pub fn new<E>(endpoints: impl IntoIterator<Item = E>) -> Self
    where
        E: Into<Endpoint<S>>,
    {
        let balance = Self::empty();
        balance.set.replace(endpoints.into_iter().map(Into::into));
        balance
    }

    /// Balances over a list of endpoints that a [`Handle`] changes later.
    pub fn with_handle<E>(endpoints: impl IntoIterator<Item = E>) -> (Self, Handle<S>)
    where
        E: Into<Endpoint<S>>,
    {
        let balance = Self::new(endpoints);
        let handle = Handle::new(&balance.set);
        (balance, handle)
    }

    fn empty() -> Self {
        Self {
            set: Arc::new(Set::new()),
            settings: Arc::default(),
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
        self.settings().pick = Arc::new(pick);
        self
    }

    /// Sets when a peer is left out, and how it comes back; by default as [`Breaker::new`] says.
    #[must_use]
    pub fn breaker(mut self, breaker: Breaker) -> Self {
        self.rules().breaker = breaker;
        self
    }

    /// Sets after how many failures in a row a peer is left out, and for how long at first; by default 5 and
    /// 30 seconds. With 0 no peer ever is.
    ///
    /// It is short for [`breaker`](Self::breaker), and keeps the rest of what was set there.
    #[must_use]
    pub fn eject(mut self, after: u32, period: Duration) -> Self {
        let rules = self.rules();
        rules.breaker = rules.breaker.clone().failures(after).open_for(period);
        self
    }

    /// Sets the largest share of a tier's peers that breakers may leave out; by default half of them,
    /// rounded up. One always may be, unless it is the only one or the share is 0, and one always stays, unless the
    /// share is 1.
    ///
    /// With a share of 0 breakers do nothing. Else, a peer that would be left out beyond it is
    /// [suspect](State::Suspect): it is given a tenth of its requests, and of those only what can be repeated;
    /// and the peer that was out longest is asked sooner whether it is well.
    ///
    /// It keeps a failure that all peers share from taking all of them out at once. Where another tier keeps to it, a
    /// whole tier may be out, unless the share is 0: its backups take over.
    ///
    /// # Errors
    ///
    /// If it is not from 0 to 1.
    pub fn max_ejected(mut self, most: f64) -> Result<Self, ConfigError> {
        self.rules().most_ejected = share("max_ejected", most)?;
        Ok(self)
    }

    /// Sets the share of well peers under which a tier is passed over for one that is better off and, where
    /// there is none, health is not believed at all: requests then go to all peers. By default that is 0: as
    /// long as one peer is well, it is used. Envoy's is 0.5.
    ///
    /// With retries, a higher one is seldom wise: what is sent to sick peers has to be sent again, and the
    /// retry budget is not made for that. Where no peer is well, all are used in any case.
    ///
    /// # Errors
    ///
    /// If it is not from 0 to 1.
    pub fn panic_threshold(mut self, threshold: f64) -> Result<Self, ConfigError> {
        self.settings().panic = share("panic_threshold", threshold)?;
        Ok(self)
    }

    /// Lets a tier's traffic spill over to the next one, little by little, when fewer than this share of its
    /// peers are well. By default it does not: the next tier is used when nobody is left.
    ///
    /// With 0.7, a tier of which 35 % are well keeps half of its traffic. Envoy's overprovisioning factor of 1.4 is
    /// 0.714. It is for first attempts; others go where they can.
    ///
    /// # Errors
    ///
    /// If it is not from 0 to 1.
    pub fn spill_over(mut self, threshold: f64) -> Result<Self, ConfigError> {
        let threshold = share("spill_over", threshold)?;
        self.settings().spill = (threshold > 0.0).then_some(threshold);
        Ok(self)
    }

    /// Gives a peer that has just come, or is well again, only part of its traffic at first: from a tenth of it
    /// to all of it within this time. By default it has all of it at once. The rest is for the others of its tier;
    /// where there are none, it has all.
    #[must_use]
    pub fn slow_start(mut self, period: Duration) -> Self {
        self.rules().slow_start = period;
        self
    }

    /// Sets the zones that requests are sent to first, if they do not [say themselves](ZoneOrder); by default all are
    /// alike.
    #[must_use]
    pub fn prefer_zones(mut self, order: ZoneOrder) -> Self {
        self.settings().zones = Some(order);
        self
    }

    /// Sets how long a request waits when there is no peer at all, if [discovery](Self::discover) or a
    /// [`Handle`] may still bring one; by default 10 seconds. Then, or at the request's deadline, it fails for
    /// want of a peer.
    ///
    /// It does not wait where there are peers that it was sent to already, or that are sick; nor where this
    /// balancer is an endpoint of another, which may have a peer elsewhere.
    #[must_use]
    pub fn wait_for_peers(mut self, patience: Duration) -> Self {
        self.settings().patience = patience;
        self
    }

    /// Lets `listener` hear of every change of a peer's state, in the place of any other. They are events at
    /// level `info` as well.
    #[must_use]
    pub fn on_state_change(mut self, listener: impl OnStateChange + 'static) -> Self {
        self.rules().listener = Some(Arc::new(listener));
        self
    }

    /// Measures response times for the [`snapshot`](Self::snapshot), which otherwise happens only for
    /// strategies that need them. It costs two looks at the clock for each request.
    #[must_use]
    pub fn measure_latency(mut self) -> Self {
        self.settings().measured = true;
        self
    }

    /// Sets what reads the endpoints' errors, to tell a peer's failure from others; by default
    /// [`KnownErrors`](crate::failure::KnownErrors).
    #[must_use]
    pub fn classify(mut self, classify: impl Classify + 'static) -> Self {
        self.rules().classify = Arc::new(classify);
        self
    }

    /// The peers, by tier and zone.
    pub fn peers(&self) -> Vec<Peer> {
        self.set.peers()
    }

    /// What each peer is like at the moment. Traffic does not wait for it. For a status page, keep a clone of
    /// the balancer: it has the same peers.
    pub fn snapshot(&self) -> Snapshot {
        self.set.snapshot()
    }

    fn settings(&mut self) -> &mut Settings {
        Arc::make_mut(&mut self.settings)
    }

    fn rules(&mut self) -> &mut Rules {
        &mut self.settings().rules
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
        ResponseFuture::new(request, &self.set, &self.settings)
    }
}

impl<S, B, R> Follow<Request<B>> for Balance<S>
where
    S: Follow<Request<B>, Response = Response<R>> + Clone + Send + Sync + 'static,
    S::Error: Into<BoxError>,
    R: Body,
{
    fn follow(&mut self, request: Request<B>, trail: Trail) -> Self::Future {
        ResponseFuture::follow(request, trail, &self.set, &self.settings)
    }
}

impl<S> Clone for Balance<S> {
    fn clone(&self) -> Self {
        Self {
            set: Arc::clone(&self.set),
            settings: Arc::clone(&self.settings),
        }
    }
}

impl<S: Clone> fmt::Debug for Balance<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Balance")
            .field("peers", &self.peers())
            .field("breaker", &self.settings.rules.breaker)
            .finish_non_exhaustive()
    }
}
