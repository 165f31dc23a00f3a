use std::{
    io::{self, IoSlice},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
};

use hyper::rt::{Read, ReadBufCursor, Write};

/// What hyper leaves to be done by a connection's transport.
#[derive(Debug, Default)]
pub(super) struct Backlog(Arc<Left>);

#[derive(Debug, Default)]
struct Left {
    /// Whether hyper has taken more of a request than its transport has.
    ///
    /// To hyper, a request is sent when it is in hyper's own buffer; a connection with a response can so be ready for
    /// the next one while much of an upload is not written yet, and needs to be driven still.
    unwritten: AtomicBool,
    /// Whether the connection is being driven: after an upgrade it is not, and the transport is somebody else's.
    driven: AtomicBool,
    /// Whether the transport has had nothing to read since it is.
    unreadable: AtomicBool,
}

/// A transport that leaves word of its backlog.
#[derive(Debug)]
pub(super) struct Watched<T> {
    io: T,
    left: Arc<Left>,
}

impl Backlog {
    pub(super) fn watch<T>(&self, io: T) -> Watched<T> {
        Watched {
            io,
            left: Arc::clone(&self.0),
        }
    }

    /// Says whether the connection is being driven.
    pub(super) fn set_driven(&self, driven: bool) {
        self.0.driven.store(driven, Ordering::Relaxed);
        self.0.unreadable.store(false, Ordering::Relaxed);
    }

    /// Whether all was written when the connection was driven last.
    pub(super) fn is_empty(&self) -> bool {
        !self.0.unwritten.load(Ordering::Relaxed)
    }
}

impl<T> Watched<T> {
    fn written<V>(&self, polled: Poll<io::Result<V>>) -> Poll<io::Result<V>> {
        if polled.is_pending() {
            self.left.unwritten.store(true, Ordering::Relaxed);
        }
        polled
    }
}

/// Each time it is driven, hyper tries up to four times to read, at 150 instructions each. Here it is told so when there is
/// nothing: should more come meanwhile, its waker is woken, as the transport has promised.
impl<T: Read + Unpin> Read for Watched<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        if self.left.unreadable.load(Ordering::Relaxed) {
            return Poll::Pending;
        }
        let polled = Pin::new(&mut self.io).poll_read(cx, buf);
        if polled.is_pending() && self.left.driven.load(Ordering::Relaxed) {
            self.left.unreadable.store(true, Ordering::Relaxed);
        }
        polled
    }
}

impl<T: Write + Unpin> Write for Watched<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.io).poll_write(cx, buf);
        self.written(polled)
    }

    /// hyper flushes when its own buffer is empty, and not before.
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.io).poll_flush(cx);
        let unwritten = &self.left.unwritten;
        unwritten.store(polled.is_pending(), Ordering::Relaxed);
        polled
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.io).poll_write_vectored(cx, bufs);
        self.written(polled)
    }
}
