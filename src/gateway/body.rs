use std::{
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

pin_project! {
    /// An upstream's response body, or the gateway's own.
    #[derive(Debug)]
    pub struct GatewayBody<R> {
        // `None`: the text is all there is.
        #[pin]
        upstream: Option<R>,
        text: Option<Bytes>,
    }
}

impl<R> GatewayBody<R> {
    pub(super) fn upstream(body: R) -> Self {
        Self {
            upstream: Some(body),
            text: None,
        }
    }

    pub(super) fn text(text: String) -> Self {
        Self {
            upstream: None,
            text: Some(text.into()),
        }
    }
}

/// An empty body, which layers above may need for answers of their own.
impl<R> Default for GatewayBody<R> {
    fn default() -> Self {
        Self {
            upstream: None,
            text: None,
        }
    }
}

impl<R: Body<Data = Bytes>> Body for GatewayBody<R> {
    type Data = Bytes;
    type Error = R::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, R::Error>>> {
        let this = self.project();
        match this.upstream.as_pin_mut() {
            Some(body) => body.poll_frame(cx),
            None => Poll::Ready(this.text.take().map(|text| Ok(Frame::data(text)))),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.upstream {
            Some(body) => body.is_end_stream(),
            None => self.text.is_none(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.upstream {
            Some(body) => body.size_hint(),
            None => {
                let length = self.text.as_ref().map_or(0, Bytes::len);
                SizeHint::with_exact(length as u64)
            }
        }
    }
}
