use std::{
    io::{self, IoSlice},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Waker},
};

use hyper::rt::{Read, ReadBufCursor, Write};

/// What hyper leaves to be done by a connection's transport.
#[derive(Debug, Default)]
pub(super) struct Backlog(Arc<Marks>);

#[derive(Debug, Default)]
struct Marks {
    /// Whether hyper has taken more of a request than its transport has.
    ///
    /// To hyper, a request is sent when it is in hyper's own buffer; a connection with a response can so be ready for
    /// the next one while much of an upload is not written yet, and needs to be driven still.
    unwritten: AtomicBool,
    /// Whether there has been nothing to read since the connection is driven.
    unreadable: AtomicBool,
}

/// A transport that leaves word of its backlog.
#[derive(Debug)]
pub(super) struct Watched<T> {
    io: T,
    marks: Arc<Marks>,
    /// The one that the connection is driven with. After an upgrade the transport is somebody else's, with other wakers.
    own: Waker,
}

impl Backlog {
    pub(super) fn watch<T>(&self, io: T, own: Waker) -> Watched<T> {
        Watched {
            io,
            marks: Arc::clone(&self.0),
            own,
        }
    }

    /// The connection is about to be driven.
    pub(super) fn look_again(&self) {
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
            self.marks.unwritten.store(true, Ordering::Relaxed);
        }
        polled
    }
}

/// Each time it is driven, hyper tries up to four times to read. Once there was nothing, it is told so without asking the
/// transport again: should there be more meanwhile, the waker is woken, as the transport has promised.
impl<T: Read + Unpin> Read for Watched<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let driven = cx.waker().will_wake(&self.own);
        if driven && self.marks.unreadable.load(Ordering::Relaxed) {
            return Poll::Pending;
        }
        let polled = Pin::new(&mut self.io).poll_read(cx, buf);
        if driven && polled.is_pending() {
            self.marks.unreadable.store(true, Ordering::Relaxed);
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
        let unwritten = &self.marks.unwritten;
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
