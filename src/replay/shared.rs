use std::{
    error::Error as StdError,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker, ready},
};

use bytes::{Buf, Bytes};
use http_body::{Body, Frame, SizeHint};
use tokio::time::Instant;

use super::{
    ReplayMemory,
    error::{ReplayError, Unreplayable},
    log::{Cursor, Log},
};
use crate::BoxError;

/// One body's source and log, shared by the owner and the handles.
///
/// Wakers are woken and dropped after the lock is released: both can run foreign code, which may
/// drop a handle of this very body.
pub(super) struct Shared<B> {
    state: Mutex<State<B>>,
}

struct State<B> {
    source: Source<B>,
    log: Log,
    /// Payload bytes pulled from the source so far.
    pulled: u64,
    /// Whether the log reaches back to the start, and will be needed from there.
    kept: Result<(), Unreplayable>,
    /// Whether it will no longer be needed once somebody reads.
    commit_when_read: bool,
    /// The handles that are neither revoked nor dropped.
    readers: Vec<Reader>,
    last_reader: u64,
    cap: u64,
    memory: ReplayMemory,
    /// What the log has taken from `memory`.
    charged: usize,
    patience: Patience,
}

enum Source<B> {
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

/// Wakers to be woken once the lock is released.
type Wake = Vec<Waker>;

impl<B> Shared<B> {
    pub(super) fn new(source: B, cap: u64, memory: ReplayMemory, timed: bool) -> Self {
        Self {
            state: Mutex::new(State {
                source: Source::Live(source),
                log: Log::default(),
                pulled: 0,
                kept: Ok(()),
                commit_when_read: false,
                readers: Vec::new(),
                last_reader: 0,
                cap,
                memory,
                charged: 0,
                patience: if timed {
                    Patience::Reader(Instant::now())
                } else {
                    Patience::Untimed
                },
            }),
        }
    }

    pub(super) fn start(&self) -> Result<u64, Unreplayable> {
        let mut state = self.lock();
        state.check()?;
        Ok(state.add_reader())
    }

    /// Starts reading a body that nobody has touched.
    pub(super) fn start_first(&self) -> u64 {
        self.lock().add_reader()
    }

    /// Takes the body from every handle.
    pub(super) fn revoke(&self) {
        let mut wake = Wake::new();
        let mut state = self.lock();
        state.wake_all(&mut wake);
        state.readers.clear();
        state.trim();
        drop(state);
        wake.into_iter().for_each(Waker::wake);
    }

    /// Forgets a handle that is dropped.
    pub(super) fn remove(&self, id: u64) {
        let mut wake = Wake::new();
        let mut state = self.lock();
        if let Some(index) = state.find(id) {
            let reader = state.readers.swap_remove(index);
            wake.extend(reader.waker);
            // The source knows the waker of whoever polled it last, which may have been this one.
            state.wake_all(&mut wake);
            state.trim();
        }
        drop(state);
        wake.into_iter().for_each(Waker::wake);
    }

    pub(super) fn commit(&self) {
        let mut state = self.lock();
        if state.kept.is_ok() {
            state.kept = Err(Unreplayable::Committed);
            state.trim();
        }
    }

    pub(super) fn commit_when_read(&self) {
        self.lock().commit_when_read = true;
    }

    pub(super) fn check(&self) -> Result<(), Unreplayable> {
        self.lock().check()
    }

    pub(super) fn bytes_held(&self) -> u64 {
        self.lock().log.payload()
    }

    pub(super) fn has_source_failed(&self) -> bool {
        matches!(self.lock().source, Source::Failed(_))
    }

    /// Since when the reader could have taken more; `None` while it waits for the source.
    pub(super) fn waiting_since(&self) -> Option<Instant> {
        match self.lock().patience {
            Patience::Reader(since) => Some(since),
            Patience::Source | Patience::Untimed => None,
        }
    }

