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

/// Whether hyper has taken more of a request than its transport has.
///
/// To hyper, a request is sent when it is in hyper's own buffer; a connection with a response can so be ready for the
/// next one while much of an upload is not written yet, and needs to be driven still.
#[derive(Debug, Default)]
pub(super) struct Backlog(Arc<AtomicBool>);

/// A transport that leaves word of its backlog.
#[derive(Debug)]
pub(super) struct Watched<T> {
    io: T,
    backlog: Arc<AtomicBool>,
}

impl Backlog {
    pub(super) fn watch<T>(&self, io: T) -> Watched<T> {
        Watched {
            io,
            backlog: Arc::clone(&self.0),
        }
    }

    /// Whether all was written when the connection was driven last.
    pub(super) fn is_empty(&self) -> bool {
        !self.0.load(Ordering::Relaxed)
    }
}

impl<T> Watched<T> {
    fn written<V>(&self, polled: Poll<io::Result<V>>) -> Poll<io::Result<V>> {
        if polled.is_pending() {
            self.backlog.store(true, Ordering::Relaxed);
        }
        polled
    }
}

impl<T: Read + Unpin> Read for Watched<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buf)
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
        self.backlog.store(polled.is_pending(), Ordering::Relaxed);
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
