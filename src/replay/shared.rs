use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::time::Instant;

use super::{
    Keep,
    after::After,
    error::{ReplayError, Unreplayable},
    readers::ReaderId,
    state::State,
    sync::Mutex,
};
use crate::BoxError;

/// One body's source and log, shared by the owner and the handles.
///
/// Wakers are woken and dropped, and the source is dropped, after the lock is released: all of them
/// can run foreign code, which may drop a handle of this very body. The source is polled and frames
/// are dropped under the lock, so neither may.
pub(super) struct Shared<B> {
    state: Mutex<State<B>>,
}

impl<B> Shared<B> {
    pub(super) fn new(source: B, promised: SizeHint, keep: Keep) -> Self {
        Self {
            state: Mutex::new(State::new(source, promised, keep)),
        }
    }

    pub(super) fn start(&self) -> Result<ReaderId, Unreplayable> {
        self.with(|state, _| state.check().map(|()| state.add_reader()))
    }

    /// Starts reading a body that nobody has touched.
    pub(super) fn start_first(&self) -> ReaderId {
        self.with(|state, _| state.add_reader())
    }

    pub(super) fn revoke_all(&self) {
        self.with(State::revoke_all);
    }

    pub(super) fn revoke(&self, id: ReaderId) {
        self.with(|state, after| state.revoke(id, after));
    }

    /// Forgets a handle that is dropped.
    pub(super) fn remove(&self, id: ReaderId) {
        self.with(|state, after| state.remove(id, after));
    }

    pub(super) fn commit(&self) {
        self.with(|state, after| state.give_up(Unreplayable::Committed, after));
    }

    pub(super) fn commit_when_read(&self) {
        self.with(|state, _| state.commit_when_read());
    }

    pub(super) fn check(&self) -> Result<(), Unreplayable> {
        self.look(State::check)
    }

    pub(super) fn bytes_held(&self) -> u64 {
        self.look(State::bytes_held)
    }

    pub(super) fn has_source_failed(&self) -> bool {
        self.look(State::has_source_failed)
    }

    /// Whether a handle that was not revoked has read all that there is; it may have been dropped
    /// since, as a transport does when it is done with it.
    pub(super) fn is_sent_in_full(&self) -> bool {
        self.look(State::is_sent_in_full)
    }

    /// Since when the reader could have taken more; `None` while it waits for the source.
    pub(super) fn waiting_since(&self) -> Option<Instant> {
        self.look(State::waiting_since)
    }

    /// A look at the state, which leaves nothing for after it.
    fn look<T>(&self, look: impl FnOnce(&State<B>) -> T) -> T {
        match self.state.lock() {
            Ok(state) => look(&state),
            Err(poisoned) => {
                drop(poisoned);
                self.with(|state, _| look(state))
            }
        }
    }

    /// The only other way to the state. The lock is released before what comes after is dropped.
    ///
    /// A panic in the source leaves a source that cannot be polled again, and nothing else undone.
    fn with<T>(&self, work: impl FnOnce(&mut State<B>, &mut After<B>) -> T) -> T {
        let mut after = After::default();
        let mut state = match self.state.lock() {
            Ok(state) => state,
            Err(poisoned) => {
                let mut state = poisoned.into_inner();
                state.source_panicked(&mut after);
                state
            }
        };
        work(&mut state, &mut after)
    }
}

impl<B> Shared<B>
where
    B: Body + Unpin,
    B::Error: Into<BoxError>,
{
    /// What comes next; `last` is set if nothing comes behind it.
    pub(super) fn poll(
        &self,
        id: ReaderId,
        cx: &mut Context<'_>,
        last: &mut bool,
    ) -> Poll<Option<Result<Frame<Bytes>, ReplayError>>> {
        self.with(|state, after| state.poll(id, cx, after, last))
    }

    pub(super) fn size_hint(&self, id: ReaderId) -> SizeHint {
        self.look(|state| state.size_hint(id))
    }

    pub(super) fn is_end_stream(&self, id: ReaderId) -> bool {
        self.look(|state| state.is_end_stream(id))
    }
}
