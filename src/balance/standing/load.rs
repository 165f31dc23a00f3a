use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use super::estimate::Estimate;

/// What a peer has to do, and how long it takes for it.
#[derive(Debug, Default)]
pub(super) struct Load {
    in_flight: AtomicUsize,
    /// How long its responses take.
    pub(super) responses: Estimate,
    /// The same for those who compare it with others: failures are slow.
    pub(super) outcomes: Estimate,
}

impl Load {
    pub(super) fn in_flight(&self) -> usize {
        self.in_flight.load(SeqCst)
    }

    pub(super) fn begin(&self) {
        self.in_flight.fetch_add(1, SeqCst);
    }

    /// Returns whether that was the last.
    pub(super) fn end(&self) -> bool {
        self.in_flight.fetch_sub(1, SeqCst) == 1
    }
}
