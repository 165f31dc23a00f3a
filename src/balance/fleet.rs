use std::{
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use tokio::time::Instant;

use super::{
    rules::Rules,
    standing::{Siblings, Standing},
    view::View,
};

/// All peers of a balancer, for what must be decided over all of them: how many may be out, how many are asked
/// whether they are well again. Its lock is taken when a peer's state or the set changes, never by a request
/// that finds its peer well.
pub(super) struct Fleet {
    origin: Instant,
    view: Mutex<Arc<View>>,
    /// Until when each of the requests is waited for that show whether a peer is well, in milliseconds since the origin.
    probes: Mutex<Vec<u64>>,
    most_probes: AtomicUsize,
    /// When a peer's time was shortened last, in milliseconds since the origin.
    hastened_at: AtomicU64,
    /// Those that were taken out while they had something to do.
    leaving: Mutex<Vec<Weak<Standing>>>,
}

impl Fleet {
    pub(super) fn new() -> Self {
        Self {
            origin: Instant::now(),
            view: Mutex::default(),
            probes: Mutex::default(),
            most_probes: AtomicUsize::new(1),
            hastened_at: AtomicU64::new(0),
            leaving: Mutex::default(),
        }
    }

    pub(super) fn origin(&self) -> Instant {
        self.origin
    }

    /// Puts another view in the place of the last one.
    pub(super) fn replace<T>(&self, make: impl FnOnce(&View) -> (Arc<View>, T)) -> T {
        let mut view = lock(&self.view);
        let (next, made) = make(&view);
        next.count_well();
        self.most_probes.store((next.len() / 10).max(1), Relaxed);
        *view = next;
        made
    }

    /// Peers that are no longer in the set: they are remembered while they have something to do.
    pub(super) fn part_with(&self, gone: Vec<Arc<Standing>>) {
        let mut leaving = lock(&self.leaving);
        // One that came back, and is to go again, would else be there twice.
        leaving.retain(|standing| standing.upgrade().is_some_and(|one| one.is_leaving()));
        for standing in gone {
            standing.set_leaving(true);
            leaving.push(Arc::downgrade(&standing));
        }
    }

    /// Those that have left, and still have something to do.
    pub(super) fn leaving(&self) -> Vec<Arc<Standing>> {
        let leaving = lock(&self.leaving);
        let busy = leaving.iter().filter_map(Weak::upgrade);
        busy.filter(|standing| standing.is_leaving() && standing.in_flight() > 0)
            .collect()
    }
}

impl Siblings for Fleet {
    fn change(&self, edit: &mut dyn FnMut() -> bool) -> bool {
        let view = lock(&self.view);
        let changed = edit();
        if changed {
            view.count_well();
        }
        changed
    }

    fn spare(&self, standing: &Standing, rules: &Rules, leave: &mut dyn FnMut()) -> bool {
        let view = lock(&self.view);
        let may = view.may_spare(standing, rules);
        if may {
            leave();
            view.count_well();
        }
        may
    }

    fn hasten(&self, now_ms: u64, least: Duration) {
        let least = u64::try_from(least.as_millis()).unwrap_or(u64::MAX).max(1);
        let last = self.hastened_at.load(Relaxed);
        if now_ms.saturating_sub(last) < least {
            return;
        }
        let view = lock(&self.view);
        let slots = view.slots().iter();
        let open = slots.filter_map(|slot| Some((slot.standing.open_since()?, &slot.standing)));
        if let Some((since, longest)) = open.min_by_key(|(since, _)| *since) {
            if now_ms.saturating_sub(since) >= least {
                self.hastened_at.store(now_ms, Relaxed);
                longest.hasten(now_ms);
            }
        }
    }

    fn begin_probe(&self, now_ms: u64, until: u64) -> bool {
        let most = self.most_probes.load(Relaxed);
        let mut probes = lock(&self.probes);
        if probes.len() >= most {
            probes.retain(|until| *until > now_ms);
        }
        let begins = probes.len() < most;
        if begins {
            probes.push(until);
        }
        begins
    }

    fn end_probe(&self, until: u64) {
        let mut probes = lock(&self.probes);
        // It may have been given up already; of several until the same time, one is as good as another.
        if let Some(index) = probes.iter().position(|known| *known == until) {
            probes.swap_remove(index);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Every write is complete in itself, so a panic elsewhere leaves nothing half done.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl fmt::Debug for Fleet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fleet").finish_non_exhaustive()
    }
}
