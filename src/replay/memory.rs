use std::fmt;

use super::sync::{
    Arc,
    atomic::{AtomicU64, AtomicUsize, Ordering},
};

/// A bound on the memory that many replay logs hold together: all those of a layer, or of whoever
/// gives it to [`Replay::with_memory`](super::Replay::with_memory).
///
/// Clones share the bound, so one can be given to many layers. When it is exhausted nothing fails:
/// the bodies that find no room are sent on, and cannot be replayed. [`refused`](Self::refused)
/// counts them.
#[derive(Clone)]
pub struct ReplayMemory {
    shared: Arc<Shared>,
}

struct Shared {
    limit: usize,
    held: AtomicUsize,
    refused: AtomicU64,
}

impl ReplayMemory {
    /// The limit by default: 256 MiB, room for about 250 bodies that fill the default cap of each
    /// with chunks of 4 KiB.
    pub const DEFAULT_LIMIT: usize = 256 << 20;

    /// A bound of `limit` bytes: payload plus 96 bytes for every frame or block held. With a limit of
    /// 0 no body that has been read can be replayed.
    pub fn new(limit: usize) -> Self {
        Self {
            shared: Arc::new(Shared {
                limit,
                held: AtomicUsize::new(0),
                refused: AtomicU64::new(0),
            }),
        }
    }

    /// The bound, in bytes.
    pub fn limit(&self) -> usize {
        self.shared.limit
    }

    /// The bytes held now.
    pub fn held(&self) -> usize {
        self.shared.held.load(Ordering::Relaxed)
    }

    /// How many times a frame has found no room so far, and its body has lost its log.
    pub fn refused(&self) -> u64 {
        self.shared.refused.load(Ordering::Relaxed)
    }

    /// Takes `bytes`, or nothing if they would pass the limit: one body is refused.
    pub(super) fn take(&self, bytes: usize) -> bool {
        let fits = |held: usize| held.checked_add(bytes).filter(|sum| *sum <= self.limit());
        // Only the counts are shared, and nothing is published through them.
        let held = &self.shared.held;
        let taken = held.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits);
        if taken.is_err() {
            self.shared.refused.fetch_add(1, Ordering::Relaxed);
        }
        taken.is_ok()
    }

    pub(super) fn give_back(&self, bytes: usize) {
        if bytes > 0 {
            self.shared.held.fetch_sub(bytes, Ordering::Relaxed);
        }
    }
}

impl Default for ReplayMemory {
    fn default() -> Self {
        Self::new(Self::DEFAULT_LIMIT)
    }
}

impl fmt::Debug for ReplayMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReplayMemory")
            .field("limit", &self.limit())
            .field("held", &self.held())
            .field("refused", &self.refused())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clones_share_the_limit() {
        let memory = ReplayMemory::new(10);
        assert!(memory.clone().take(10));
        assert!(!memory.take(1));
        memory.give_back(4);
        assert!(memory.take(4));
        assert_eq!((memory.held(), memory.refused()), (10, 1));
    }
}
