use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use tokio::time::Instant;

use crate::ConfigError;

/// How many retries there may be in proportion to the requests.
///
/// A limit on the attempts of *one* request does not keep a retry from becoming an outage: when
/// everything fails, three attempts each are three times the load. A budget bounds the sum. Each
/// request pays in a share of a retry, time pays in a floor, and each retry takes one out; when
/// nothing is left, failures are delivered as they are.
///
/// What was provably not sent (a refused connection) is not charged when it fails over to another
/// peer: it costs the upstreams nothing, and a dead peer must not use up what the others need.
///
/// Clones share one budget, so it can be given to many layers.
#[derive(Clone)]
pub struct Budget {
    shared: Arc<Shared>,
}

struct Shared {
    /// What a request pays in, in millionths of a retry.
    share: u64,
    /// What a second pays in, in millionths of a retry.
    floor: u64,
    origin: Instant,
    /// Up to when time has paid in, in nanoseconds since the origin.
    paid_until: AtomicU64,
    balance: AtomicU64,
}

const RETRY: u64 = 1_000_000;
const SECOND: u64 = 1_000_000_000;

impl Budget {
    /// The most retries that can be saved up.
    pub const BURST: u64 = 1_000;

    /// A budget of `ratio` retries per request, plus `per_second`. It begins with one second's
    /// worth.
    ///
    /// # Errors
    ///
    /// `ratio` is not a number from 0 to 100, or `per_second` is above [`BURST`](Self::BURST).
    pub fn new(ratio: f64, per_second: u32) -> Result<Self, ConfigError> {
        if !(0.0..=100.0).contains(&ratio) {
            let expected = "a ratio from 0 to 100";
            return Err(ConfigError::new("budget", ratio, expected));
        }
        if u64::from(per_second) > Self::BURST {
            let expected = format!("at most {} retries per second", Self::BURST);
            return Err(ConfigError::new("budget", per_second, expected));
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "at most 100 million, and not negative"
        )]
        let share = (ratio * RETRY as f64).round() as u64;
        Ok(Self::with(share, u64::from(per_second) * RETRY))
    }

    fn with(share: u64, floor: u64) -> Self {
        Self {
            shared: Arc::new(Shared {
                share,
                floor,
                origin: Instant::now(),
                paid_until: AtomicU64::new(0),
                balance: AtomicU64::new(floor),
            }),
        }
    }

    /// Whole retries that could be taken out now.
    pub fn available(&self) -> u64 {
        self.shared.pay_floor();
        self.shared.balance.load(Relaxed) / RETRY
    }

    /// Pays in a request's share.
    pub(crate) fn deposit(&self) {
        self.shared.pay(self.shared.share);
    }

    /// Takes out one retry, if there is one. It is given back if it is dropped unspent.
    pub(crate) fn withdraw(&self) -> Option<Withdrawal> {
        self.shared.pay_floor();
        let taken = self
            .shared
            .balance
            .fetch_update(Relaxed, Relaxed, |balance| balance.checked_sub(RETRY));
        taken.is_ok().then(|| Withdrawal {
            budget: self.clone(),
            spent: false,
        })
    }
}

impl Shared {
    fn pay(&self, amount: u64) {
        let most = Budget::BURST * RETRY;
        let paid = |balance: u64| (balance < most).then(|| (balance + amount).min(most));
        // A full purse takes no more, and is not written to.
        let _ = self.balance.fetch_update(Relaxed, Relaxed, paid);
    }

    fn pay_floor(&self) {
        if self.floor == 0 {
            return;
        }
        let now = u64::try_from(self.origin.elapsed().as_nanos()).unwrap_or(u64::MAX);
        let since = self.paid_until.load(Relaxed);
        // Longer than it takes to fill the purse is no more than that.
        let elapsed = now.saturating_sub(since).min(SECOND * Budget::BURST);
        let earned = u128::from(elapsed) * u128::from(self.floor) / u128::from(SECOND);
        let earned = u64::try_from(earned).unwrap_or(u64::MAX);
        if earned == 0 {
            return;
        }
        // The clock moves by what is paid, so that frequent calls lose no fractions.
        let paid = u128::from(earned) * u128::from(SECOND);
        let paid = u64::try_from(paid.div_ceil(u128::from(self.floor))).unwrap_or(elapsed);
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

/// One retry, taken out of a budget, and given back when it is dropped unspent.
#[must_use = "a withdrawal that is dropped is given back"]
pub(crate) struct Withdrawal {
    budget: Budget,
    spent: bool,
}

impl Withdrawal {
    /// The retry takes place.
    pub(crate) fn spend(&mut self) {
        self.spent = true;
    }

    /// It turned out that no peer was called.
    pub(crate) fn unspend(&mut self) {
        self.spent = false;
    }
}

impl Drop for Withdrawal {
    fn drop(&mut self) {
        if !self.spent {
            self.budget.shared.pay(RETRY);
        }
    }
}

impl Default for Budget {
    /// 20 % of the requests plus 10 per second: Finagle's and linkerd's figures.
    fn default() -> Self {
        Self::with(RETRY / 5, 10 * RETRY)
    }
}

impl fmt::Debug for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Budget")
            .field("available", &self.available())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn spend(budget: &Budget) -> bool {
        let withdrawal = budget.withdraw();
        withdrawal
            .map(|mut withdrawal| withdrawal.spend())
            .is_some()
    }

    #[test]
    fn grants_exactly_the_ratio() {
        for (ratio, granted) in [(0.1, 1_000), (0.25, 2_500), (0.4, 4_000), (0.6, 6_000)] {
            let budget = Budget::new(ratio, 0).unwrap();
            let grants = (0..10_000).filter(|_| {
                budget.deposit();
                spend(&budget)
            });
            assert_eq!(grants.count(), granted, "ratio {ratio}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn time_pays_in_the_floor_and_no_more() {
        let budget = Budget::new(0.0, 10).unwrap();
        assert_eq!((0..99).filter(|_| spend(&budget)).count(), 10);
        tokio::time::advance(Duration::from_millis(499)).await;
        assert_eq!((0..99).filter(|_| spend(&budget)).count(), 4);
        tokio::time::advance(Duration::from_millis(1)).await;
        assert_eq!((0..99).filter(|_| spend(&budget)).count(), 1);
        tokio::time::advance(Duration::from_secs(1 << 40)).await;
        assert_eq!(budget.available(), Budget::BURST);
    }

    #[test]
    fn retry_that_was_never_started_is_given_back() {
        let budget = Budget::new(1.0, 0).unwrap();
        budget.deposit();
        drop(budget.withdraw());
        assert!(spend(&budget));
        assert!(!spend(&budget));
    }

    #[test]
    fn retry_that_called_nobody_is_given_back() {
        let budget = Budget::new(1.0, 0).unwrap();
        budget.deposit();
        let mut withdrawal = budget.withdraw().unwrap();
        withdrawal.spend();
        assert!(budget.withdraw().is_none());
        withdrawal.unspend();
        drop(withdrawal);
        assert!(budget.withdraw().is_some());
    }

    #[test]
    fn refuses_what_is_no_ratio() {
        for ratio in [-0.1, f64::NAN, f64::INFINITY, 100.1] {
            let error = Budget::new(ratio, 0).unwrap_err().to_string();
            assert_eq!(
                error,
                format!("budget: {ratio} is not a ratio from 0 to 100")
            );
        }
    }
}
