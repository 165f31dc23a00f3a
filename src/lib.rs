//! A tower layer that retries and fails over HTTP requests when an upstream fails: for proxies,
//! gateways and clients.
//!
//! It makes a failure invisible whenever that is provably safe, and never makes it worse. A request is
//! sent to another peer when nothing of it was sent, whatever its method; when it may have been
//! processed, only if it is safe to repeat.
//!
//! [`FailoverLayer`] decides *whether* to try again, a balancer below it *where*:
//!
//! ```
//! use hyper::body::Incoming;
//! use tower::ServiceBuilder;
//! use tower_failover::{
//!     FailoverLayer, ReplayBody, balance::Balance, gateway::GatewayLayer, upstream::Pool,
//! };
//!
//! let pool = Pool::<ReplayBody<Incoming>>::new();
//! let proxy = ServiceBuilder::new()
//!     .layer(GatewayLayer::new())
//!     .layer(FailoverLayer::default())
//!     .service(Balance::new([
//!         pool.upstream("http://10.0.0.1:8080")?,
//!         pool.upstream("http://10.0.0.2:8080")?,
//!     ]));
//! # fn check<S: tower::Service<http::Request<Incoming>, Error = std::convert::Infallible>>(_: S) {}
//! # check(proxy);
//! # Ok::<_, tower_failover::ConfigError>(())
//! ```
//!
//! The same with another policy, other limits and a strategy:
//!
//! ```
//! use std::time::Duration;
//! use hyper::body::Incoming;
//! use tower::ServiceBuilder;
//! use tower_failover::{
//!     FailoverLayer, ReplayBody,
//!     balance::{Balance, Endpoint, InOrder},
//!     policy::Standard,
//!     upstream::PoolOptions,
//! };
//!
//! let failover = FailoverLayer::new(Standard::new("connect-failure,reset,503,429".parse()?))
//!     .max_attempts(4)
//!     .deadline(Duration::from_secs(30))
//!     .per_try_timeout(Duration::from_secs(5))
//!     .replay_cap(64 * 1024);
//! let pool = PoolOptions::new()
//!     .connect_timeout(Duration::from_secs(1))
//!     .build::<ReplayBody<Incoming>>();
//! let peers = Balance::new([
//!     Endpoint::from(pool.upstream("http://10.0.0.1:8080")?),
//!     Endpoint::from(pool.upstream("http://10.0.1.1:8080")?).backup(),
//! ]);
//! let service = ServiceBuilder::new()
//!     .layer(failover)
//!     .service(peers.pick(InOrder).eject(3, Duration::from_secs(10)));
//! # fn check<S: tower::Service<http::Request<Incoming>>>(_: S) {}
//! # check(service);
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! ```
//!
//! # The parts
//!
//! | | |
//! |---|---|
//! | [`FailoverLayer`] | the attempt loop, and the limits that bind every policy |
//! | [`policy`] | what to do after a failure or a response; [`Standard`](policy::Standard) is set like nginx', HAProxy's or Envoy's retry lines |
//! | [`failure`] | what an error *proves* about the request that was sent |
//! | [`replay`] | a request body that can be read again |
//! | [`trail`] | what a request's attempts have been through; how a balancer knows whom to leave out |
//! | [`balance`] | choosing a peer with the request in hand, and knowing which are sick |
//! | [`upstream`] | endpoints: a hyper client, a reqwest client |
//! | [`peek`] | a head held back until its body begins, for gRPC statuses in trailers and bodies that break off first |
//! | [`gateway`] | the final error as a response |
//! | [`limits`] | retry budget, backoff, deadline |
//! | [`report`] | what became of each attempt, on the response |
//! | `config` | the settings as they stand in a configuration file (feature `serde`) |
//!
//! Each is useful alone: the layer works over any `Clone` service of requests, such as
//! `tower::balance` behind a `tower::buffer`, or a single client; and the balancer without the layer.
//!
//! # Types
//!
//! The layer turns a `Service<Request<ReplayBody<B>>>` into a `Service<Request<B>>`. `B` must be `Unpin`;
//! a layer above that yields a body which is not needs tower-http's
//! `MapRequestBodyLayer::new(Box::pin)`. [`ReplayBody`] is `Send` and `Sync` whenever `B` is `Send`.
//!
//! When the compiler says that the "trait bounds were not satisfied" or that a service "is not
//! implemented", it is mostly one of these:
//!
//! - The service below takes `Request<B>` instead of `Request<ReplayBody<B>>`, or a pool names `B`
//!   instead of `ReplayBody<B>`. `Pool::new()` finds its type by itself where the stack is called.
//! - The service below is not `Clone`, or its error is not an `Error + Send + Sync`.
//! - A layer above needs the response body to have a default: it belongs above a
//!   [`GatewayLayer`](gateway::GatewayLayer).
//! - "Implementation is not general enough": the body's error is a `Box<dyn Error + Send + Sync>`, and
//!   an `async` block that calls the stack must be `Send`. rustc has it with hyper's client too. Give the
//!   body a named error, or put the stack into a `tower::util::BoxCloneService` and use its `call`.
//!
//! # Features
//!
//! | | |
//! |---|---|
//! | `balance` (default) | [`balance`] |
//! | `hyper` (default) | [`upstream::Pool`], upgrades in [`gateway`], proof from hyper's and h2's errors |
//! | `reqwest` | `upstream::ReqwestPool`, proof from reqwest's errors; with `hyper` |
//! | `rustls` | a certificate that is not the peer's is known as such, and never retried |
//! | `serde` | `config`: the settings in a configuration file |
//! | `tower-budget` | retry budgets that are `tower::retry::budget::Budget`s |
//!
//! # What is shown
//!
//! Every attempt that failed, or whose response a policy wanted to fail over, is a [`tracing`] event at
//! level `debug`, with its peer, what came of it, and why it was the last one, if it was. A response that
//! took more than one attempt carries a [`Report`](report::Report) in its extensions.
#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(feature = "balance")]
pub mod balance;
#[cfg(feature = "serde")]
pub mod config;
mod config_error;
mod error;
pub mod failure;
mod future;
pub mod gateway;
mod head;
mod layer;
pub mod limits;
mod own_header;
pub mod peek;
pub mod policy;
pub mod replay;
pub mod report;
mod service;
pub mod trail;
pub mod upstream;

pub use self::{
    config_error::ConfigError, error::Error, future::ResponseFuture, layer::FailoverLayer,
    policy::Policy, replay::ReplayBody, service::Failover,
};

/// Any error.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

#[cfg(all(doctest, feature = "balance", feature = "hyper"))]
#[doc = include_str!("../README.md")]
mod readme {}