    /// A panic in the source leaves a source that cannot be polled again, and nothing else undone.
    fn lock(&self) -> MutexGuard<'_, State<B>> {
        self.state.lock().unwrap_or_else(|poisoned| {
            let mut state = PoisonError::into_inner(poisoned);
            state.source = Source::Failed(Arc::from(BoxError::from("request body panicked")));
            self.state.clear_poison();
            state
        })
    }
}

impl<B> Shared<B>
where
    B: Body + Unpin,
    B::Error: Into<BoxError>,
{
    /// The next frame, and whether nothing comes behind it.
    #[expect(clippy::type_complexity, reason = "it is what a body yields")]
    pub(super) fn poll_frame(
        &self,
        id: u64,
        cx: &mut Context<'_>,
    ) -> Poll<(Option<Result<Frame<Bytes>, ReplayError>>, bool)> {
        let mut wake = Wake::new();
        let mut replaced = None;
        let mut state = self.lock();
        let polled = match state.find(id) {
            None => Poll::Ready((Some(Err(ReplayError::REVOKED)), false)),
            Some(index) => {
                let polled = state.poll_reader(index, cx, &mut wake);
                // Readers may have been removed, but never the one that polls.
                let index = state.find(id).unwrap_or(index);
                if polled.is_pending() {
                    let waker = &mut state.readers[index].waker;
                    if !waker
                        .as_ref()
                        .is_some_and(|known| known.will_wake(cx.waker()))
                    {
                        replaced = waker.replace(cx.waker().clone());
                    }
                }
                polled.map(|frame| (frame, state.is_end_stream(index)))
            }
        };
        drop(state);
        drop(replaced);
        wake.into_iter().for_each(Waker::wake);
        polled
    }

    pub(super) fn size_hint(&self, id: u64) -> SizeHint {
        let state = self.lock();
        match state.find(id) {
            Some(index) => state.size_hint(&state.readers[index]),
            None => SizeHint::default(),
        }
    }

    pub(super) fn is_end_stream(&self, id: u64) -> bool {
        let state = self.lock();
        state
            .find(id)
            .is_some_and(|index| state.is_end_stream(index))
    }

    /// Whether a handle has read all that there is.
    pub(super) fn is_sent_in_full(&self) -> bool {
        let state = self.lock();
        let at_end = |reader: &Reader| state.log.is_end(reader.at);
        state.readers.iter().any(at_end)
            && match &state.source {
                // A transport that was told the length does not ask for the end.
                Source::Live(source) => {
                    source.is_end_stream() || source.size_hint().upper() == Some(0)
                }
                Source::Ended => true,
                Source::Failed(_) => false,
            }
    }
}

impl<B> State<B> {
    fn find(&self, id: u64) -> Option<usize> {
        self.readers.iter().position(|reader| reader.id == id)
    }

