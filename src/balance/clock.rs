use std::cell::Cell;

use tokio::time::Instant;

/// The time, read once, and only if somebody asks.
#[derive(Debug, Default)]
pub(super) struct Clock(Cell<Option<Instant>>);

impl Clock {
    pub(super) fn now(&self) -> Instant {
        let now = self.0.get().unwrap_or_else(Instant::now);
        self.0.set(Some(now));
        now
    }

    /// The time, if somebody has asked.
    pub(super) fn read(&self) -> Option<Instant> {
        self.0.get()
    }
}
