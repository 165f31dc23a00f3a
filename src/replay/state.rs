use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::time::Instant;

use super::{
    Keep,
    after::After,
    error::{ReplayError, Unreplayable},
    few::Few,
    patience::Patience,
    readers::{Reader, ReaderId, Readers},
    source::Source,
    store::Store,
};
use crate::BoxError;

/// What there is of a body, and who reads it.
pub(super) struct State<B> {
    source: Source<B>,
    log: Store,
    readers: Readers,
    /// Whether the log reaches back to the start, and will be needed from there.
    kept: Result<(), Unreplayable>,
    /// Whether it will no longer be needed once somebody reads.
    commit_when_read: bool,
    /// Whether a handle that is gone, and was not revoked before, had read all that there is.
    sent: bool,
    /// The handles whose log was given up before they had read it, and why.
    left_behind: Few<(ReaderId, Unreplayable)>,
    patience: Patience,
}

impl<B> State<B> {
    pub(super) fn new(body: B, promised: SizeHint, keep: Keep) -> Self {
        let source = Source::new(body, promised);
        Self {
            log: Store::new(source.is_sized(), keep.cap, keep.memory),
            source,
            readers: Readers::default(),
            kept: Ok(()),
            commit_when_read: false,
            sent: false,
            left_behind: Few::default(),
            patience: Patience::new(keep.timed),
        }
    }

    pub(super) fn add_reader(&mut self) -> ReaderId {
        self.patience.is_with_reader();
        self.readers.add()
    }

    /// Takes the body from every reader.
    pub(super) fn revoke_all(&mut self, after: &mut After<B>) {
        after.wake.extend(self.readers.wakers());
        self.readers.clear();
        self.sent = false;
        self.trim(after);
    }

    /// Takes the body from one reader.
    pub(super) fn revoke(&mut self, id: ReaderId, after: &mut After<B>) {
        if let Some(reader) = self.readers.remove(id) {
            self.let_go(reader, after);
        }
    }

    /// Forgets a reader whose handle is dropped.
    pub(super) fn remove(&mut self, id: ReaderId, after: &mut After<B>) {
        if let Some(reader) = self.readers.remove(id) {
            self.sent |= reader.sent;
            self.let_go(reader, after);
        }
    }

    fn let_go(&mut self, reader: Reader, after: &mut After<B>) {
        after.wake.extend(reader.into_waker());
        self.trim(after);
        if self.readers.is_empty() {
            // Nobody waits for the source any more.
            self.patience.is_with_reader();
        }
    }

    pub(super) fn commit_when_read(&mut self) {
        self.commit_when_read = true;
    }

    pub(super) fn bytes_held(&self) -> u64 {
        self.log.payload()
    }

    pub(super) fn has_source_failed(&self) -> bool {
        self.source.has_failed()
    }

    pub(super) fn is_sent_in_full(&self) -> bool {
        self.sent || self.readers.iter().any(|reader| reader.sent)
    }

    pub(super) fn waiting_since(&self) -> Option<Instant> {
        self.patience.reader_since()
    }

    pub(super) fn check(&self) -> Result<(), Unreplayable> {
        if self.source.has_failed() {
            return Err(Unreplayable::SourceFailed);
        }
        self.kept
    }

    /// No later attempt will read from the start.
    pub(super) fn give_up(&mut self, why: Unreplayable, after: &mut After<B>) {
        if self.kept.is_ok() {
            self.kept = Err(why);
            self.trim(after);
        }
    }

    /// The source cannot be polled again.
    #[cold]
    pub(super) fn source_panicked(&mut self, after: &mut After<B>) {
        if let Some(spent) = self.source.fail("request body panicked") {
            after.spent = Some(spent);
            after.wake.extend(self.readers.wakers());
            self.give_up(Unreplayable::SourceFailed, after);
        }
    }

    /// Drops what no reader needs, once no later attempt can need it.
    fn trim(&mut self, after: &mut After<B>) {
        if self.kept.is_ok() {
            return;
        }
        if self.readers.is_empty() {
            if let Some(spent) = self.source.end() {
                after.spent = Some(spent);
            }
        }
        match self.readers.iter().map(|reader| reader.at).min() {
            Some(first) if first != self.log.end() => self.log.drop_before(first),
            _ => {
                self.log.clear();
                for reader in self.readers.iter_mut() {
                    reader.at = self.log.end();
                }
            }
        }
    }

    fn why_removed(&self, id: ReaderId) -> ReplayError {
        let mut left_behind = self.left_behind.iter();
        match left_behind.find(|(left, _)| *left == id) {
            Some((_, why)) => ReplayError::left_behind(*why),
            None => ReplayError::REVOKED,
        }
    }

