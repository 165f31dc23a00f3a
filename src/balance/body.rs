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
        #[pin]
        inner: R,
        exchange: Option<Exchange>,
    }
}

impl<R: Body> ResponseBody<R> {
    pub(super) fn new(inner: R, exchange: Option<Exchange>) -> Self {
        let mut body = Self { inner, exchange };
        if body.inner.is_end_stream() {
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
        let mut this = self.project();
        let frame = ready!(this.inner.as_mut().poll_frame(cx));
        match &frame {
            Some(Err(_)) => {
                if let Some(mut exchange) = this.exchange.take() {
                    exchange.broken();
                }
            }
            Some(Ok(_)) if !this.inner.is_end_stream() => {}
            Some(Ok(_)) | None => complete(this.exchange),
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

fn complete(exchange: &mut Option<Exchange>) {
    if let Some(mut exchange) = exchange.take() {
        exchange.completed();
    }
}
