use std::{
    collections::VecDeque,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
    time::Duration,
};

use tokio::time::Instant;

use super::{Probe, Standing, flag};
use crate::balance::{
    rules::Rules,
    state::{Fault, State, StateChange},
};

/// The part of its time that a peer is left out for at least, when another is to be: it is asked sooner then.
const SOONEST: u32 = 10;

/// With every how many failures a suspect peer asks again to be left out.
const SUSPECTED: u64 = 4;

/// What leads a peer from one state to another.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    /// Good outcomes since the breaker opened.
    successes: u32,
    /// How often it opened without having been closed for long.
    openings_in_row: u32,
    closed_at: Option<Instant>,
    /// The last failures, where those within a time are counted.
    recent: VecDeque<Instant>,
    /// How many checkers find it down.
    found_down: u32,
    pub(super) openings: u64,
    pub(super) failures: u64,
    pub(super) last_failure: Option<(Fault, Instant)>,
}

impl Standing {
    /// A good response head arrived.
    pub(in crate::balance) fn answered(&self, epoch: u32, rules: &Rules) {
        if self.has(flag::OUT) {
            self.recover(epoch, rules);
            return;
        }
        reset(&self.heads);
        // Of those who notice at the same time, one tells.
        if self.has(flag::SUSPECT) && !self.breaks_off(rules) && self.take(flag::SUSPECT) {
            self.tell(State::Suspect, None, None, rules);
        }
        if let Some(rate) = rules.breaker.success_rate {
            self.rate.good(rate.window, self.ms(Instant::now()));
        }
    }

    /// Whether as many bodies in a row broke off as open a breaker: a good head says nothing against that.
    fn breaks_off(&self, rules: &Rules) -> bool {
        let failures = rules.breaker.failures;
        failures != 0 && self.bodies.load(Relaxed) >= failures
    }

    /// A response's body arrived whole.
    pub(in crate::balance) fn completed(&self) {
        reset(&self.bodies);
    }

    /// It failed.
    pub(in crate::balance) fn failed(&self, fault: Fault, epoch: u32, rules: &Rules) {
        let now = Instant::now();
        let mut ledger = self.ledger();
        ledger.failures += 1;
        ledger.last_failure = Some((fault, now));
        if epoch != self.epoch() || self.has(flag::OPEN) {
            return;
        }
        let before = self.state();
        let opens = if self.has(flag::HALF_OPEN) {
            self.set(flag::OPEN);
            self.clear(flag::HALF_OPEN);
            true
        } else {
            // To ask again with each failure would be much, where there are many peers.
            let asks = !self.has(flag::SUSPECT) || ledger.failures % SUSPECTED == 0;
            if !self.trips(&mut ledger, fault, now, rules) || !asks {
                return;
            }
            self.leave_rotation(now, rules)
        };
        let out_for = opens.then(|| self.opened(&mut ledger, now, rules));
        drop(ledger);
        self.tell(before, Some(fault), out_for, rules);
    }

    /// An active health check failed.
    pub(in crate::balance) fn missed_check(&self, fault: Fault) {
        self.ledger().last_failure = Some((fault, Instant::now()));
    }

    /// A checker has found it down, or takes that back. With several, it is down while one of them finds it so.
    pub(in crate::balance) fn set_down(&self, down: bool, rules: &Rules) {
        let before = self.state();
        let mut ledger = self.ledger();
        if down {
            ledger.found_down += 1;
        } else {
            ledger.found_down = ledger.found_down.saturating_sub(1);
        }
        let down = ledger.found_down > 0;
        let changed = self.change(|| {
            let changed = self.has(flag::DOWN) != down;
            if down {
                self.set(flag::DOWN);
            } else {
                self.clear(flag::DOWN);
            }
            changed
        });
        // What it did before it was down says nothing of how it is now.
        if changed && !down {
            reset(&self.bodies);
            ledger.recent.clear();
            self.rate.forget();
            self.closed(&mut ledger);
        }
        let fault = ledger.last_failure.map(|(fault, _)| fault);
        let fault = fault.filter(|fault| down && fault.is_of_check());
        drop(ledger);
        if changed {
            self.tell(before, fault, None, rules);
        }
    }

    /// Claims it for the one request that may show whether it is well.
    pub(in crate::balance) fn claim(self: &Arc<Self>, rules: &Rules) -> Option<Box<Probe>> {
        let now_ms = self.ms(Instant::now());
        let until = now_ms.saturating_add(rules.breaker.probe_ms());
        let probe = Probe::claim(self, now_ms, until)?;
        let ledger = self.ledger();
        let begins = self.has(flag::OPEN);
        // It may have opened just now.
        let waits = begins && now_ms < self.out_until.load(Relaxed);
        if waits || !self.has(flag::OUT) {
            return None;
        }
        self.set(flag::HALF_OPEN);
        self.clear(flag::OPEN);
        drop(ledger);
        if begins {
            self.tell(State::Open, None, None, rules);
        }
        Some(Box::new(probe))
    }

