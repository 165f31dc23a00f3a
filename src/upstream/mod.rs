//! Endpoints: services that send a request to one peer.
//!
//! A [`Pool`] is a hyper client whose connections all upstreams share; an [`Upstream`] sends requests
//! to one base URI through it, as a reverse proxy does:
//!
//! - the path is put behind the base's own path, and the query is kept;
//! - `Host` is what the client asked for (see [`PoolOptions::preserve_host`]);
//! - hop-by-hop fields are removed in both directions (RFC 9110, section 7.6.1), but those of an
//!   upgrade stay;
//! - a connection's reuse is written to the request's [`Trail`](crate::trail::Trail), and whether it is
//!   still waited for, so that a per-try timeout does not count connecting.
//!
//! ```
//! use hyper::body::Incoming;
//! use tower_failover::{FailoverLayer, ReplayBody, balance::Balance, upstream::Pool};
//! use tower::ServiceBuilder;
//!
//! let pool = Pool::<ReplayBody<Incoming>>::new();
//! let service = ServiceBuilder::new()
//!     .layer(FailoverLayer::default())
//!     .service(Balance::new([
//!         pool.upstream("http://10.0.0.1:8080")?,
//!         pool.upstream("http://10.0.0.2:8080")?,
//!     ]));
//! # let _ = service;
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! ```

#[cfg(feature = "hyper")]
mod base;
#[cfg(feature = "hyper")]
mod body;
#[cfg(feature = "hyper")]
mod connector;
#[cfg(feature = "hyper")]
mod headers;
#[cfg(feature = "hyper")]
mod hyper;
#[cfg(feature = "hyper")]
mod pool;
#[cfg(feature = "reqwest")]
mod reqwest;
#[cfg(feature = "hyper")]
mod reuse;

#[cfg(feature = "reqwest")]
pub use self::reqwest::{Reqwest, ReqwestFuture, ReqwestPool};
#[cfg(feature = "hyper")]
pub use self::{
    body::{UpstreamBody, UpstreamBodyError},
    connector::{Connecting, Connector},
    hyper::{Upstream, UpstreamFuture},
    pool::{Pool, PoolOptions},
    reuse::TaggedIo,
};
