use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::time::Instant;

use super::{
    Keep,
    after::After,
    error::{ReplayError, Unreplayable},
    state::{Source, State},
};
use crate::BoxError;

/// One body's source and log, shared by the owner and the handles.
///
/// Wakers are woken and dropped, and the source is dropped, after the lock is released: all of them
/// can run foreign code, which may drop a handle of this very body. The source is polled under the
/// lock, so its poll must not.
pub(super) struct Shared<B> {
    state: Mutex<State<B>>,
}

impl<B> Shared<B> {
    pub(super) fn new(source: B, promised: SizeHint, keep: Keep) -> Self {
        Self {
            state: Mutex::new(State::new(source, promised, keep)),
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
        self.change(State::revoke);
    }

    /// Forgets a handle that is dropped.
    pub(super) fn remove(&self, id: u64) {
        self.change(|state, after| state.remove(id, after));
    }

    pub(super) fn commit(&self) {
        self.change(|state, after| state.give_up(Unreplayable::Committed, after));
    }

    pub(super) fn commit_when_read(&self) {
        self.lock().commit_when_read();
    }

    pub(super) fn check(&self) -> Result<(), Unreplayable> {
        self.lock().check()
    }

    pub(super) fn bytes_held(&self) -> u64 {
        self.lock().bytes_held()
    }

    pub(super) fn has_source_failed(&self) -> bool {
        self.lock().has_source_failed()
    }

    /// Whether a handle that was not revoked has read all that there is; it may have been dropped
    /// since, as a transport does when it is done with it.
    pub(super) fn is_sent_in_full(&self) -> bool {
        self.lock().is_sent_in_full()
    }

    /// Since when the reader could have taken more; `None` while it waits for the source.
    pub(super) fn waiting_since(&self) -> Option<Instant> {
        self.lock().waiting_since()
    }

    fn change<T>(&self, change: impl FnOnce(&mut State<B>, &mut After<Source<B>>) -> T) -> T {
        let mut after = After::default();
        let mut state = self.lock();
        let changed = change(&mut state, &mut after);
        drop(state);
        after.run();
        changed
    }

    /// A panic in the source leaves a source that cannot be polled again, and nothing else undone.
    fn lock(&self) -> MutexGuard<'_, State<B>> {
        self.state.lock().unwrap_or_else(|poisoned| {
            let mut state = PoisonError::into_inner(poisoned);
            let panicked = BoxError::from("request body panicked");
            state.fail(Arc::from(panicked), &mut After::default());
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
        self.change(|state, after| {
            let polled = state.poll_frame(id, cx, after);
            polled.map(|frame| (frame, state.is_end_stream(id)))
        })
    }

    pub(super) fn size_hint(&self, id: u64) -> SizeHint {
        self.lock().size_hint(id)
    }

    pub(super) fn is_end_stream(&self, id: u64) -> bool {
        self.lock().is_end_stream(id)
    }
}
