use std::task::{Context, Poll};

use http::Request;
use tower_service::Service;

use super::Trail;

/// A service that can be given a request's trail beside the request, and not in its extensions.
///
/// [`FailoverLayer::directly`](crate::FailoverLayer::directly) needs it of the service below. Every service can do it
/// in a [`Told`].
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be given a trail beside its request",
    note = "a balancer of `tower_failover` can, if its endpoints can; any service can in a `tower_failover::trail::Told`"
)]
pub trait Follow<R>: Service<R> {
    /// Does what [`call`](Service::call) does with a request that has the trail in its extensions.
    fn follow(&mut self, request: R, trail: Trail) -> Self::Future;
}

/// A service that finds the trail in the extensions of the request, although it was given
/// [beside](Follow) it.
#[derive(Clone, Copy, Debug)]
pub struct Told<S> {
    inner: S,
}

impl<S> Told<S> {
    /// Tells `inner`.
    pub const fn new(inner: S) -> Self {
        Self { inner }
    }
}

impl<S, B> Service<Request<B>> for Told<S>
where
    S: Service<Request<B>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> S::Future {
        self.inner.call(request)
    }
}

impl<S, B> Follow<Request<B>> for Told<S>
where
    S: Service<Request<B>>,
{
    fn follow(&mut self, request: Request<B>, trail: Trail) -> S::Future {
        call_in_extensions(&mut self.inner, request, trail)
    }
}

/// A service below is given the trail in its request's extensions, where every service can find it.
#[derive(Debug)]
#[non_exhaustive]
pub struct InExtensions;

/// A service below is given the trail [beside](Follow) its request.
#[derive(Debug)]
#[non_exhaustive]
pub struct Directly;

/// Calls a service with the trail where every service can find it.
pub(crate) fn call_in_extensions<S, B>(
    service: &mut S,
    mut request: Request<B>,
    trail: Trail,
) -> S::Future
where
    S: Service<Request<B>>,
{
    request.extensions_mut().insert(trail);
    service.call(request)
}
