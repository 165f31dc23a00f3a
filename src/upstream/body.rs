use std::{
    error::Error as StdError,
    fmt, mem,
    pin::Pin,
    sync::{Mutex, PoisonError},
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

use super::exchange::{Flow, Progress};

/// The body of an [`Upstream`](super::Upstream)'s response.
///
/// It is hyper's, but that one which an upstream resets in HTTP/2 is never taken for whole. To hyper a
/// reset with NO_ERROR is an end: that is how a server which has answered asks for the upload to stop (RFC
/// 9113, section 8.1). Where there was no upload, it is a response that was cut off.
///
/// In HTTP/1 it has the connection, which serves the next request as soon as the body was read to its end, and
/// is closed if the body is dropped before. A body that came with its head, as a small one does, has none.
pub struct UpstreamBody {
    incoming: Incoming,
    end: End,
    /// The connection, where nobody else drives it. The lock is for `Sync`, and never taken.
    flow: Option<Mutex<Pin<Box<dyn Flow>>>>,
}

/// How it can end.
enum End {
    /// As hyper says.
    Any,
    /// With the end of its stream alone.
    OfStream,
    /// It broke off, which is told at the next poll.
    Broken(UpstreamBodyError),
}

impl UpstreamBody {
    pub(super) fn new(
        incoming: Incoming,
        must_end: bool,
        flow: Option<Pin<Box<dyn Flow>>>,
    ) -> Self {
        Self {
            incoming,
            end: if must_end { End::OfStream } else { End::Any },
            flow: flow.map(Mutex::new),
        }
    }

    fn poll_incoming(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        if let Some(flow) = &mut self.flow {
            let flow = flow.get_mut().unwrap_or_else(PoisonError::into_inner);
            flow.hush();
            let mut frame = flow.read(&mut self.incoming);
            if frame.is_ready() {
                return frame;
            }
            let progress = flow.as_mut().drive();
            if progress == Progress::Busy {
                frame = flow.read(&mut self.incoming);
                if frame.is_pending() {
                    flow.wait(cx.waker());
                }
                return frame;
            }
            self.leave(progress);
        }
        Pin::new(&mut self.incoming).poll_frame(cx)
    }

    /// Lets go of a connection that has brought all of the body.
    fn leave(&mut self, progress: Progress) {
        let flow = self.flow.take().map(Mutex::into_inner);
        if let (Some(flow), Progress::Idle) = (flow, progress) {
            flow.unwrap_or_else(PoisonError::into_inner).release();
        }
    }
}

impl Body for UpstreamBody {
    type Data = Bytes;
    type Error = UpstreamBodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, UpstreamBodyError>>> {
        if matches!(self.end, End::Broken(_)) {
            if let End::Broken(error) = mem::replace(&mut self.end, End::Any) {
                return Poll::Ready(Some(Err(error)));
            }
        }
        let must_end = matches!(self.end, End::OfStream);
        let source = match ready!(self.poll_incoming(cx)) {
            None if must_end && !self.incoming.is_end_stream() => None,
            Some(Err(error)) => Some(error),
            None => return Poll::Ready(None),
            Some(Ok(frame)) => return Poll::Ready(Some(Ok(frame))),
        };
        // A server whose body fails throws away what it has not written yet, and the head and all data may
        // have come with the failure. It writes them now.
        self.end = End::Broken(UpstreamBodyError { source });
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}

impl fmt::Debug for UpstreamBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UpstreamBody")
            .field("incoming", &self.incoming)
            .finish_non_exhaustive()
    }
}

/// A response's body broke off.
#[derive(Debug)]
pub struct UpstreamBodyError {
    /// `None`: the stream was reset as if nothing were wrong.
    source: Option<hyper::Error>,
}

impl fmt::Display for UpstreamBodyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.source {
            Some(_) => "reading the response body failed",
            None => "the response body was cut off",
        })
    }
}

impl StdError for UpstreamBodyError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_ref().map(|error| error as _)
    }
}
