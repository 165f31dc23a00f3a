use std::{
    error::Error as StdError,
    fmt,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

/// The body of an [`Upstream`](super::Upstream)'s response.
///
/// It is hyper's, but that one which an upstream resets in HTTP/2 is never taken for whole. To hyper a
/// reset with NO_ERROR is an end: that is how a server which has answered asks for the upload to stop (RFC
/// 9113, section 8.1). Where there was no upload, it is a response that was cut off.
#[derive(Debug)]
pub struct UpstreamBody {
    inner: Incoming,
    /// Whether only the end of its stream can be its end.
    must_end: bool,
}

impl UpstreamBody {
    pub(super) fn new(inner: Incoming, must_end: bool) -> Self {
        Self { inner, must_end }
    }
}

impl Body for UpstreamBody {
    type Data = Bytes;
    type Error = UpstreamBodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, UpstreamBodyError>>> {
        let frame = ready!(Pin::new(&mut self.inner).poll_frame(cx));
        if frame.is_none() && self.must_end && !self.inner.is_end_stream() {
            self.must_end = false;
            return Poll::Ready(Some(Err(UpstreamBodyError { source: None })));
        }
        let failed = |source| UpstreamBodyError {
            source: Some(source),
        };
        Poll::Ready(frame.map(|frame| frame.map_err(failed)))
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
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
