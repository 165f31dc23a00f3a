use std::{
    sync::Arc,
    task::{Context, Wake, Waker},
};

/// What is done once the lock is released: it can run foreign code.
pub(super) struct After<S> {
    pub(super) wake: Vec<Waker>,
    /// A waker that another took the place of.
    pub(super) replaced: Option<Waker>,
    /// A source that nobody reads any more.
    pub(super) spent: Option<S>,
}

impl<S> After<S> {
    pub(super) fn run(self) {
        self.wake.into_iter().for_each(Waker::wake);
    }
}

impl<S> Default for After<S> {
    fn default() -> Self {
        Self {
            wake: Vec::new(),
            replaced: None,
            spent: None,
        }
    }
}

/// Wakes all readers that wait for the source: the one that polled it last may not come back to it.
pub(super) struct Everyone(Vec<Waker>);

impl Everyone {
    pub(super) fn waiting<'a>(known: impl Iterator<Item = &'a Waker>, cx: &Context<'_>) -> Waker {
        let all = known.cloned().chain([cx.waker().clone()]);
        Arc::new(Self(all.collect())).into()
    }
}

impl Wake for Everyone {
    fn wake(self: Arc<Self>) {
        self.0.iter().for_each(Waker::wake_by_ref);
    }
}
