use std::task::{Context, Poll, ready};

use tower::Service;

/// Stands where a service is used as tower demands: it panics when it is called without having been
/// ready, and when it is asked again after it failed to be; a clone is never ready.
#[derive(Debug)]
pub(crate) struct Strict<S> {
    inner: S,
    ready: bool,
    failed: bool,
}

impl<S> Strict<S> {
    pub(crate) fn new(inner: S) -> Self {
        Self {
            inner,
            ready: false,
            failed: false,
        }
    }
}

impl<S: Clone> Clone for Strict<S> {
    fn clone(&self) -> Self {
        Self::new(self.inner.clone())
    }
}

impl<S, T> Service<T> for Strict<S>
where
    S: Service<T>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        assert!(!self.failed, "asked again after it failed to be ready");
        let polled = ready!(self.inner.poll_ready(cx));
        self.failed = polled.is_err();
        self.ready = polled.is_ok();
        Poll::Ready(polled)
    }

    fn call(&mut self, request: T) -> S::Future {
        assert!(self.ready, "called without being ready");
        self.ready = false;
        self.inner.call(request)
    }
}
