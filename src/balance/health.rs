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
    /// Failures before a response head since the last good one.
    heads: AtomicU32,
    /// Bodies that broke off since the last one that was whole. A peer that dies in the middle of
    /// every response sends good heads.
    bodies: AtomicU32,
    /// Until when it is out, in milliseconds since the origin; 0 when it is in.
    out_until: AtomicU64,
}

impl Health {
    pub(super) fn new(peer: Peer) -> Self {
        Self {
            peer,
            origin: Instant::now(),
            heads: AtomicU32::new(0),
            bodies: AtomicU32::new(0),
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

    /// A good response head arrived.
    pub(super) fn answered(&self) {
        reset(&self.heads);
    }

    /// A response's body arrived whole.
    pub(super) fn completed(&self) {
        reset(&self.bodies);
    }

    /// There was no good response head. Returns whether this took the peer out.
    pub(super) fn failed(&self, ejection: Ejection) -> bool {
        self.count(&self.heads, ejection)
    }

    /// A response's body broke off. Returns whether this took the peer out.
    pub(super) fn broken(&self, ejection: Ejection) -> bool {
        self.count(&self.bodies, ejection)
    }

    fn count(&self, streak: &AtomicU32, ejection: Ejection) -> bool {
        let failures = streak.fetch_add(1, Relaxed).saturating_add(1);
        if ejection.after == 0 || failures < ejection.after {
            return false;
        }
        // One that fails as soon as it is back goes out again.
        streak.store(ejection.after, Relaxed);
        let was_out = self.is_ejected();
        let period = u64::try_from(ejection.period.as_millis()).unwrap_or(u64::MAX);
        let until = self.now().saturating_add(period).max(1);
        self.out_until.store(until, Relaxed);
        !was_out
    }

    fn now(&self) -> u64 {
        u64::try_from(self.origin.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

fn reset(streak: &AtomicU32) {
    // Reading is cheap where many write: a healthy peer's counters stay shared.
    if streak.load(Relaxed) != 0 {
        streak.store(0, Relaxed);
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
        assert!(health.failed(EJECTION) && health.is_ejected());
    }

    #[tokio::test(start_paused = true)]
    async fn good_heads_do_not_hide_bodies_that_break_off() {
        let health = Health::new(Peer::new("peer"));
        for _ in 0..2 {
            health.answered();
            health.broken(EJECTION);
        }
        assert!(health.is_ejected());
    }

    #[tokio::test(start_paused = true)]
    async fn whole_body_starts_the_count_of_broken_ones_anew() {
        let health = Health::new(Peer::new("peer"));
        health.broken(EJECTION);
        health.completed();
        health.broken(EJECTION);
        assert!(!health.is_ejected());
    }

    #[tokio::test(start_paused = true)]
    async fn success_starts_the_count_anew() {
        let health = Health::new(Peer::new("peer"));
        health.failed(EJECTION);
        health.answered();
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