    fn add_reader(&mut self) -> u64 {
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

    fn check(&self) -> Result<(), Unreplayable> {
        match self.source {
            Source::Failed(_) => Err(Unreplayable::SourceFailed),
            Source::Live(_) | Source::Ended => self.kept,
        }
    }

    fn wake_all(&mut self, wake: &mut Wake) {
        wake.extend(
            self.readers
                .iter_mut()
                .filter_map(|reader| reader.waker.take()),
        );
    }

    /// Wakes whoever waits for what the reader at `index` has just got.
    fn wake_others(&mut self, index: usize, wake: &mut Wake) {
        for (other, reader) in self.readers.iter_mut().enumerate() {
            if other != index {
                wake.extend(reader.waker.take());
            }
        }
    }

    /// Drops what no reader needs, once no later attempt can need it.
    fn trim(&mut self) {
        if self.kept.is_ok() {
            return;
        }
        let freed = match self.readers.iter().map(|reader| reader.at).min() {
            Some(first) if !self.log.is_end(first) => self.log.drop_before(first),
            _ => {
                self.log.take();
                for reader in &mut self.readers {
                    reader.at = Cursor::default();
                }
                self.charged
            }
        };
        self.charged -= freed;
        self.memory.give_back(freed);
    }

    /// Gives up the log; only the reader that stands at its end can go on.
    fn lose(&mut self, why: Unreplayable, puller: usize, wake: &mut Wake) {
        self.kept = self.kept.and(Err(why));
        let puller = self.readers.swap_remove(puller);
        self.wake_all(wake);
        self.readers.clear();
        self.readers.push(puller);
        self.readers[0].at = self.log.end();
        self.trim();
    }
}

impl<B> State<B>
where
    B: Body + Unpin,
    B::Error: Into<BoxError>,
{
    fn poll_reader(
        &mut self,
        index: usize,
        cx: &mut Context<'_>,
        wake: &mut Wake,
    ) -> Poll<Option<Result<Frame<Bytes>, ReplayError>>> {
        let reader = &mut self.readers[index];
        if self.commit_when_read && self.kept.is_ok() {
            self.kept = Err(Unreplayable::Committed);
        }
        if let Some(frame) = self.log.read(&mut reader.at) {
            reader.read += frame.data_ref().map_or(0, |data| data.len() as u64);
            self.note(Patience::Reader);
            self.trim();
            return Poll::Ready(Some(Ok(frame)));
        }
        let polled = match &mut self.source {
            Source::Live(source) => Pin::new(source).poll_frame(cx),
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
                self.append(index, &frame, wake);
                Some(Ok(frame))
            }
            Some(Err(error)) => {
                let error: Arc<dyn StdError + Send + Sync> = Arc::from(error.into());
                self.source = Source::Failed(Arc::clone(&error));
                self.wake_others(index, wake);
                Some(Err(ReplayError::source_failed(error)))
            }
            None => {
                self.source = Source::Ended;
                self.wake_others(index, wake);
                None
            }
        })
    }

    /// Keeps a pulled frame for whoever may need it, and moves the reader that pulled it behind it.
    fn append(&mut self, puller: usize, frame: &Frame<Bytes>, wake: &mut Wake) {
        let length = frame.data_ref().map_or(0, Bytes::len);
        self.pulled += length as u64;
        self.readers[puller].read += length as u64;
        let needed = self.kept.is_ok() || self.readers.len() > 1;
        if !needed || (length == 0 && !frame.is_trailers()) {
            return;
        }
        let cost = match frame.trailers_ref() {
            Some(trailers) => Log::cost_of_trailers(trailers),
            None => self.log.cost_of_data(length),
        };
        if self.log.payload() + length as u64 > self.cap {
            self.lose(Unreplayable::OverCap, puller, wake);
        } else if !self.memory.take(cost) {
            self.lose(Unreplayable::NoMemory, puller, wake);
        } else {
            self.charged += cost;
            match (frame.data_ref(), frame.trailers_ref()) {
                (Some(data), _) => self.log.push_data(data),
                (None, Some(trailers)) => self.log.push_trailers(trailers),
                (None, None) => {}
            }
            self.readers[puller].at = self.log.end();
            self.wake_others(puller, wake);
        }
    }

    fn size_hint(&self, reader: &Reader) -> SizeHint {
        let logged = self.pulled - reader.read;
        let (lower, upper) = match &self.source {
            Source::Live(source) => {
                let hint = source.size_hint();
                (hint.lower(), hint.upper())
            }
            Source::Ended => (0, Some(0)),
            Source::Failed(_) => (0, None),
        };
        let mut hint = SizeHint::new();
        hint.set_lower(lower.saturating_add(logged));
        if let Some(upper) = upper.and_then(|upper| upper.checked_add(logged)) {
            hint.set_upper(upper);
        }
        hint
    }

    fn is_end_stream(&self, index: usize) -> bool {
        self.log.is_end(self.readers[index].at)
            && match &self.source {
                Source::Live(source) => source.is_end_stream(),
                Source::Ended => true,
                Source::Failed(_) => false,
            }
    }
}

impl<B> Drop for State<B> {
    fn drop(&mut self) {
        self.memory.give_back(self.charged);
    }
}
