//! A body that is as large as it shall be, and takes no memory.

use std::{
    convert::Infallible,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};

static BLOCK: [u8; 64 * 1024] = [b'x'; 64 * 1024];

/// A body of one letter.
#[derive(Debug)]
pub(crate) struct Pattern {
    left: u64,
    length: Length,
    /// The bytes that were taken from it and from others.
    taken: Arc<AtomicU64>,
}

/// Whether the reader is told the length beforehand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Length {
    Known,
    Unknown,
}

impl Pattern {
    pub(crate) fn new(bytes: u64, length: Length, taken: &Arc<AtomicU64>) -> Self {
        Self {
            left: bytes,
            length,
            taken: Arc::clone(taken),
        }
    }
}

impl Body for Pattern {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        let block = Bytes::from_static(&BLOCK);
        let size = self.left.min(BLOCK.len() as u64);
        self.left -= size;
        self.taken.fetch_add(size, Ordering::Relaxed);
        Poll::Ready(Some(Ok(Frame::data(block.slice(..size as usize)))))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        match self.length {
            Length::Known => SizeHint::with_exact(self.left),
            Length::Unknown => SizeHint::default(),
        }
    }
}
