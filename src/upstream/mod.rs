//! Endpoints: services that send a request to one peer.
//!
//! A [`Pool`] holds the connections that its upstreams share; an [`Upstream`] sends requests to one base
//! URI through it, as a reverse proxy does:
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
mod backlog;
#[cfg(feature = "hyper")]
mod base;
#[cfg(feature = "hyper")]
mod body;
#[cfg(feature = "hyper")]
mod connector;
#[cfg(feature = "hyper")]
mod driven;
#[cfg(feature = "hyper")]
mod error;
#[cfg(feature = "hyper")]
mod exchange;
#[cfg(feature = "hyper")]
mod flight;
#[cfg(feature = "hyper")]
mod future;
#[cfg(feature = "hyper")]
mod headers;
#[cfg(feature = "hyper")]
mod http2;
#[cfg(feature = "hyper")]
mod hyper;
#[cfg(feature = "hyper")]
mod origin;
#[cfg(feature = "hyper")]
mod origins;
#[cfg(feature = "hyper")]
mod place;
#[cfg(feature = "hyper")]
mod pool;
#[cfg(feature = "hyper")]
mod reaper;
#[cfg(feature = "hyper")]
mod relay;
#[cfg(feature = "reqwest")]
mod reqwest;
#[cfg(feature = "hyper")]
mod target;
#[cfg(feature = "hyper")]
mod tcp;
#[cfg(feature = "hyper")]
mod upload;

#[cfg(feature = "hyper")]
pub(crate) use self::error::Step;
#[cfg(feature = "reqwest")]
pub use self::reqwest::{Reqwest, ReqwestFuture, ReqwestPool};
#[cfg(feature = "hyper")]
pub use self::{
    body::{UpstreamBody, UpstreamBodyError},
    error::UpstreamError,
    future::UpstreamFuture,
    hyper::Upstream,
    pool::{Pool, PoolOptions},
};
