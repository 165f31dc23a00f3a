use std::{
    sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed},
    time::Duration,
};

/// Good and bad outcomes of the last one or two windows, counted without a lock.
///
/// Outcomes that come in the moment when a window ends may be counted in the wrong one.
#[derive(Debug, Default)]
pub(super) struct Rate {
    window: AtomicU64,
    counts: [Counts; 2],
}

#[derive(Debug, Default)]
struct Counts {
    good: AtomicU32,
    bad: AtomicU32,
}

impl Rate {
    pub(super) fn good(&self, window: Duration, now_ms: u64) {
        self.at(window, now_ms).good.fetch_add(1, Relaxed);
    }

    /// Counts a failure, and returns how many good and bad outcomes there were of late.
    pub(super) fn bad(&self, window: Duration, now_ms: u64) -> (u32, u32) {
        self.at(window, now_ms).bad.fetch_add(1, Relaxed);
        let sum = |count: fn(&Counts) -> &AtomicU32| {
            self.counts
                .iter()
                .map(|counts| count(counts).load(Relaxed))
                .sum()
        };
        (sum(|counts| &counts.good), sum(|counts| &counts.bad))
    }

    pub(super) fn forget(&self) {
        self.counts.iter().for_each(Counts::clear);
    }

    fn at(&self, window: Duration, now_ms: u64) -> &Counts {
        let length = u64::try_from(window.as_millis()).unwrap_or(u64::MAX).max(1);
        let current = now_ms / length;
        let before = self.window.load(Relaxed);
        let [even, odd] = &self.counts;
        let (counts, other) = if current % 2 == 0 {
            (even, odd)
        } else {
            (odd, even)
        };
        if before < current {
            let begun = self
                .window
                .compare_exchange(before, current, Relaxed, Relaxed);
            if begun.is_ok() {
                counts.clear();
                if before + 1 < current {
                    other.clear();
                }
            }
        }
        counts
    }
}

impl Counts {
    fn clear(&self) {
        self.good.store(0, Relaxed);
        self.bad.store(0, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: Duration = Duration::from_millis(100);

    #[test]
    fn outcomes_of_this_window_and_the_last_count() {
        let rate = Rate::default();
        rate.good(WINDOW, 0);
        assert_eq!(rate.bad(WINDOW, 99), (1, 1));
        assert_eq!(rate.bad(WINDOW, 199), (1, 2));
        assert_eq!(rate.bad(WINDOW, 200), (0, 2));
    }

    #[test]
    fn outcomes_of_long_ago_are_forgotten() {
        let rate = Rate::default();
        rate.good(WINDOW, 0);
        rate.good(WINDOW, 100);
        assert_eq!(rate.bad(WINDOW, 1_000), (0, 1));
        rate.forget();
        assert_eq!(rate.bad(WINDOW, 1_000), (0, 1));
    }
}
