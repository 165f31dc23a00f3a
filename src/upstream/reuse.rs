//! Tells whether a connection had already served a response.
//!
//! hyper-util's pooled client knows whether a connection was reused and does not say. Here every connection
//! is tagged when it is made; the client carries the tag to each response and to each error.
//!
//! Reuse is a reason, never proof: an origin may read a request whole and then close the connection.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use http::Extensions;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::client::legacy::Error;
use hyper_util::client::legacy::connect::{Connected, Connection};
use pin_project_lite::pin_project;

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
/// Does nothing if the connection was not made by a [`Connector`](super::Connector). The mark should be set where the head comes
/// in: the next request may take the connection as soon as it is idle.
pub(super) fn mark_received(extensions: &Extensions) {
    if let Some(tag) = extensions.get::<ConnectionTag>() {
        tag.mark();
    }
}

/// Returns whether the connection that `error` ended had already served a response.
///
/// `None` if there was no connection, or if it was not made by a [`Connector`](super::Connector).
#[must_use]
pub(super) fn was_reused(error: &Error) -> Option<bool> {
    let mut extensions = Extensions::new();
    error.connect_info()?.get_extras(&mut extensions);
    let tag = extensions.get::<ConnectionTag>()?;
    Some(tag.responses() > 0)
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

impl<T> TaggedIo<T> {
    pub(super) fn new(inner: T) -> Self {
        let tag = ConnectionTag::default();
        Self { inner, tag }
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
