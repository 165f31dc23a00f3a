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
//! - Every one of them is logged at level `warn`, and carries a [`Report`](crate::report::Report) in
//!   its extensions: a failure that reaches the client is not hidden.
//! - With the `hyper` feature, both sides are bridged after 101 (Switching Protocols).

mod body;
#[cfg(feature = "hyper")]
mod upgrade;

use std::{
    convert::Infallible,
    error::Error as StdError,
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::{HeaderValue, Request, Response, header::CONTENT_TYPE};
use http_body::Body;
use pin_project_lite::pin_project;
use tower_layer::Layer;
use tower_service::Service;
use tracing::warn;

pub use self::body::GatewayBody;
#[cfg(feature = "hyper")]
use self::upgrade::Upgrade;
use crate::{
    BoxError, Error,
    failure::{Classify, FailureKind, KnownErrors},
};

/// Answers a request whose service failed.
#[derive(Clone, Copy, Debug, Default)]
pub struct GatewayLayer {
    _private: (),
}

impl GatewayLayer {
    /// Answers with a status and its name in plain text.
    pub const fn new() -> Self {
        Self { _private: () }
    }
}

impl<S> Layer<S> for GatewayLayer {
    type Service = Gateway<S>;

    fn layer(&self, inner: S) -> Gateway<S> {
        Gateway {
            inner,
            unready: None,
        }
    }
}

/// A service that never fails; made by [`GatewayLayer`].
#[derive(Debug)]
pub struct Gateway<S> {
    inner: S,
    /// The error of a service that was not ready: the next request is answered with it.
    unready: Option<BoxError>,
}

impl<S: Clone> Clone for Gateway<S> {
    fn clone(&self) -> Self {
        Self {
            inner: self.inner.clone(),
            unready: None,
        }
    }
}

impl<S, B, R> Service<Request<B>> for Gateway<S>
where
    S: Service<Request<B>, Response = Response<R>>,
    S::Error: Into<BoxError>,
    R: Body<Data = Bytes>,
{
    type Response = Response<GatewayBody<R>>;
    type Error = Infallible;
    type Future = GatewayFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        if self.unready.is_none() {
            self.unready = ready!(self.inner.poll_ready(cx)).err().map(Into::into);
        }
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        #[cfg(feature = "hyper")]
        let (request, upgrade) = Upgrade::take(request);
        let state = match self.unready.take() {
            Some(error) => State::Failed { error: Some(error) },
            None => State::Called {
                future: self.inner.call(request),
            },
        };
        GatewayFuture {
            state,
            #[cfg(feature = "hyper")]
            upgrade,
        }
    }
}

#[cfg(not(feature = "hyper"))]
pin_project! {
    /// The future of a [`Gateway`]'s response.
    #[derive(Debug)]
    pub struct GatewayFuture<F> {
        #[pin]
        state: State<F>,
    }
}

#[cfg(feature = "hyper")]
pin_project! {
    /// The future of a [`Gateway`]'s response.
    #[derive(Debug)]
    pub struct GatewayFuture<F> {
        #[pin]
        state: State<F>,
        upgrade: Option<Upgrade>,
    }
}

pin_project! {
    #[derive(Debug)]
    #[project = StateProj]
    enum State<F> {
        Failed { error: Option<BoxError> },
        Called { #[pin] future: F },
    }
}

impl<F, R, E> Future for GatewayFuture<F>
where
    F: Future<Output = Result<Response<R>, E>>,
    E: Into<BoxError>,
    R: Body<Data = Bytes>,
{
    type Output = Result<Response<GatewayBody<R>>, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let result = match this.state.project() {
            StateProj::Failed { error } => match error.take() {
                Some(error) => Err(error),
                None => panic!("a gateway future was polled after its end"),
            },
            StateProj::Called { future } => ready!(future.poll(cx)).map_err(Into::into),
        };
        Poll::Ready(Ok(match result {
            #[cfg_attr(not(feature = "hyper"), expect(unused_mut))]
            Ok(mut response) => {
                #[cfg(feature = "hyper")]
                if let Some(upgrade) = this.upgrade.take() {
                    upgrade.bridge(&mut response);
                }
                response.map(GatewayBody::upstream)
            }
            Err(error) => answer(&*error),
        }))
    }
}

fn answer<R>(error: &(dyn StdError + 'static)) -> Response<GatewayBody<R>> {
    // A layer between may have wrapped it.
    let known = std::iter::successors(Some(error), |&error| error.source())
        .find_map(|error| error.downcast_ref::<Error>());
    let kind = known.map(Error::kind);
    let kind = kind.or_else(|| KnownErrors.classify(error).map(|evidence| evidence.kind));
    let status = kind.unwrap_or(FailureKind::Other).status();
    warn!(
        status = status.as_u16(),
        error,
        attempts = known.map(|error| tracing::field::display(error.report().clone())),
        "request failed"
    );
    let name = status.canonical_reason().unwrap_or_default();
    let mut response = Response::new(GatewayBody::text(format!("{name}\n")));
    *response.status_mut() = status;
    let text = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, text);
    if let Some(error) = known {
        response.extensions_mut().insert(error.report().clone());
    }
    response
}
