use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
};

use http::Request;
use http_body::{Body, Frame, SizeHint};

/// A request's body, which leaves word when hyper has no more use for it.
#[derive(Debug)]
pub(super) struct Upload<B> {
    body: B,
    /// `None` for one that was at its end from the start, or that nobody watches.
    end: Option<End>,
}

/// A request on its way to a connection; `None` once that has it. It is handed on by reference: each move would copy some
/// 250 bytes.
pub(super) type Slot<B> = Option<Request<Upload<B>>>;

/// Whether a connection's request is still being sent.
#[derive(Debug, Default)]
pub(super) struct Uploading(Arc<AtomicBool>);

#[derive(Debug)]
struct End(Arc<AtomicBool>);

impl Uploading {
    /// Puts a request's body under watch.
    pub(super) fn watch<B: Body>(&self, upload: &mut Upload<B>) {
        // A watch that was kept before is over.
        upload.end = None;
        let uploads = !upload.body.is_end_stream();
        self.0.store(uploads, Ordering::Relaxed);
        upload.end = uploads.then(|| End(Arc::clone(&self.0)));
    }

    pub(super) fn is_over(&self) -> bool {
        !self.0.load(Ordering::Acquire)
    }
}

impl Drop for End {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

impl<B> Upload<B> {
    /// Nobody watches it yet.
    pub(super) fn of(request: Request<B>) -> Request<Self> {
        request.map(|body| Self { body, end: None })
    }

    pub(super) fn into_inner(self) -> B {
        self.body
    }
}

impl<B: Body + Unpin> Body for Upload<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
