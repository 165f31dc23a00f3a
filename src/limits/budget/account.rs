use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use tokio::time::Instant;

/// A retry, in the unit that shares of one are counted in.
pub(super) const RETRY: u64 = 1_000_000;
const SECOND: u64 = 1_000_000_000;

/// How an account is filled; amounts are in millionths of a retry.
#[derive(Clone, Copy, Debug)]
pub(super) struct Income {
    /// What a request pays in.
    pub(super) share: u64,
    /// What a second pays in.
    pub(super) floor: u64,
    /// The most that can be saved up.
    pub(super) burst: u64,
    /// What there is at the beginning.
    pub(super) initial: u64,
}

/// Retries that were paid in and not taken out yet, without a lock.
#[derive(Debug)]
pub(super) struct Account {
    pub(super) income: Income,
    origin: Instant,
    /// Up to when time has paid in, in nanoseconds since the origin.
    paid_until: AtomicU64,
    balance: AtomicU64,
}

impl Account {
    pub(super) fn open(income: Income) -> Self {
        Self {
            income,
            origin: Instant::now(),
            paid_until: AtomicU64::new(0),
            balance: AtomicU64::new(income.initial.min(income.burst)),
        }
    }

    /// Whole retries that could be taken out now.
    pub(super) fn available(&self) -> u64 {
        self.pay_floor();
        self.balance.load(Relaxed) / RETRY
    }

    /// Pays in a request's share.
    pub(super) fn pay_share(&self) {
        self.pay(self.income.share);
    }

    /// Gives a retry back.
    pub(super) fn pay_back(&self) {
        self.pay(RETRY);
    }

    /// Takes out a retry; returns whether there was one.
    pub(super) fn take(&self) -> bool {
        self.pay_floor();
        let rest = |balance: u64| balance.checked_sub(RETRY);
        self.balance.fetch_update(Relaxed, Relaxed, rest).is_ok()
    }

    fn pay(&self, amount: u64) {
        let most = self.income.burst;
        let paid = |balance: u64| (balance < most).then(|| (balance + amount).min(most));
        // A full account takes no more, and is not written to.
        let _ = self.balance.fetch_update(Relaxed, Relaxed, paid);
    }

    fn pay_floor(&self) {
        let Income { floor, burst, .. } = self.income;
        if floor == 0 {
            return;
        }
        let now = u64::try_from(self.origin.elapsed().as_nanos()).unwrap_or(u64::MAX);
        let since = self.paid_until.load(Relaxed);
        // Longer than it takes to fill the account is no more than that.
        let to_fill = (u128::from(burst) * u128::from(SECOND)).div_ceil(u128::from(floor));
        let to_fill = u64::try_from(to_fill).unwrap_or(u64::MAX);
        let elapsed = now.saturating_sub(since).min(to_fill);
        let earned = u128::from(elapsed) * u128::from(floor) / u128::from(SECOND);
        let earned = u64::try_from(earned).unwrap_or(u64::MAX);
        if earned == 0 {
            return;
        }
        // The clock moves by what is paid, so that frequent calls lose no fractions.
        let paid = u128::from(earned) * u128::from(SECOND);
        let paid = u64::try_from(paid.div_ceil(u128::from(floor))).unwrap_or(elapsed);
        let until = now - (elapsed - paid.min(elapsed));
        // Whoever moves it pays; who comes second finds it paid.
        let moved = self
            .paid_until
            .compare_exchange(since, until, Relaxed, Relaxed);
        if moved.is_ok() {
            self.pay(earned);
        }
    }
}
