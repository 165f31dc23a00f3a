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
        // `None`: the page is all there is.
        #[pin]
        upstream: Option<R>,
        page: Option<Bytes>,
    }
}

impl<R> GatewayBody<R> {
    pub(super) fn upstream(body: R) -> Self {
        Self {
            upstream: Some(body),
            page: None,
        }
    }

    pub(super) fn page(page: Bytes) -> Self {
        Self {
            upstream: None,
            page: Some(page).filter(|page| !page.is_empty()),
        }
    }
}

/// An empty body, which layers above may need for answers of their own.
impl<R> Default for GatewayBody<R> {
    fn default() -> Self {
        Self {
            upstream: None,
            page: None,
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
            None => Poll::Ready(this.page.take().map(|page| Ok(Frame::data(page)))),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.upstream {
            Some(body) => body.is_end_stream(),
            None => self.page.is_none(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.upstream {
            Some(body) => body.size_hint(),
            None => {
                let length = self.page.as_ref().map_or(0, Bytes::len);
                SizeHint::with_exact(length as u64)
            }
        }
    }
}
