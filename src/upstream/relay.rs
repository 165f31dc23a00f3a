use std::{
    mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Wake, Waker},
};

/// A connection's own waker, for as long as it lives: it passes wakes on to the task that waits for the
/// connection at the time.
///
/// A connection leaves its waker in many places, its socket among them, and goes from task to task. With the
/// tasks' own wakers, each request would wake the task of the one before it, and wake itself whenever it takes
/// what the connection hands it. A wake that comes while nobody [waits](Self::wait) wakes nobody, and is
/// remembered.
#[derive(Debug, Default)]
pub(super) struct Relay(Mutex<Waiter>);

#[derive(Debug, Default)]
enum Waiter {
    #[default]
    Nobody,
    /// Nobody, and there was a wake.
    Missed,
    Waits(Waker),
}

impl Relay {
    /// Nobody waits: a task is at work on the connection, or the connection is idle.
    pub(super) fn hush(&self) {
        *self.waiter() = Waiter::Nobody;
    }

    /// Passes the next wake on to a task, at once if there was one since [`hush`](Self::hush).
    pub(super) fn wait(&self, waker: &Waker) {
        let mut waiter = self.waiter();
        match &*waiter {
            Waiter::Waits(known) if known.will_wake(waker) => {}
            Waiter::Nobody | Waiter::Waits(_) => *waiter = Waiter::Waits(waker.clone()),
            Waiter::Missed => {
                *waiter = Waiter::Nobody;
                drop(waiter);
                waker.wake_by_ref();
            }
        }
    }

    /// Whether there was a wake since [`hush`](Self::hush) that nobody waited for.
    pub(super) fn has_missed(&self) -> bool {
        matches!(*self.waiter(), Waiter::Missed)
    }

    fn waiter(&self) -> MutexGuard<'_, Waiter> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Wake for Relay {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let before = mem::replace(&mut *self.waiter(), Waiter::Missed);
        if let Waiter::Waits(waker) = before {
            waker.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Count {
        fn get(&self) -> usize {
            self.0.load(Ordering::Relaxed)
        }
    }

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn wakes_the_one_that_waits_once_and_none_that_waited_before() {
        let relay = Arc::new(Relay::default());
        let [before, now] = [(); 2].map(|()| Arc::new(Count::default()));
        relay.wait(&Waker::from(Arc::clone(&before)));
        relay.wait(&Waker::from(Arc::clone(&now)));
        Arc::clone(&relay).wake();
        relay.wake_by_ref();
        assert_eq!((before.get(), now.get()), (0, 1));
    }

    #[test]
    fn wake_that_nobody_waited_for_is_not_lost() {
        let relay = Arc::new(Relay::default());
        let count = Arc::new(Count::default());
        assert!(!relay.has_missed());
        relay.wake_by_ref();
        assert!(relay.has_missed());
        relay.wait(&Waker::from(Arc::clone(&count)));
        assert_eq!(count.get(), 1);
        assert!(!relay.has_missed());
    }

    #[test]
    fn wakes_nobody_who_no_longer_waits() {
        let relay = Arc::new(Relay::default());
        let count = Arc::new(Count::default());
        relay.wait(&Waker::from(Arc::clone(&count)));
        relay.hush();
        relay.wake_by_ref();
        relay.hush();
        relay.wait(&Waker::from(Arc::clone(&count)));
        assert_eq!(count.get(), 0);
    }
}
