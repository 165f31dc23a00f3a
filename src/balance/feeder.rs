use std::sync::{Arc, Weak};

use super::set::Set;

/// One who may add peers to a set, for as long as it is there.
pub(super) struct Feeder<S> {
    set: Weak<Set<S>>,
}

impl<S> Feeder<S> {
    pub(super) fn new(set: &Arc<Set<S>>) -> Self {
        set.gain_feeder();
        Self {
            set: Arc::downgrade(set),
        }
    }

    /// The set, if anybody still uses it.
    pub(super) fn set(&self) -> Option<Arc<Set<S>>> {
        self.set.upgrade()
    }
}

impl<S> Drop for Feeder<S> {
    fn drop(&mut self) {
        if let Some(set) = self.set() {
            set.lose_feeder();
        }
    }
}
