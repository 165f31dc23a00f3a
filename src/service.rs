use std::{
    fmt, mem,
    sync::Arc,
    task::{Context, Poll},
};

use http::{Request, Response};
use http_body::Body;
use tower_service::Service;

use crate::{
    BoxError, Error,
    future::ResponseFuture,
    limits::{Limits, MaxAttempts},
    policy::Policy,
    replay::ReplayBody,
};

/// Sends a request again when an attempt fails and repeating it is safe; made by
/// [`FailoverLayer`](crate::FailoverLayer).
///
/// The first attempt is made by the service that was polled ready, as tower demands; each later one
/// by the same instance, once it is ready again. Dropping the response future stops everything.
#[derive(Clone)]
pub struct Failover<S, P> {
    inner: S,
    policy: P,
    limits: Arc<Limits>,
}

impl<S, P> Failover<S, P> {
    pub(crate) fn new(inner: S, policy: P, limits: Arc<Limits>) -> Self {
        Self {
            inner,
            policy,
            limits,
        }
    }

    /// The service below.
    pub fn get_ref(&self) -> &S {
        &self.inner
    }

    /// The service below.
    pub fn get_mut(&mut self) -> &mut S {
        &mut self.inner
    }

    /// Gives the service below back.
    pub fn into_inner(self) -> S {
        self.inner
    }
}

impl<S, P, B, R> Service<Request<B>> for Failover<S, P>
where
    S: Service<Request<ReplayBody<B>>, Response = Response<R>> + Clone,
    S::Error: Into<BoxError>,
    P: Policy + Clone,
    B: Body + Unpin,
    B::Error: Into<BoxError>,
    R: Body,
{
    type Response = Response<R>;
    type Error = Error;
    type Future = ResponseFuture<S, P, B, R>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.inner
            .poll_ready(cx)
            .map_err(|error| ResponseFuture::<S, P, B, R>::not_ready(&self.limits, error.into()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let (mut parts, body) = request.into_parts();
        let limits = &self.limits;
        let max_attempts = MaxAttempts::take(&mut parts.extensions, limits);
        // The request's own policy: what it is asked, it may remember.
        let mut policy = self.policy.clone();
        if max_attempts != 1 && policy.may_retry(&parts) {
            // The clone was not polled ready; it must not be the one that is called.
            let clone = self.inner.clone();
            let ready = mem::replace(&mut self.inner, clone);
            ResponseFuture::repeatable(ready, policy, limits, max_attempts, parts, body)
        } else {
            ResponseFuture::once(&mut self.inner, limits, parts, body)
        }
    }
}

impl<S: fmt::Debug, P: fmt::Debug> fmt::Debug for Failover<S, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Failover")
            .field("inner", &self.inner)
            .field("policy", &self.policy)
            .field("limits", &self.limits)
            .finish()
    }
}