    /// Gives up the log; only the reader that stands at its end can go on.
    fn lose(&mut self, why: Unreplayable, puller: ReaderId, after: &mut After<B>) {
        self.kept = self.kept.and(Err(why));
        while let Some(reader) = self.readers.remove_beside(puller) {
            self.left_behind.push((reader.id, why));
            after.wake.extend(reader.into_waker());
        }
        self.trim(after);
    }
}

impl<B> State<B>
where
    B: Body + Unpin,
    B::Error: Into<BoxError>,
{
    /// What comes next for a reader; `last` is set if nothing comes behind it.
    pub(super) fn poll(
        &mut self,
        id: ReaderId,
        cx: &mut Context<'_>,
        after: &mut After<B>,
        last: &mut bool,
    ) -> Poll<Option<Result<Frame<Bytes>, ReplayError>>> {
        // A revoked handle that is polled late reads nothing.
        if self.commit_when_read && self.readers.get(id).is_some() {
            self.give_up(Unreplayable::Committed, after);
        }
        let Some(reader) = self.readers.get_mut(id) else {
            return Poll::Ready(Some(Err(self.why_removed(id))));
        };
        let polled = match self.log.read(&mut reader.at) {
            Some(frame) => {
                reader.read += frame.data_ref().map_or(0, |data| data.len() as u64);
                self.trim(after);
                Poll::Ready(Some(Ok(frame)))
            }
            None => self.pull(id, cx, after),
        };
        if let Poll::Ready(frame) = &polled {
            self.patience.is_with_reader();
            let trailers = matches!(frame, Some(Ok(frame)) if frame.is_trailers());
            let at_end = self.is_at_log_end(id);
            *last = at_end && self.source.is_end_stream();
            if *last || trailers || (at_end && self.source.is_told_to_end()) {
                if let Some(reader) = self.readers.get_mut(id) {
                    reader.sent = true;
                }
            }
        }
        polled
    }

    /// Reads on from the source, for a reader that has read the whole log.
    fn pull(
        &mut self,
        id: ReaderId,
        cx: &mut Context<'_>,
        after: &mut After<B>,
    ) -> Poll<Option<Result<Frame<Bytes>, ReplayError>>> {
        let polled = if self.readers.has_several() {
            let everyone = self.readers.everyone(id, cx);
            let cx = &mut Context::from_waker(&everyone);
            self.source.poll(cx, &mut after.spent)
        } else {
            self.source.poll(cx, &mut after.spent)
        };
        match &polled {
            Poll::Pending => {
                self.patience.is_with_source();
                after.replaced = self.readers.get_mut(id).and_then(|reader| reader.wait(cx));
                return Poll::Pending;
            }
            Poll::Ready(Some(Ok(frame))) => self.append(id, frame, after),
            Poll::Ready(Some(Err(_))) => self.give_up(Unreplayable::SourceFailed, after),
            Poll::Ready(None) => {}
        }
        if self.readers.has_several() {
            // The source forgets whom it has woken, and whoever waits has something to find out.
            after.wake.extend(self.readers.wakers_beside(id));
        }
        polled
    }

    /// Keeps what was pulled for whoever may need it, and moves the reader that pulled it behind it.
    fn append(&mut self, puller: ReaderId, frame: &Frame<Bytes>, after: &mut After<B>) {
        let pushed = if self.kept.is_ok() || self.readers.has_several() {
            self.log.push(frame)
        } else {
            Ok(())
        };
        if let Some(reader) = self.readers.get_mut(puller) {
            reader.at = self.log.end();
            reader.read = self.source.pulled();
        }
        if let Err(why) = pushed {
            self.lose(why, puller, after);
        }
    }

    pub(super) fn size_hint(&self, id: ReaderId) -> SizeHint {
        let Some(reader) = self.readers.get(id) else {
            return SizeHint::default();
        };
        let logged = self.source.pulled() - reader.read;
        let left = self.source.size_hint();
        // HTTP/1 has no place for trailers behind a `Content-Length`, and the first pass had none.
        let trailers_ahead = self.log.ends_in_trailers() && reader.at != self.log.end();
        let unsized_before = !self.source.is_sized();
        let upper = left.upper().filter(|_| !(trailers_ahead && unsized_before));
        let mut hint = SizeHint::new();
        hint.set_lower(left.lower().saturating_add(logged));
        if let Some(upper) = upper.and_then(|upper| upper.checked_add(logged)) {
            hint.set_upper(upper);
        }
        hint
    }

    pub(super) fn is_end_stream(&self, id: ReaderId) -> bool {
        self.is_at_log_end(id) && self.source.is_end_stream()
    }

    fn is_at_log_end(&self, id: ReaderId) -> bool {
        let reader = self.readers.get(id);
        reader.is_some_and(|reader| reader.at == self.log.end())
    }
}
