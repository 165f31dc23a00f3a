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
        #[pin]
        content: Content<R>,
    }
}

pin_project! {
    #[derive(Debug)]
    #[project = ContentProj]
    enum Content<R> {
        Upstream { #[pin] body: R },
        // `None`: it was read, or is empty.
        Page { page: Option<Bytes> },
    }
}

impl<R> GatewayBody<R> {
    pub(super) fn upstream(body: R) -> Self {
        Self {
            content: Content::Upstream { body },
        }
    }

    pub(super) fn page(page: Bytes) -> Self {
        let page = Some(page).filter(|page| !page.is_empty());
        Self {
            content: Content::Page { page },
        }
    }
}

/// An empty body, which layers above may need for answers of their own.
impl<R> Default for GatewayBody<R> {
    fn default() -> Self {
        Self::page(Bytes::new())
    }
}

impl<R: Body<Data = Bytes>> Body for GatewayBody<R> {
    type Data = Bytes;
    type Error = R::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, R::Error>>> {
        match self.project().content.project() {
            ContentProj::Upstream { body } => body.poll_frame(cx),
            ContentProj::Page { page } => {
                Poll::Ready(page.take().map(|page| Ok(Frame::data(page))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.content {
            Content::Upstream { body } => body.is_end_stream(),
            Content::Page { page } => page.is_none(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.content {
            Content::Upstream { body } => body.size_hint(),
            Content::Page { page } => {
                let length = page.as_ref().map_or(0, Bytes::len);
                SizeHint::with_exact(length as u64)
            }
        }
    }
}
