use std::{
    convert::Infallible,
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::Response;
use http_body::Body;
use pin_project_lite::pin_project;

use super::{ErrorPage, GatewayBody, PlainText, pending::Pending};
use crate::BoxError;

pin_project! {
    /// The future of a [`Gateway`](super::Gateway)'s response.
    pub struct GatewayFuture<F, P = PlainText>
    where
        P: ErrorPage,
    {
        #[pin]
        state: State<F>,
        // `None`: the request was answered.
        pending: Option<Pending<P>>,
    }
}

pin_project! {
    #[project = StateProj]
    enum State<F> {
        /// The service was not ready, and was not called.
        Unready { error: Option<BoxError> },
        Called { #[pin] future: F },
    }
}

impl<F, P: ErrorPage> GatewayFuture<F, P> {
    pub(super) fn unready(error: BoxError, pending: Pending<P>) -> Self {
        Self {
            state: State::Unready { error: Some(error) },
            pending: Some(pending),
        }
    }

    pub(super) fn called(future: F, pending: Pending<P>) -> Self {
        Self {
            state: State::Called { future },
            pending: Some(pending),
        }
    }
}

impl<F, P, R, E> Future for GatewayFuture<F, P>
where
    F: Future<Output = Result<Response<R>, E>>,
    E: Into<BoxError>,
    P: ErrorPage,
    R: Body<Data = Bytes>,
{
    type Output = Result<Response<GatewayBody<R>>, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let (calls, error) = match this.state.project() {
            StateProj::Unready { error } => (0, error.take()),
            StateProj::Called { future } => match ready!(future.poll(cx)) {
                Ok(mut response) => {
                    if let Some(pending) = this.pending.take() {
                        pending.mark(&mut response);
                    }
                    return Poll::Ready(Ok(response.map(GatewayBody::upstream)));
                }
                Err(error) => (1, Some(error.into())),
            },
        };
        let (Some(error), Some(pending)) = (error, this.pending.take()) else {
            panic!("a gateway future was polled after its end");
        };
        Poll::Ready(Ok(pending.answer(&*error, calls)))
    }
}

impl<F, P: ErrorPage> fmt::Debug for GatewayFuture<F, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GatewayFuture").finish_non_exhaustive()
    }
}
