use std::{
    fmt,
    marker::PhantomData,
    sync::Arc,
    task::{Context, Poll},
};

use http::{Request, Response};
use http_body::Body;
use tower_service::Service;

use crate::{
    BoxError, Error,
    failure::Stage,
    future::{Call, ResponseFuture},
    limits::Limits,
    policy::Policy,
    replay::ReplayBody,
    report::Report,
    trail::{Directly, Follow, InExtensions, call_in_extensions},
};

/// Sends a request again when an attempt fails and repeating it is safe; made by
/// [`FailoverLayer`](crate::FailoverLayer).
///
/// The first attempt is made by the service that was polled ready, as tower demands; each later one
/// by the same instance, once it is ready again. Dropping the response future stops everything.
pub struct Failover<S, P, H = InExtensions> {
    inner: S,
    policy: P,
    limits: Arc<Limits>,
    /// How the service below is given the trail.
    handing: PhantomData<fn() -> H>,
}

impl<S, P, H> Failover<S, P, H> {
    pub(crate) fn new(inner: S, policy: P, limits: Arc<Limits>) -> Self {
        Self {
            inner,
            policy,
            limits,
            handing: PhantomData,
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
        self.poll_inner(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        self.begin(request, call_in_extensions)
    }
}

impl<S, P, B, R> Service<Request<B>> for Failover<S, P, Directly>
where
    S: Follow<Request<ReplayBody<B>>, Response = Response<R>> + Clone,
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
        self.poll_inner(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        self.begin(request, S::follow)
    }
}

impl<S, P, H> Failover<S, P, H> {
    fn poll_inner<B, R>(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>>
    where
        S: Service<Request<ReplayBody<B>>, Response = Response<R>>,
        S::Error: Into<BoxError>,
    {
        let ready = self.inner.poll_ready(cx);
        ready.map_err(|error| not_ready(&self.limits, error.into()))
    }

    fn begin<B, R>(&mut self, request: Request<B>, call: Call<S, B>) -> ResponseFuture<S, P, B, R>
    where
        S: Service<Request<ReplayBody<B>>, Response = Response<R>> + Clone,
        S::Error: Into<BoxError>,
        P: Policy + Clone,
        B: Body + Unpin,
        B::Error: Into<BoxError>,
        R: Body,
    {
        // The request's own policy: what it is asked, it may remember.
        let policy = self.policy.clone();
        ResponseFuture::begin(call, &mut self.inner, policy, &self.limits, request)
    }
}

/// The error of a service that never became ready for a first attempt.
fn not_ready(limits: &Limits, error: BoxError) -> Error {
    let mut evidence = limits.evidence(&*error);
    evidence.stage = Stage::NotSent;
    Error::new(evidence, Report::default(), Some(error))
}

impl<S: Clone, P: Clone, H> Clone for Failover<S, P, H> {
    fn clone(&self) -> Self {
        Self::new(
            self.inner.clone(),
            self.policy.clone(),
            Arc::clone(&self.limits),
        )
    }
}

impl<S: fmt::Debug, P: fmt::Debug, H> fmt::Debug for Failover<S, P, H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Failover")
            .field("inner", &self.inner)
            .field("policy", &self.policy)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}
