//! Holding a response's head back until its body has begun.
//!
//! A failover decides at the response head, and some failures come just behind it: a gRPC server that
//! has no message to send tells its status in trailers, which many servers and proxies send after the
//! head and not in its place; and a peer can die between the two. A [`PeekLayer`] below the failover
//! waits for the body's first frame, so that these can go to another peer too:
//!
//! ```
//! use hyper::body::Incoming;
//! use tower::ServiceBuilder;
//! use tower_failover::{
//!     FailoverLayer, ReplayBody,
//!     balance::Balance,
//!     peek::PeekLayer,
//!     policy::{GrpcCode, Standard},
//!     upstream::PoolOptions,
//! };
//!
//! let pool = PoolOptions::new().http2(true).build::<ReplayBody<Incoming>>();
//! // gRPC's calls are all POST: that this status may be tried again, somebody must say.
//! let policy = Standard::new("connect-failure,refused-stream".parse()?)
//!     .refused_if(|head| GrpcCode::of(head) == Some(GrpcCode::Unavailable));
//! let service = ServiceBuilder::new()
//!     .layer(FailoverLayer::new(policy))
//!     .layer(PeekLayer::new())
//!     .service(Balance::new([
//!         pool.upstream("http://10.0.0.1:50051")?,
//!         pool.upstream("http://10.0.0.2:50051")?,
//!     ]));
//! # fn check<S: tower::Service<http::Request<Incoming>>>(_: S) {}
//! # check(service);
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! ```
//!
//! | what comes first | what becomes of the response |
//! |---|---|
//! | data | it is handed on |
//! | trailers | it is handed on with its [`FirstTrailers`], where [`GrpcCode::of`](crate::policy::GrpcCode::of) and a [`RetryOn`](crate::policy::RetryOn) list find the `grpc-status` |
//! | the end | it is handed on with [`FirstTrailers`] that are empty |
//! | an error | the call fails with it |
//!
//! Head and body stay what the upstream sent, frame by frame, and so do the body's hints. Data without
//! a byte in it is not what a body begins with: up to 16 such frames are waited past, and kept.
//!
//! A body that fails first is no response that a client could use, so the call fails. Its error is known
//! to [`KnownErrors`](crate::failure::KnownErrors), mostly as a
//! [`Reset`](crate::failure::FailureKind::Reset). With [`when`](PeekLayer::when) the same holds for
//! responses other than gRPC's.
//!
//! Neither the error nor the status proves anything: a peer that answers may have processed the request,
//! and only one that is safe to repeat is sent again. gRPC's are all POST. Which may be repeated is for
//! their user to say: by a status that is only sent before anything is done
//! ([`refused_if`](crate::policy::Standard::refused_if), as above), by a
//! [`SafeToRepeat`](crate::policy::SafeToRepeat) on the request, or by
//! [`NonIdempotent::Always`](crate::policy::NonIdempotent::Always).
//!
//! # What it costs
//!
//! Time: nobody sees a head before its body begins. Hence only a response whose status is
//! [still to come](awaits_grpc_status) is held, and only where this layer was asked for.
//!
//! - **Streams in both directions can wait for ever**: where the client sends nothing before it has the
//!   head, and the server nothing before it has heard from the client. Leave such calls out with
//!   [`when`](PeekLayer::when), and set a time: the wait is part of the attempt, which
//!   [`per_try_timeout`](crate::FailoverLayer::per_try_timeout) and
//!   [`deadline`](crate::FailoverLayer::deadline) bind.
//! - A stream whose first message comes late is cut by those times, as a late head is. Without this
//!   layer they end with the head.
//!
//! # Where it stands
//!
//! Below the failover, and above or below the balancer. To a balancer above it, a wait that
//! the per-try timeout ends and a body that fails first are failures of the peer like any other; one below
//! it has seen a good head by then, and counts both as bodies that broke off.
//! `Endpoint::new(name, PeekLayer::new().layer(upstream))` is an endpoint with its own.
//!
//! The body that is held back has been polled when it is moved, so it must be `Unpin`, as those of
//! hyper, reqwest and this crate's own balancer are; one that is not needs tower-http's
//! `MapResponseBodyLayer::new(Box::pin)` below.

mod body;
mod future;
mod trailers;
mod when;

use std::task::{Context, Poll};

use http::{Response, response};
use http_body::Body;
use tower_layer::Layer;
use tower_service::Service;

pub(crate) use self::trailers::grpc_header;
use self::when::When;
pub use self::{
    body::PeekBody, future::PeekFuture, trailers::FirstTrailers, when::awaits_grpc_status,
};
use crate::BoxError;

/// Holds back the heads of gRPC responses, or of others, until their bodies begin.
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct PeekLayer {
    when: When,
}

impl PeekLayer {
    /// Holds responses for which [`awaits_grpc_status`] says yes.
    pub const fn new() -> Self {
        Self {
            when: When::AwaitsGrpcStatus,
        }
    }

    /// Sets which responses are held instead.
    ///
    /// Never held are 101 (Switching Protocols) and a response whose body says that it is at its end.
    ///
    /// ```
    /// use tower_failover::peek::{PeekLayer, awaits_grpc_status};
    ///
    /// // A peer that dies before the first byte of a page has not answered.
    /// let pages = PeekLayer::new().when(|response| {
    ///     awaits_grpc_status(response) || response.headers.contains_key("content-length")
    /// });
    /// # let _ = pages;
    /// ```
    pub fn when(
        mut self,
        holds: impl Fn(&response::Parts) -> bool + Send + Sync + 'static,
    ) -> Self {
        self.when = When::chosen(holds);
        self
    }
}

impl<S> Layer<S> for PeekLayer {
    type Service = Peek<S>;

    fn layer(&self, inner: S) -> Peek<S> {
        Peek {
            inner,
            when: self.when.clone(),
        }
    }
}

/// A service whose responses have begun; made by [`PeekLayer`].
///
/// Its errors are the inner service's own, boxed, and those of bodies that fail first.
#[derive(Clone, Debug)]
pub struct Peek<S> {
    inner: S,
    when: When,
}

impl<S, T, R> Service<T> for Peek<S>
where
    S: Service<T, Response = Response<R>>,
    S::Error: Into<BoxError>,
    R: Body + Unpin,
    R::Error: Into<BoxError>,
{
    type Response = Response<PeekBody<R>>;
    type Error = BoxError;
    type Future = PeekFuture<S::Future, R>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, request: T) -> Self::Future {
        PeekFuture::new(self.inner.call(request), self.when.clone())
    }
}
