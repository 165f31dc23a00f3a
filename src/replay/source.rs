use std::{
    mem,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{Buf, Bytes};
use http_body::{Body, Frame, SizeHint};

use super::error::ReplayError;
use crate::BoxError;

/// The body that is read, until it ends or fails; then what became of it, for good.
pub(super) struct Source<B> {
    body: Progress<B>,
    /// What the body promised before it was read.
    promised: SizeHint,
    /// Payload bytes pulled so far.
    pulled: u64,
}

enum Progress<B> {
    Live(B),
    Ended,
    Failed(ReplayError),
}

impl<B> Source<B> {
    pub(super) fn new(body: B, promised: SizeHint) -> Self {
        Self {
            body: Progress::Live(body),
            promised,
            pulled: 0,
        }
    }

    pub(super) fn pulled(&self) -> u64 {
        self.pulled
    }

    /// Whether the length was known before the first byte.
    pub(super) fn is_sized(&self) -> bool {
        self.promised.exact().is_some()
    }

    fn is_short(&self) -> bool {
        self.pulled < self.promised.lower()
    }

    fn has_room_for(&self, length: u64) -> bool {
        let most = self.promised.exact().unwrap_or(u64::MAX);
        length <= most.saturating_sub(self.pulled)
    }

    pub(super) fn has_failed(&self) -> bool {
        matches!(self.body, Progress::Failed(_))
    }

    /// Ends a body that nobody will read any more, and returns it.
    pub(super) fn end(&mut self) -> Option<B> {
        self.settle(|| Progress::Ended)
    }

    /// Fails a body that cannot be polled again, and returns it.
    pub(super) fn fail(&mut self, error: impl Into<BoxError>) -> Option<B> {
        self.settle(|| Progress::Failed(ReplayError::source_failed(error.into())))
    }

    /// What ended or failed stays so.
    fn settle(&mut self, end: impl FnOnce() -> Progress<B>) -> Option<B> {
        if !matches!(self.body, Progress::Live(_)) {
            return None;
        }
        match mem::replace(&mut self.body, end()) {
            Progress::Live(body) => Some(body),
            Progress::Ended | Progress::Failed(_) => None,
        }
    }
}

impl<B> Source<B>
where
    B: Body + Unpin,
    B::Error: Into<BoxError>,
{
    /// What comes next; behind the end or the failure that again, without asking the body.
    ///
    /// A body that is read to its end is put into `spent`.
    pub(super) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        spent: &mut Option<B>,
    ) -> Poll<Option<Result<Frame<Bytes>, ReplayError>>> {
        let body = match &mut self.body {
            Progress::Live(body) => body,
            Progress::Ended => return Poll::Ready(None),
            Progress::Failed(error) => return Poll::Ready(Some(Err(error.clone()))),
        };
        let error = match ready!(Pin::new(body).poll_frame(cx)) {
            // No transport reads on behind the trailers.
            Some(Ok(frame)) if frame.is_trailers() && self.is_short() => None,
            Some(Ok(frame)) => {
                let frame = frame.map_data(|mut data| data.copy_to_bytes(data.remaining()));
                let length = frame.data_ref().map_or(0, |data| data.len() as u64);
                if self.has_room_for(length) {
                    self.pulled += length;
                    return Poll::Ready(Some(Ok(frame)));
                }
                Some("request body is longer than its length".into())
            }
            Some(Err(error)) => Some(error.into()),
            None => None,
        };
        Poll::Ready(self.finish(error, spent).map(Err))
    }

    /// The body has ended, or failed with `error`.
    #[cold]
    fn finish(&mut self, error: Option<BoxError>, spent: &mut Option<B>) -> Option<ReplayError> {
        // The replay of a short body would be a whole body of another length.
        let short = || BoxError::from("request body ended before its length");
        let Some(error) = error.or_else(|| self.is_short().then(short)) else {
            *spent = self.end();
            return None;
        };
        let error = ReplayError::source_failed(error);
        *spent = self.settle(|| Progress::Failed(error.clone()));
        Some(error)
    }

    /// What is still to be pulled.
    pub(super) fn size_hint(&self) -> SizeHint {
        match &self.body {
            Progress::Live(body) => body.size_hint(),
            Progress::Ended => SizeHint::with_exact(0),
            Progress::Failed(_) => SizeHint::default(),
        }
    }

    pub(super) fn is_end_stream(&self) -> bool {
        match &self.body {
            Progress::Live(body) => body.is_end_stream() && !self.is_short(),
            Progress::Ended => true,
            Progress::Failed(_) => false,
        }
    }

    /// Whether a transport that goes by the length has no reason to ask for more.
    pub(super) fn is_told_to_end(&self) -> bool {
        self.size_hint().upper() == Some(0) && !self.is_short()
    }
}
