use std::{
    fmt,
    future::Future,
    io, mem,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use http::Uri;
use pin_project_lite::pin_project;
use tokio::time::{Sleep, sleep};
use tower_service::Service;

use super::reuse::TaggedIo;
use crate::BoxError;

/// A [`Pool`](super::Pool)'s connector: the one that it was given, within the pool's
/// [time to connect](super::PoolOptions::connect_timeout).
///
/// Its connections know how many responses they have brought.
#[derive(Clone, Copy, Debug)]
pub struct Connector<C> {
    inner: C,
    timeout: Duration,
}

impl<C> Connector<C> {
    pub(super) const fn new(inner: C, timeout: Duration) -> Self {
        Self { inner, timeout }
    }
}

impl<C> Service<Uri> for Connector<C>
where
    C: Service<Uri> + Clone,
    C::Error: Into<BoxError>,
{
    type Response = TaggedIo<C::Response>;
    type Error = BoxError;
    type Future = Connecting<C>;

    /// Always ready: waiting for the connector inside is a part of connecting, and timed with it.
    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, dst: Uri) -> Connecting<C> {
        Connecting {
            state: State::Readying {
                connector: self.inner.clone(),
                dst,
            },
            // hyper-util's client demands a future that can be moved.
            timer: Box::pin(sleep(self.timeout)),
        }
    }
}

pin_project! {
    /// The future of a [`Connector`].
    pub struct Connecting<C>
    where
        C: Service<Uri>,
    {
        #[pin]
        state: State<C, C::Future>,
        timer: Pin<Box<Sleep>>,
    }
}

pin_project! {
    #[project = StateProj]
    enum State<C, F> {
        Readying { connector: C, dst: Uri },
        Called { #[pin] future: F },
    }
}

impl<C> Future for Connecting<C>
where
    C: Service<Uri>,
    C::Error: Into<BoxError>,
{
    type Output = Result<TaggedIo<C::Response>, BoxError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        loop {
            let called = match this.state.as_mut().project() {
                StateProj::Readying { connector, dst } => match connector.poll_ready(cx) {
                    Poll::Ready(Ok(())) => connector.call(mem::take(dst)),
                    Poll::Ready(Err(error)) => return Poll::Ready(Err(error.into())),
                    Poll::Pending => break,
                },
                StateProj::Called { future } => match future.poll(cx) {
                    Poll::Ready(Ok(io)) => return Poll::Ready(Ok(TaggedIo::new(io))),
                    Poll::Ready(Err(error)) => return Poll::Ready(Err(error.into())),
                    Poll::Pending => break,
                },
            };
            this.state.set(State::Called { future: called });
        }
        ready!(this.timer.as_mut().poll(cx));
        let text = "no connection within the connect timeout";
        // The kind is what the classifier goes by.
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, text).into()))
    }
}

impl<C: Service<Uri>> fmt::Debug for Connecting<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connecting").finish_non_exhaustive()
    }
}
