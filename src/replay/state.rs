use std::{
    error::Error as StdError,
    mem,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker, ready},
};

use bytes::{Buf, Bytes};
use http_body::{Body, Frame, SizeHint};
use tokio::time::Instant;

use super::{
    Keep,
    after::{After, Everyone},
    error::{ReplayError, Unreplayable},
    log::Cursor,
    store::Store,
};
use crate::BoxError;

/// What there is of a body, and who reads it.
pub(super) struct State<B> {
    source: Source<B>,
    log: Store,
    /// What the source promised before it was read.
    promised: SizeHint,
    /// Payload bytes pulled from the source so far.
    pulled: u64,
    /// Whether the log reaches back to the start, and will be needed from there.
    kept: Result<(), Unreplayable>,
    /// Whether it will no longer be needed once somebody reads.
    commit_when_read: bool,
    /// The handles that are neither revoked nor dropped.
    readers: Vec<Reader>,
    last_reader: u64,
    /// Whether a handle that was not revoked has read all that there is; transports drop it then.
    sent: bool,
    patience: Patience,
}

pub(super) enum Source<B> {
    Live(B),
    Ended,
    Failed(Arc<dyn StdError + Send + Sync>),
}

struct Reader {
    id: u64,
    at: Cursor,
    /// Payload bytes read so far.
    read: u64,
    /// Set while the reader waits at the log's end.
    waker: Option<Waker>,
}

/// Who is being waited for.
enum Patience {
    /// Nobody asked.
    Untimed,
    /// The source: the request's sender.
    Source,
    /// Whoever reads the handle, since it last took something.
    Reader(Instant),
}

impl<B> State<B> {
    pub(super) fn new(source: B, promised: SizeHint, keep: Keep) -> Self {
        Self {
            source: Source::Live(source),
            log: Store::new(keep.cap, keep.memory),
            promised,
            pulled: 0,
            kept: Ok(()),
            commit_when_read: false,
            readers: Vec::new(),
            last_reader: 0,
            sent: false,
            patience: if keep.timed {
                Patience::Reader(Instant::now())
            } else {
                Patience::Untimed
            },
        }
    }

    pub(super) fn revoke(&mut self, after: &mut After<Source<B>>) {
        self.wake_all(after);
        self.readers.clear();
        self.sent = false;
        self.trim(after);
    }

    pub(super) fn remove(&mut self, id: u64, after: &mut After<Source<B>>) {
        let Some(index) = self.find(id) else {
            return;
        };
        let reader = self.readers.swap_remove(index);
        after.wake.extend(reader.waker);
        // The source knows the waker of whoever polled it last, which may have been this one.
        self.wake_all(after);
        self.trim(after);
        if self.readers.is_empty() {
            // Nobody waits for the source any more.
            self.note(Patience::Reader);
        }
    }

    pub(super) fn commit_when_read(&mut self) {
        self.commit_when_read = true;
    }

    pub(super) fn bytes_held(&self) -> u64 {
        self.log.payload()
    }

    pub(super) fn has_source_failed(&self) -> bool {
        matches!(self.source, Source::Failed(_))
    }

    pub(super) fn is_sent_in_full(&self) -> bool {
        self.sent
    }

    pub(super) fn waiting_since(&self) -> Option<Instant> {
        match self.patience {
            Patience::Reader(since) => Some(since),
            Patience::Source | Patience::Untimed => None,
        }
    }

    fn find(&self, id: u64) -> Option<usize> {
        self.readers.iter().position(|reader| reader.id == id)
    }

    pub(super) fn add_reader(&mut self) -> u64 {
        self.last_reader += 1;
        self.readers.push(Reader {
            id: self.last_reader,
            at: Cursor::default(),
            read: 0,
            waker: None,
        });
        self.note(Patience::Reader);
        self.last_reader
    }

    fn note(&mut self, who: impl FnOnce(Instant) -> Patience) {
        if !matches!(self.patience, Patience::Untimed) {
            self.patience = who(Instant::now());
        }
    }

    pub(super) fn check(&self) -> Result<(), Unreplayable> {
        match self.source {
            Source::Failed(_) => Err(Unreplayable::SourceFailed),
            Source::Live(_) | Source::Ended => self.kept,
        }
    }

