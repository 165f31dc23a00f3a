//! Tells whether a connection had already served a response.
//!
//! hyper-util's pooled client knows whether a connection was reused and does not say. Here every connection
//! is tagged when it is made; the client carries the tag to each response and to each error.
//!
//! Reuse is a reason, never proof: an origin may read a request whole and then close the connection.

use std::future::Future;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};

use http::{Extensions, Uri};
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::client::legacy::Error;
use hyper_util::client::legacy::connect::{Connected, Connection};
use pin_project_lite::pin_project;
use tower_service::Service;

/// Counts the response heads that one connection delivered.
///
/// Clones share the count.
#[derive(Clone, Debug, Default)]
pub(super) struct ConnectionTag(Arc<AtomicUsize>);

impl ConnectionTag {
    /// Returns how many response heads were marked as received.
    #[must_use]
    pub(super) fn responses(&self) -> usize {
        // A count and no more: it guards no other memory.
        self.0.load(Ordering::Relaxed)
    }

    fn mark(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// Marks a response head as received, given the response's extensions.
///
/// Does nothing if the connection was not made by [`Tagged`]. The mark should be set where the head comes
/// in: the next request may take the connection as soon as it is idle.
pub(super) fn mark_received(extensions: &Extensions) {
    if let Some(tag) = extensions.get::<ConnectionTag>() {
        tag.mark();
    }
}

/// Returns whether the connection that `error` ended had already served a response.
///
/// `None` if there was no connection, or if it was not made by [`Tagged`].
#[must_use]
pub(super) fn was_reused(error: &Error) -> Option<bool> {
    let mut extensions = Extensions::new();
    error.connect_info()?.get_extras(&mut extensions);
    let tag = extensions.get::<ConnectionTag>()?;
    Some(tag.responses() > 0)
}

/// A connector whose connections know how many responses they have brought.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tagged<C> {
    inner: C,
}

impl<C> Tagged<C> {
    /// Wraps a connector.
    pub const fn new(inner: C) -> Self {
        Self { inner }
    }
}

impl<C> Service<Uri> for Tagged<C>
where
    C: Service<Uri>,
{
    type Response = TaggedIo<C::Response>;
    type Error = C::Error;
    type Future = Connecting<C::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, dst: Uri) -> Self::Future {
        Connecting {
            inner: self.inner.call(dst),
        }
    }
}

pin_project! {
    /// The future of [`Tagged`].
    #[derive(Debug)]
    pub struct Connecting<F> {
        #[pin]
        inner: F,
    }
}

impl<F, T, E> Future for Connecting<F>
where
    F: Future<Output = Result<T, E>>,
{
    type Output = Result<TaggedIo<T>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let inner = ready!(self.project().inner.poll(cx))?;
        let tag = ConnectionTag::default();
        Poll::Ready(Ok(TaggedIo { inner, tag }))
    }
}

pin_project! {
    /// A connection and its [`ConnectionTag`].
    #[derive(Debug)]
    pub struct TaggedIo<T> {
        #[pin]
        inner: T,
        tag: ConnectionTag,
    }
}

impl<T: Connection> Connection for TaggedIo<T> {
    fn connected(&self) -> Connected {
        self.inner.connected().extra(self.tag.clone())
    }
}

impl<T: Read> Read for TaggedIo<T> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        self.project().inner.poll_read(cx, buf)
    }
}

impl<T: Write> Write for TaggedIo<T> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.project().inner.poll_write(cx, buf)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.project().inner.poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.project().inner.poll_shutdown(cx)
    }

    // Left to their defaults, these would cost every connection its vectored writes.
    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.project().inner.poll_write_vectored(cx, bufs)
    }
}
