use std::{
    sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use tokio::time::Instant;

use crate::trail::Peer;

/// When a peer is taken out of rotation, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ejection {
    pub(super) after: u32,
    pub(super) period: Duration,
}

impl Default for Ejection {
    fn default() -> Self {
        Self {
            after: 5,
            period: Duration::from_secs(30),
        }
    }
}

/// What one peer's own exchanges say of it.
#[derive(Debug)]
pub(super) struct Health {
    peer: Peer,
    origin: Instant,
    /// Failures since the last success.
    failures: AtomicU32,
    /// Until when it is out, in milliseconds since the origin; 0 when it is in.
    out_until: AtomicU64,
}

impl Health {
    pub(super) fn new(peer: Peer) -> Self {
        Self {
            peer,
            origin: Instant::now(),
            failures: AtomicU32::new(0),
            out_until: AtomicU64::new(0),
        }
    }

    pub(super) fn peer(&self) -> &Peer {
        &self.peer
    }

    pub(super) fn is_ejected(&self) -> bool {
        let until = self.out_until.load(Relaxed);
        until != 0 && self.now() < until
    }

    pub(super) fn succeeded(&self) {
        // Reading is cheap where many write: a healthy peer's counters stay shared.
        if self.failures.load(Relaxed) != 0 {
            self.failures.store(0, Relaxed);
            self.out_until.store(0, Relaxed);
        }
    }

    /// Returns whether this failure took the peer out.
    pub(super) fn failed(&self, ejection: Ejection) -> bool {
        if ejection.after == 0 {
            return false;
        }
        let failures = self.failures.fetch_add(1, Relaxed).saturating_add(1);
        if failures < ejection.after {
            return false;
        }
        // One that fails as soon as it is back goes out again.
        self.failures.store(ejection.after, Relaxed);
        let period = u64::try_from(ejection.period.as_millis()).unwrap_or(u64::MAX);
        let until = self.now().saturating_add(period).max(1);
        self.out_until.swap(until, Relaxed) == 0
    }

    fn now(&self) -> u64 {
        u64::try_from(self.origin.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EJECTION: Ejection = Ejection {
        after: 2,
        period: Duration::from_secs(10),
    };

    #[tokio::test(start_paused = true)]
    async fn failures_in_a_row_eject_for_a_while() {
        let health = Health::new(Peer::new("peer"));
        assert!(!health.failed(EJECTION) && !health.is_ejected());
        assert!(health.failed(EJECTION) && health.is_ejected());
        tokio::time::advance(Duration::from_millis(9_999)).await;
        assert!(health.is_ejected());
        tokio::time::advance(Duration::from_millis(1)).await;
        assert!(!health.is_ejected());
    }

    #[tokio::test(start_paused = true)]
    async fn peer_that_fails_when_it_is_back_goes_out_again() {
        let health = Health::new(Peer::new("peer"));
        health.failed(EJECTION);
        health.failed(EJECTION);
        tokio::time::advance(Duration::from_secs(10)).await;
        health.failed(EJECTION);
        assert!(health.is_ejected());
    }

    #[tokio::test(start_paused = true)]
    async fn success_starts_the_count_anew() {
        let health = Health::new(Peer::new("peer"));
        health.failed(EJECTION);
        health.succeeded();
        health.failed(EJECTION);
        assert!(!health.is_ejected());
    }

    #[tokio::test(start_paused = true)]
    async fn zero_never_ejects() {
        let health = Health::new(Peer::new("peer"));
        let never = Ejection {
            after: 0,
            ..EJECTION
        };
        assert!((0..100).all(|_| !health.failed(never)));
        assert!(!health.is_ejected());
    }
}