    fn wake_all(&mut self, after: &mut After<Source<B>>) {
        after.wake.extend(
            self.readers
                .iter_mut()
                .filter_map(|reader| reader.waker.take()),
        );
    }

    /// Wakes whoever waits for what the reader at `index` has just got.
    fn wake_others(&mut self, index: usize, after: &mut After<Source<B>>) {
        for (other, reader) in self.readers.iter_mut().enumerate() {
            if other != index {
                after.wake.extend(reader.waker.take());
            }
        }
    }

    /// No later attempt will read from the start.
    pub(super) fn give_up(&mut self, why: Unreplayable, after: &mut After<Source<B>>) {
        if self.kept.is_ok() {
            self.kept = Err(why);
            self.trim(after);
        }
    }

    pub(super) fn fail(
        &mut self,
        error: Arc<dyn StdError + Send + Sync>,
        after: &mut After<Source<B>>,
    ) {
        after.spent = Some(mem::replace(&mut self.source, Source::Failed(error)));
        self.give_up(Unreplayable::SourceFailed, after);
    }

    /// Drops what no reader needs, once no later attempt can need it.
    fn trim(&mut self, after: &mut After<Source<B>>) {
        if self.kept.is_ok() {
            return;
        }
        if self.readers.is_empty() && matches!(self.source, Source::Live(_)) {
            after.spent = Some(mem::replace(&mut self.source, Source::Ended));
        }
        for reader in &mut self.readers {
            // Once an entry is dropped, a place behind its last byte can no longer be told.
            reader.at = self.log.settle(reader.at);
        }
        match self.readers.iter().map(|reader| reader.at).min() {
            Some(first) if !self.log.is_end(first) => self.log.drop_before(first),
            _ => {
                self.log.clear();
                for reader in &mut self.readers {
                    reader.at = Cursor::default();
                }
            }
        }
    }

    /// Gives up the log; only the reader that stands at its end can go on.
    fn lose(&mut self, why: Unreplayable, puller: usize, after: &mut After<Source<B>>) {
        self.kept = self.kept.and(Err(why));
        let puller = self.readers.swap_remove(puller);
        self.wake_all(after);
        self.readers.clear();
        self.readers.push(puller);
        self.readers[0].at = self.log.end();
        self.trim(after);
    }
}