    /// Whether a failure is the one that opens a closed breaker.
    fn trips(&self, ledger: &mut Ledger, fault: Fault, now: Instant, rules: &Rules) -> bool {
        let breaker = &rules.breaker;
        let streak = match fault {
            Fault::Body => &self.bodies,
            _ => &self.heads,
        };
        let streak = streak.fetch_add(1, Relaxed).saturating_add(1);
        let mut trips = breaker.failures != 0 && streak >= breaker.failures;
        if let Some((most, window)) = breaker.failures_within {
            let recent = &mut ledger.recent;
            recent.push_back(now);
            let is_old = |at: &Instant| now.saturating_duration_since(*at) >= window;
            while recent.len() > most as usize || recent.front().is_some_and(is_old) {
                recent.pop_front();
            }
            trips |= recent.len() >= most as usize;
        }
        if let Some(rate) = breaker.success_rate {
            let (good, bad) = self.rate.bad(rate.window, self.ms(now));
            trips |= rate.is_missed(good, bad);
        }
        trips
    }

    /// Opens the breaker, unless too many are out already: then one of those is asked sooner whether it is well
    /// again, so that a peer which has come back does not keep another in rotation that has gone.
    fn leave_rotation(&self, now: Instant, rules: &Rules) -> bool {
        let Some(siblings) = self.siblings.upgrade() else {
            return false;
        };
        let opens = siblings.spare(self, rules, &mut || self.set(flag::OPEN));
        if !opens && rules.most_ejected > 0.0 {
            self.set(flag::SUSPECT);
            siblings.hasten(self.ms(now), rules.breaker.open_for / SOONEST);
        }
        opens
    }

    /// When its breaker opened, if it is that which keeps it out.
    pub(in crate::balance) fn open_since(&self) -> Option<u64> {
        let is_out = self.has(flag::OPEN) && !self.has(flag::DOWN);
        is_out.then(|| self.opened_at.load(Relaxed))
    }

    /// Its time is over at once.
    pub(in crate::balance) fn hasten(&self, now_ms: u64) {
        self.out_until.fetch_min(now_ms, Relaxed);
    }

    /// The breaker has opened. Returns for how long.
    fn opened(&self, ledger: &mut Ledger, now: Instant, rules: &Rules) -> Duration {
        let breaker = &rules.breaker;
        let closed_for = ledger.closed_at.map(|at| now.saturating_duration_since(at));
        let forgiven = closed_for.map_or(0, |time| {
            let periods = time.as_millis() / breaker.open_for.as_millis().max(1);
            u32::try_from(periods).unwrap_or(u32::MAX)
        });
        ledger.openings += 1;
        ledger.openings_in_row = ledger
            .openings_in_row
            .saturating_sub(forgiven)
            .saturating_add(1);
        ledger.closed_at = None;
        ledger.successes = 0;
        ledger.recent.clear();
        self.rate.forget();
        self.epoch.fetch_add(1, Relaxed);
        self.clear(flag::SLOW | flag::SUSPECT);
        let period = breaker.period(ledger.openings_in_row);
        let until = now
            .checked_add(period)
            .map_or(u64::MAX, |until| self.ms(until));
        self.opened_at.store(self.ms(now), Relaxed);
        self.out_until.store(until, Relaxed);
        period
    }

    /// A good outcome of a peer that is out.
    fn recover(&self, epoch: u32, rules: &Rules) {
        let mut ledger = self.ledger();
        if epoch != self.epoch() || !self.has(flag::OUT) {
            return;
        }
        ledger.successes += 1;
        if ledger.successes < rules.breaker.successes {
            return;
        }
        let before = self.state();
        self.closed(&mut ledger);
        drop(ledger);
        self.tell(before, None, None, rules);
    }

    /// Closes the breaker.
    fn closed(&self, ledger: &mut Ledger) {
        ledger.closed_at = Some(Instant::now());
        reset(&self.heads);
        // What it took while it was sick says nothing of how long it takes now.
        self.load.outcomes.forget();
        self.epoch.fetch_add(1, Relaxed);
        self.start_slowly();
        self.change(|| {
            self.clear(flag::OUT | flag::SUSPECT);
            true
        });
    }

    /// Changes what is counted in the set.
    fn change(&self, mut edit: impl FnMut() -> bool) -> bool {
        match self.siblings.upgrade() {
            Some(siblings) => siblings.change(&mut edit),
            None => edit(),
        }
    }

    fn tell(&self, from: State, fault: Option<Fault>, out_for: Option<Duration>, rules: &Rules) {
        let change = StateChange {
            peer: self.peer.clone(),
            from,
            to: self.state(),
            fault,
            out_for,
        };
        if change.from != change.to {
            change.tell(rules.listener.as_ref());
        }
    }

    /// How often its breaker opened, how often it failed, and how and when it did so last.
    pub(in crate::balance) fn history(&self) -> (u64, u64, Option<(Fault, Instant)>) {
        let ledger = self.ledger();
        (ledger.openings, ledger.failures, ledger.last_failure)
    }

    /// How much longer it is left out, if its breaker is open.
    pub(in crate::balance) fn out_for(&self, now: Instant) -> Option<Duration> {
        let left = self.out_until.load(Relaxed).saturating_sub(self.ms(now));
        self.has(flag::OPEN).then(|| Duration::from_millis(left))
    }
}

fn reset(streak: &AtomicU32) {
    // Reading is cheap where many write: a healthy peer's counters stay shared.
    if streak.load(Relaxed) != 0 {
        streak.store(0, Relaxed);
    }
}
