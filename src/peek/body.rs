use std::{
    collections::VecDeque,
    fmt,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Buf;
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use super::FirstTrailers;

/// How many frames of data without a byte are waited past: nobody sends one without need, and an
/// upstream that sends nothing else must not fill the memory.
const MOST_EMPTY: usize = 16;

pin_project! {
    /// A response's body, as the upstream sends it.
    pub struct PeekBody<R>
    where
        R: Body,
    {
        #[pin]
        inner: R,
        // What was taken out of `inner` and not given out yet. Only the last can have a byte in it, so
        // that nearly always there is one at most.
        first: Option<Frame<R::Data>>,
        behind: VecDeque<Frame<R::Data>>,
        // Whether `inner` has said that it ended: it must not be asked again.
        ended: bool,
    }
}

impl<R: Body> PeekBody<R> {
    pub(super) fn new(inner: R) -> Self {
        Self {
            inner,
            first: None,
            behind: VecDeque::new(),
            ended: false,
        }
    }

    /// Takes frames out of the body until it has begun; `None`: with data.
    pub(super) fn poll_begin(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<FirstTrailers>, R::Error>>
    where
        R: Unpin,
    {
        loop {
            let frame = match ready!(Pin::new(&mut self.inner).poll_frame(cx)) {
                Some(Ok(frame)) => frame,
                Some(Err(error)) => return Poll::Ready(Err(error)),
                None => {
                    self.ended = true;
                    return Poll::Ready(Ok(Some(FirstTrailers::new(HeaderMap::new()))));
                }
            };
            let trailers = frame.trailers_ref().cloned().map(FirstTrailers::new);
            let is_empty = frame.data_ref().is_some_and(|data| !data.has_remaining());
            if self.first.is_none() {
                self.first = Some(frame);
            } else {
                self.behind.push_back(frame);
            }
            if !is_empty || self.behind.len() == MOST_EMPTY {
                return Poll::Ready(Ok(trailers));
            }
        }
    }

    fn held(&self) -> impl Iterator<Item = &Frame<R::Data>> {
        self.first.iter().chain(&self.behind)
    }
}

impl<R: Body> Body for PeekBody<R> {
    type Data = R::Data;
    type Error = R::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<R::Data>, R::Error>>> {
        let this = self.project();
        if let Some(frame) = this.first.take().or_else(|| this.behind.pop_front()) {
            return Poll::Ready(Some(Ok(frame)));
        }
        if *this.ended {
            return Poll::Ready(None);
        }
        this.inner.poll_frame(cx)
    }

    // The upstream's own hints, to which what is held is added. It would be wrong to make them narrower by
    // what is known here. A server frames a body of no bytes so that its trailers are lost, and takes a
    // body that has ended for whole, whatever length its head has promised.

    fn is_end_stream(&self) -> bool {
        self.held().next().is_none() && self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let data = self.held().filter_map(Frame::data_ref);
        let held = data.map(|data| data.remaining() as u64).sum();
        let inner = self.inner.size_hint();
        let mut hint = SizeHint::new();
        hint.set_lower(inner.lower().saturating_add(held));
        if let Some(upper) = inner.upper().and_then(|upper| upper.checked_add(held)) {
            hint.set_upper(upper);
        }
        hint
    }
}

/// The body's default, which layers above may need for answers of their own.
impl<R: Body + Default> Default for PeekBody<R> {
    fn default() -> Self {
        Self::new(R::default())
    }
}

impl<R: Body + fmt::Debug> fmt::Debug for PeekBody<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PeekBody")
            .field("inner", &self.inner)
            .field("held", &self.held().count())
            .field("ended", &self.ended)
            .finish()
    }
}
