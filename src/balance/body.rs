use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use super::exchange::Exchange;

pin_project! {
    /// A response's body: its exchange with the peer lasts until it ends.
    #[derive(Debug)]
    pub struct ResponseBody<R> {
        // `None`: it is empty, and no peer's.
        #[pin]
        inner: Option<R>,
        exchange: Option<Exchange>,
    }
}

/// An empty body, which layers above may need for answers of their own.
impl<R> Default for ResponseBody<R> {
    fn default() -> Self {
        Self {
            inner: None,
            exchange: None,
        }
    }
}

impl<R: Body> ResponseBody<R> {
    pub(super) fn new(inner: R, exchange: Option<Exchange>) -> Self {
        let ended = inner.is_end_stream();
        let mut body = Self {
            inner: Some(inner),
            exchange,
        };
        if ended {
            complete(&mut body.exchange);
        }
        body
    }
}

impl<R: Body> Body for ResponseBody<R> {
    type Data = R::Data;
    type Error = R::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<R::Data>, R::Error>>> {
        let this = self.project();
        let Some(mut inner) = this.inner.as_pin_mut() else {
            return Poll::Ready(None);
        };
        let frame = ready!(inner.as_mut().poll_frame(cx));
        match &frame {
            Some(Err(_)) => {
                if let Some(exchange) = this.exchange.take() {
                    exchange.broken();
                }
            }
            // A server stops reading at the trailers.
            Some(Ok(frame)) if !frame.is_trailers() && !inner.is_end_stream() => {}
            Some(Ok(_)) | None => complete(this.exchange),
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        let inner = self.inner.as_ref();
        inner.map_or(SizeHint::with_exact(0), Body::size_hint)
    }
}

fn complete(exchange: &mut Option<Exchange>) {
    if let Some(exchange) = exchange.take() {
        exchange.completed();
    }
}
