use std::{
    fmt,
    sync::Arc,
    task::{Context, Poll},
};

use http::{Request, Response};
use http_body::Body;
use tower_service::Service;

use super::{body::UpstreamBody, future::UpstreamFuture, target::Target};
use crate::{
    BoxError,
    trail::{Follow, Trail},
};

/// Sends requests to one base URI; made by [`Pool::upstream`](super::Pool::upstream).
///
/// A clone is a pointer, and shares the connections.
pub struct Upstream<B> {
    target: Arc<Target<B>>,
}

impl<B> Upstream<B> {
    pub(super) fn new(target: Target<B>) -> Self {
        Self {
            target: Arc::new(target),
        }
    }

    /// The base URI as it was given, without a slash at its end.
    pub fn name(&self) -> &str {
        &self.target.name
    }
}

impl<B> Service<Request<B>> for Upstream<B>
where
    B: Body + Send + Unpin + 'static,
    B::Data: Send,
    B::Error: Into<BoxError>,
{
    type Response = Response<UpstreamBody>;
    type Error = BoxError;
    type Future = UpstreamFuture<B>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> UpstreamFuture<B> {
        let trail = Trail::of(request.extensions()).cloned();
        UpstreamFuture::new(&self.target, request, trail)
    }
}

impl<B> Follow<Request<B>> for Upstream<B>
where
    B: Body + Send + Unpin + 'static,
    B::Data: Send,
    B::Error: Into<BoxError>,
{
    fn follow(&mut self, request: Request<B>, trail: Trail) -> UpstreamFuture<B> {
        UpstreamFuture::new(&self.target, request, Some(trail))
    }
}

impl<B> Clone for Upstream<B> {
    fn clone(&self) -> Self {
        Self {
            target: Arc::clone(&self.target),
        }
    }
}

impl<B> fmt::Debug for Upstream<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Upstream").field(&self.target.name).finish()
    }
}

#[cfg(feature = "balance")]
impl<B> From<Upstream<B>> for crate::balance::Endpoint<Upstream<B>> {
    fn from(upstream: Upstream<B>) -> Self {
        Self::new(Arc::clone(&upstream.target.name), upstream)
    }
}
