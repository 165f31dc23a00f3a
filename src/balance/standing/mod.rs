//! What is known of one peer: how busy it is, and how well.

mod breaker;
mod estimate;
mod load;
mod probe;
mod rate;
mod siblings;

use std::{
    fmt,
    sync::{
        Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{sync::Notify, time::Instant};

use self::{breaker::Ledger, load::Load, rate::Rate};
pub(super) use self::{probe::Probe, siblings::Siblings};
use super::{rules::Rules, state::State};
use crate::trail::Peer;

/// One peer, for as long as it is in the set or has something to do: updates of the set keep it.
///
/// The healthy path reads `flags`, which is 0 then, and counts what is in flight. What leads from one state to
/// another is in the ledger, which is locked when something failed, or when the peer is not well.
pub(super) struct Standing {
    peer: Peer,
    siblings: Weak<dyn Siblings>,
    origin: Instant,
    load: Load,
    flags: AtomicU8,
    /// Counts the times that its breaker opened or closed: an exchange that began before has nothing to say
    /// of the time after.
    epoch: AtomicU32,
    /// Failures before a response head since the last good one.
    heads: AtomicU32,
    /// Bodies that broke off since the last one that was whole. A peer that dies in the middle of
    /// every response sends good heads.
    bodies: AtomicU32,
    rate: Rate,
    /// When an open breaker becomes half-open, in milliseconds since the origin.
    out_until: AtomicU64,
    /// When its breaker opened last, in milliseconds since the origin.
    opened_at: AtomicU64,
    /// When its slow start began, in milliseconds since the origin.
    slow_from: AtomicU64,
    /// Until when a request is waited for that shows whether it is well again, in milliseconds since the origin; 0: there
    /// is none.
    probing_until: AtomicU64,
    ledger: Mutex<Ledger>,
    /// Tells those who wait for it to have nothing to do.
    drained: Notify,
}

/// The states that keep a peer from being well, and what else is seldom true. Of open and half-open one is set before the
/// other is cleared: in between, the peer is out.
mod flag {
    pub(super) const OPEN: u8 = 1;
    pub(super) const HALF_OPEN: u8 = 2;
    pub(super) const DOWN: u8 = 4;
    pub(super) const SLOW: u8 = 8;
    pub(super) const LEAVING: u8 = 16;
    pub(super) const SUSPECT: u8 = 32;

    pub(super) const OUT: u8 = OPEN | HALF_OPEN;
    pub(super) const UNWELL: u8 = OUT | DOWN;
}

/// The smallest share of its traffic that a peer is given when it starts slowly, as in Envoy; and the share of one that
/// would be left out, were there not too many already.
const SLOWEST: f64 = 0.1;

/// Whether a peer may be given a request.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Availability {
    Well,
    /// It may be given this share of what it would have.
    Slow(f64),
    /// The same, and it is likely to fail.
    Suspect(f64),
    /// One request may show whether it is well; `overdue` when none that can be repeated has come for long.
    Due {
        overdue: bool,
    },
    Out,
}

impl Standing {
    /// The `origin` is when its set's time begins.
    pub(super) fn new(peer: Peer, origin: Instant, siblings: Weak<dyn Siblings>) -> Self {
        Self {
            peer,
            siblings,
            origin,
            load: Load::default(),
            flags: AtomicU8::new(0),
            epoch: AtomicU32::new(0),
            heads: AtomicU32::new(0),
            bodies: AtomicU32::new(0),
            rate: Rate::default(),
            out_until: AtomicU64::new(0),
            opened_at: AtomicU64::new(0),
            slow_from: AtomicU64::new(0),
            probing_until: AtomicU64::new(0),
            ledger: Mutex::default(),
            drained: Notify::new(),
        }
    }

    pub(super) fn peer(&self) -> &Peer {
        &self.peer
    }

    pub(super) fn epoch(&self) -> u32 {
        self.epoch.load(Ordering::Relaxed)
    }

    /// Whether neither its breaker nor a health check speaks against it.
    pub(super) fn is_well(&self) -> bool {
        !self.has(flag::UNWELL)
    }

    /// Whether it would be left out, were there not too many already.
    pub(super) fn is_suspect(&self) -> bool {
        self.has(flag::SUSPECT)
    }

    pub(super) fn state(&self) -> State {
        let flags = self.flags.load(Ordering::Relaxed);
        match flags {
            _ if flags & flag::LEAVING != 0 => State::Draining,
            _ if flags & flag::DOWN != 0 => State::Down,
            _ if flags & flag::OPEN != 0 => State::Open,
            _ if flags & flag::HALF_OPEN != 0 => State::HalfOpen,
            _ if flags & flag::SUSPECT != 0 => State::Suspect,
            _ => State::Closed,
        }
    }

    /// Whether it may be given a request; the clock is read only when that depends on it.
    pub(super) fn availability(
        &self,
        rules: &Rules,
        now: impl FnOnce() -> Instant,
    ) -> Availability {
        let flags = self.flags.load(Ordering::Relaxed) & !flag::LEAVING;
        if flags == 0 {
            return Availability::Well;
        }
        if flags & flag::DOWN != 0 {
            return Availability::Out;
        }
        if flags & flag::OUT != 0 {
            let out_until = self.out_until.load(Ordering::Relaxed);
            let now_ms = self.ms(now());
            let waited = now_ms.checked_sub(out_until);
            let waits = flags & flag::OPEN != 0 && waited.is_none();
            if waits || self.probing_until.load(Ordering::Relaxed) > now_ms {
                return Availability::Out;
            }
            let waited = Duration::from_millis(waited.unwrap_or(0));
            return Availability::Due {
                overdue: waited >= rules.breaker.open_for,
            };
        }
        if flags & flag::SUSPECT != 0 {
            return Availability::Suspect(SLOWEST);
        }
        if rules.slow_start.is_zero() {
            self.clear(flag::SLOW);
            return Availability::Well;
        }
        let slow_for = self
            .ms(now())
            .saturating_sub(self.slow_from.load(Ordering::Relaxed));
        let share = Duration::from_millis(slow_for).as_secs_f64() / rules.slow_start.as_secs_f64();
        if share < 1.0 {
            return Availability::Slow(share.max(SLOWEST));
        }
        self.clear(flag::SLOW);
        Availability::Well
    }

    /// It is well again, or new among others: it is given less than the others for a while, where that is asked for.
    pub(super) fn start_slowly(&self) {
        self.slow_from
            .store(self.ms(Instant::now()), Ordering::Relaxed);
        self.set(flag::SLOW);
    }

    pub(super) fn is_leaving(&self) -> bool {
        self.has(flag::LEAVING)
    }

    /// It is no longer in the set, or is again.
    pub(super) fn set_leaving(&self, leaving: bool) {
        if leaving {
            self.flags.fetch_or(flag::LEAVING, Ordering::SeqCst);
        } else {
            self.clear(flag::LEAVING);
            // From now on the end of an exchange tells nobody.
            self.drained.notify_waiters();
        }
    }

    /// Waits until it has nothing to do, or is in the set again.
    pub(super) async fn drained(&self) {
        loop {
            let mut changed = std::pin::pin!(self.drained.notified());
            changed.as_mut().enable();
            if self.load.in_flight() == 0 || !self.has(flag::LEAVING) {
                return;
            }
            changed.await;
        }
    }

    pub(super) fn in_flight(&self) -> usize {
        self.load.in_flight()
    }

    /// How long its responses take until their heads.
    pub(super) fn response_time(&self, now: Instant) -> Option<Duration> {
        self.load.responses.at(self.ms(now))
    }

    /// The same for those who compare it with others: a failure takes long.
    pub(super) fn latency(&self, now: Instant) -> Option<Duration> {
        self.load.outcomes.at(self.ms(now))
    }

    /// The latency as it was when it was last measured.
    pub(super) fn measured(&self) -> Option<Duration> {
        self.load.outcomes.latest()
    }

    /// A response's head took so long.
    pub(super) fn responded(&self, after: Duration, now: Instant) {
        self.load.responses.measure(after, self.ms(now));
        self.load.outcomes.measure(after, self.ms(now));
    }

    /// A failure took so long, or is taken for so long.
    pub(super) fn lost(&self, after: Duration, now: Instant) {
        self.load.outcomes.measure(after, self.ms(now));
    }

    /// An exchange begins, unless the peer is leaving: it takes no more. Whoever waits for it to be drained sees this
    /// exchange, or this sees that it leaves.
    pub(super) fn begin(&self) -> bool {
        self.load.begin();
        let stays = self.flags.load(Ordering::SeqCst) & flag::LEAVING == 0;
        if !stays {
            self.end();
        }
        stays
    }

    /// An exchange is over.
    pub(super) fn end(&self) {
        if self.load.end() && self.flags.load(Ordering::SeqCst) & flag::LEAVING != 0 {
            self.drained.notify_waiters();
        }
    }

    fn has(&self, flags: u8) -> bool {
        self.flags.load(Ordering::Relaxed) & flags != 0
    }

    fn set(&self, flags: u8) {
        self.flags.fetch_or(flags, Ordering::Relaxed);
    }

    /// Clears a flag; returns whether it was set.
    fn take(&self, flag: u8) -> bool {
        self.flags.fetch_and(!flag, Ordering::Relaxed) & flag != 0
    }

    fn clear(&self, flags: u8) {
        self.flags.fetch_and(!flags, Ordering::Relaxed);
    }

    fn ms(&self, at: Instant) -> u64 {
        let since = at.saturating_duration_since(self.origin);
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    }

    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Standing")
            .field("peer", &self.peer)
            .field("state", &self.state())
            .finish_non_exhaustive()
    }
}
