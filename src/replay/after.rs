use std::task::Waker;

/// What is woken and dropped once the lock is released: it can run foreign code.
pub(super) struct After<B> {
    pub(super) wake: Vec<Waker>,
    /// A waker that another took the place of.
    pub(super) replaced: Option<Waker>,
    /// A source that nobody reads any more.
    pub(super) spent: Option<B>,
}

impl<B> Default for After<B> {
    fn default() -> Self {
        Self {
            wake: Vec::new(),
            replaced: None,
            spent: None,
        }
    }
}

impl<B> Drop for After<B> {
    /// Wakes even when the source panics: nobody else would.
    fn drop(&mut self) {
        // Mostly there is nobody, and to drain nothing costs 70 instructions.
        if !self.wake.is_empty() {
            self.wake.drain(..).for_each(Waker::wake);
        }
    }
}
