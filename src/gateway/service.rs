use std::{
    convert::Infallible,
    fmt,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use tower_service::Service;

use super::{
    ErrorPage, GatewayBody, PlainText,
    future::GatewayFuture,
    pending::{Marks, Pending},
};
use crate::BoxError;

/// A service that never fails; made by [`GatewayLayer`](super::GatewayLayer).
pub struct Gateway<S, P = PlainText> {
    inner: S,
    page: P,
    marks: Marks,
    /// The error of a service that was not ready: the next request is answered with it.
    unready: Option<BoxError>,
}

impl<S, P> Gateway<S, P> {
    pub(super) fn new(inner: S, page: P, marks: Marks) -> Self {
        Self {
            inner,
            page,
            marks,
            unready: None,
        }
    }
}

impl<S: Clone, P: Clone> Clone for Gateway<S, P> {
    fn clone(&self) -> Self {
        Self::new(self.inner.clone(), self.page.clone(), self.marks.clone())
    }
}

impl<S, P, B, R> Service<Request<B>> for Gateway<S, P>
where
    S: Service<Request<B>, Response = Response<R>>,
    S::Error: Into<BoxError>,
    P: ErrorPage + Clone,
    R: Body<Data = Bytes>,
{
    type Response = Response<GatewayBody<R>>;
    type Error = Infallible;
    type Future = GatewayFuture<S::Future, P>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        if self.unready.is_none() {
            self.unready = ready!(self.inner.poll_ready(cx)).err().map(Into::into);
        }
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let pending = Pending::begin(self.page.clone(), self.marks.clone(), &mut request);
        match self.unready.take() {
            Some(error) => GatewayFuture::unready(error, pending),
            None => GatewayFuture::called(self.inner.call(request), pending),
        }
    }
}

impl<S: fmt::Debug, P> fmt::Debug for Gateway<S, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gateway")
            .field("inner", &self.inner)
            .field("marks", &self.marks)
            .field("unready", &self.unready)
            .finish_non_exhaustive()
    }
}