impl<B> State<B>
where
    B: Body + Unpin,
    B::Error: Into<BoxError>,
{
    pub(super) fn poll_frame(
        &mut self,
        id: u64,
        cx: &mut Context<'_>,
        after: &mut After<Source<B>>,
    ) -> Poll<Option<Result<Frame<Bytes>, ReplayError>>> {
        let Some(index) = self.find(id) else {
            return Poll::Ready(Some(Err(ReplayError::REVOKED)));
        };
        let polled = self.poll_reader(index, cx, after);
        // Readers may have been removed, but never the one that polls.
        let index = self.find(id).unwrap_or(index);
        match &polled {
            Poll::Pending => {
                let known = &mut self.readers[index].waker;
                if !known
                    .as_ref()
                    .is_some_and(|known| known.will_wake(cx.waker()))
                {
                    after.replaced = known.replace(cx.waker().clone());
                }
            }
            Poll::Ready(frame) => {
                let trailers = matches!(frame, Some(Ok(frame)) if frame.is_trailers());
                self.sent |= trailers || self.is_sent(&self.readers[index]);
            }
        }
        polled
    }

    fn poll_reader(
        &mut self,
        index: usize,
        cx: &mut Context<'_>,
        after: &mut After<Source<B>>,
    ) -> Poll<Option<Result<Frame<Bytes>, ReplayError>>> {
        if self.commit_when_read {
            self.give_up(Unreplayable::Committed, after);
        }
        let reader = &mut self.readers[index];
        if let Some(frame) = self.log.read(&mut reader.at) {
            reader.read += frame.data_ref().map_or(0, |data| data.len() as u64);
            self.note(Patience::Reader);
            self.trim(after);
            return Poll::Ready(Some(Ok(frame)));
        }
        let everyone = (self.readers.len() > 1).then(|| {
            let known = self
                .readers
                .iter()
                .filter_map(|reader| reader.waker.as_ref());
            Everyone::waiting(known, cx)
        });
        let polled = match &mut self.source {
            Source::Live(source) => match everyone {
                None => Pin::new(source).poll_frame(cx),
                Some(waker) => Pin::new(source).poll_frame(&mut Context::from_waker(&waker)),
            },
            Source::Ended => return Poll::Ready(None),
            Source::Failed(error) => {
                let error = ReplayError::source_failed(Arc::clone(error));
                return Poll::Ready(Some(Err(error)));
            }
        };
        if polled.is_pending() {
            self.note(|_| Patience::Source);
        }
        let pulled = ready!(polled);
        self.note(Patience::Reader);
        Poll::Ready(match pulled {
            Some(Ok(frame)) => {
                let frame = frame.map_data(|mut data| data.copy_to_bytes(data.remaining()));
                self.append(index, &frame, after);
                Some(Ok(frame))
            }
            Some(Err(error)) => {
                let error: Arc<dyn StdError + Send + Sync> = Arc::from(error.into());
                self.fail(Arc::clone(&error), after);
                self.wake_others(index, after);
                Some(Err(ReplayError::source_failed(error)))
            }
            // Its replay would be a whole body of another length.
            None if self.pulled < self.promised.lower() => {
                let error = BoxError::from("request body ended before its length");
                let error: Arc<dyn StdError + Send + Sync> = Arc::from(error);
                self.fail(Arc::clone(&error), after);
                self.wake_others(index, after);
                Some(Err(ReplayError::source_failed(error)))
            }
            None => {
                after.spent = Some(mem::replace(&mut self.source, Source::Ended));
                self.wake_others(index, after);
                None
            }
        })
    }

    /// Keeps a pulled frame for whoever may need it, and moves the reader that pulled it behind it.
    fn append(&mut self, puller: usize, frame: &Frame<Bytes>, after: &mut After<Source<B>>) {
        let length = frame.data_ref().map_or(0, |data| data.len() as u64);
        self.pulled += length;
        self.readers[puller].read += length;
        if self.kept.is_ok() || self.readers.len() > 1 {
            match self.log.push(frame) {
                Ok(()) => self.readers[puller].at = self.log.end(),
                Err(why) => return self.lose(why, puller, after),
            }
        }
        // The source forgets whom it has woken.
        self.wake_others(puller, after);
    }

    pub(super) fn size_hint(&self, id: u64) -> SizeHint {
        let Some(reader) = self.find(id).map(|index| &self.readers[index]) else {
            return SizeHint::default();
        };
        let logged = self.pulled - reader.read;
        let (lower, upper) = match &self.source {
            Source::Live(source) => {
                let hint = source.size_hint();
                (hint.lower(), hint.upper())
            }
            Source::Ended => (0, Some(0)),
            Source::Failed(_) => (0, None),
        };
        // HTTP/1 has no place for trailers behind a `Content-Length`, and the first pass had none.
        let trailers_ahead = self.log.ends_in_trailers() && !self.log.is_end(reader.at);
        let unsized_before = self.promised.exact().is_none();
        let upper = upper.filter(|_| !(trailers_ahead && unsized_before));
        let mut hint = SizeHint::new();
        hint.set_lower(lower.saturating_add(logged));
        if let Some(upper) = upper.and_then(|upper| upper.checked_add(logged)) {
            hint.set_upper(upper);
        }
        hint
    }

    /// Whether a reader needs nothing more for its request to be sent in full.
    fn is_sent(&self, reader: &Reader) -> bool {
        let told = match &self.source {
            // A transport that was told the length does not ask for the end.
            Source::Live(source) => source.size_hint().upper() == Some(0),
            Source::Ended | Source::Failed(_) => false,
        };
        self.is_end(reader) || (told && self.log.is_end(reader.at))
    }

    pub(super) fn is_end_stream(&self, id: u64) -> bool {
        self.find(id)
            .is_some_and(|index| self.is_end(&self.readers[index]))
    }

    fn is_end(&self, reader: &Reader) -> bool {
        self.log.is_end(reader.at)
            && match &self.source {
                Source::Live(source) => source.is_end_stream(),
                Source::Ended => true,
                Source::Failed(_) => false,
            }
    }
}
