//! The final error as a response, so that a server gets a service that never fails.
//!
//! ```
//! use tower::ServiceBuilder;
//! use tower_failover::{FailoverLayer, gateway::GatewayLayer};
//!
//! let stack = ServiceBuilder::new()
//!     .layer(GatewayLayer::new())
//!     .layer(FailoverLayer::default());
//! # let _ = stack.service(());
//! ```
//!
//! - 504 (Gateway Timeout) for a timeout of any kind, 503 (Service Unavailable) where no peer was
//!   available or our own limits refused the request, 400 (Bad Request) when the request itself is at
//!   fault, and 502 (Bad Gateway) for everything else; see [`FailureKind::status`].
//! - What the client reads is an [`ErrorPage`]: [`PlainText`], or [one of your own](GatewayLayer::page),
//!   which may answer with another status too.
//! - Every one of them is logged at level `warn`, and carries a [`Report`](crate::report::Report) in
//!   its extensions: a failure that reaches the client is not hidden.
//! - Clients can be told what went wrong in [`Proxy-Status`](GatewayLayer::proxy_status), and how many
//!   attempts their request took in a [header](GatewayLayer::attempts_header).
//! - With the `hyper` feature, both sides are bridged after 101 (Switching Protocols).
//!
//! A response of an upstream is relayed as it is, whatever its status: no page stands in for it.
//!
//! [`FailureKind::status`]: crate::failure::FailureKind::status

mod body;
mod error_type;
mod failed;
mod future;
mod layer;
mod page;
mod pending;
mod proxy_status;
mod service;
#[cfg(feature = "hyper")]
mod upgrade;

pub use self::{
    body::GatewayBody,
    failed::Failed,
    future::GatewayFuture,
    layer::GatewayLayer,
    page::{ErrorPage, PlainText},
    service::Gateway,
};
