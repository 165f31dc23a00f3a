mod account;
mod purse;

use std::{fmt, sync::Arc};

use self::account::{Account, Income, RETRY};
pub(crate) use self::purse::Purse;
use crate::ConfigError;

/// How many retries there may be in proportion to the requests.
///
/// A limit on the attempts of *one* request does not keep a retry from becoming an outage: when
/// everything fails, three attempts each are three times the load. A budget bounds the sum. Each
/// request pays in a share of a retry, time pays in a floor, and each retry takes one out; when
/// nothing is left, failures are delivered as they are.
///
/// What was provably not sent (a refused connection) is not charged when it fails over to another
/// peer: it costs the upstreams nothing, and a dead peer must not use up what the others need. A retry
/// that was set aside and never started is given back.
///
/// Clones share one budget, so it can be given to many layers:
///
/// ```
/// use tower_failover::{FailoverLayer, limits::Budget};
///
/// // One retry for ten requests, 5 per second in any case, at most 100 at once.
/// let budget = Budget::new(0.1, 5)?.burst(100)?;
/// let search = FailoverLayer::default().budget(budget.clone());
/// let images = FailoverLayer::default().budget(budget);
/// # Ok::<_, tower_failover::ConfigError>(())
/// ```
///
/// With the feature `tower-budget`, any `tower::retry::budget::Budget` can stand in its place.
#[derive(Clone)]
pub struct Budget {
    source: Source,
    /// The share of what there is that one request may take.
    per_request: Option<f64>,
}

#[derive(Clone)]
enum Source {
    Own(Arc<Account>),
    #[cfg(feature = "tower-budget")]
    Tower(Arc<dyn tower::retry::budget::Budget + Send + Sync>),
}

impl Budget {
    pub(crate) const RATIO: f64 = 0.2;
    pub(crate) const PER_SECOND: u32 = 10;

    /// A budget of `ratio` retries per request (0.2 is 20 %), plus `per_second`. It begins with one
    /// second's worth, and can save up [ten](Self::burst).
    ///
    /// # Errors
    ///
    /// `ratio` is not a number from 0 to 10.
    pub fn new(ratio: f64, per_second: u32) -> Result<Self, ConfigError> {
        if !(0.0..=10.0).contains(&ratio) {
            let expected = "a ratio from 0 to 10, such as 0.2 for 20 %";
            return Err(ConfigError::new("budget", ratio, expected));
        }
        Ok(Self::with(ratio, per_second))
    }

    fn with(ratio: f64, per_second: u32) -> Self {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "at most 100 million, and not negative"
        )]
        let share = (ratio * RETRY as f64).round() as u64;
        let floor = retries(per_second);
        Self::open(Income {
            share,
            floor,
            burst: retries(Self::burst_of(per_second)),
            initial: floor,
        })
    }

    /// Ten seconds' worth: for so long Finagle keeps what was paid in.
    const fn burst_of(per_second: u32) -> u32 {
        match per_second.saturating_mul(10) {
            0..100 => 100,
            burst => burst,
        }
    }

    fn open(income: Income) -> Self {
        Self {
            source: Source::Own(Arc::new(Account::open(income))),
            per_request: None,
        }
    }

    /// Sets the most retries that can be saved up while nothing fails; by default ten seconds' worth of
    /// the floor, and at least 100. A quiet hour must not pay for a storm. What there is
    /// [at the beginning](Self::starting_with) is cut to it. The budget that is returned is one of its own,
    /// no longer shared with clones made before.
    ///
    /// # Errors
    ///
    /// `retries` is 0, or the budget is tower's.
    pub fn burst(self, burst: u32) -> Result<Self, ConfigError> {
        if burst == 0 {
            return Err(ConfigError::new("budget burst", burst, "at least 1"));
        }
        let income = self.income("budget burst", burst)?;
        let burst = retries(burst);
        Ok(Self {
            per_request: self.per_request,
            ..Self::open(Income { burst, ..income })
        })
    }

    /// Sets how many retries there are at the beginning, up to the [burst](Self::burst); by default one
    /// second's worth. The budget that is returned is one of its own, no longer shared with clones made
    /// before.
    ///
    /// # Errors
    ///
    /// The budget is tower's, and begins with what it has.
    pub fn starting_with(self, retries: u32) -> Result<Self, ConfigError> {
        let income = self.income("budget start", retries)?;
        let initial = self::retries(retries);
        Ok(Self {
            per_request: self.per_request,
            ..Self::open(Income { initial, ..income })
        })
    }

    /// Sets the share that one request may take of the retries that there are when it first asks for
    /// one, as Finagle does, so that a request with many attempts leaves something for the others. It
    /// may always take one. By default there is no such bound but the number of attempts.
    ///
    /// # Errors
    ///
    /// `share` is not a number above 0 and up to 10, or the budget is tower's, which does not tell how
    /// much there is.
    pub fn per_request(self, share: f64) -> Result<Self, ConfigError> {
        const SETTING: &str = "budget per request";
        if !(share > 0.0 && share <= 10.0) {
            let expected = "a share above 0 and up to 10, such as 0.5 for one half";
            return Err(ConfigError::new(SETTING, share, expected));
        }
        self.income(SETTING, share)?;
        Ok(Self {
            per_request: Some(share),
            ..self
        })
    }

    /// Whole retries that could be taken out now; [`u64::MAX`] for a budget of tower's, which does not
    /// tell.
    pub fn available(&self) -> u64 {
        match &self.source {
            Source::Own(account) => account.available(),
            #[cfg(feature = "tower-budget")]
            Source::Tower(_) => u64::MAX,
        }
    }

    /// Pays in a request's share.
    pub(crate) fn deposit(&self) {
        match &self.source {
            Source::Own(account) => account.pay_share(),
            #[cfg(feature = "tower-budget")]
            Source::Tower(budget) => budget.deposit(),
        }
    }

    /// How many retries one request may take; `None` if it is not bounded.
    fn allowance(&self) -> Option<u64> {
        let share = self.per_request?;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "whole retries, and not negative"
        )]
        let allowance = (self.available() as f64 * share) as u64;
        Some(allowance.max(1))
    }

    /// How the budget is filled, if it is ours to say: `setting` is one that needs it.
    fn income(
        &self,
        setting: &'static str,
        value: impl fmt::Display,
    ) -> Result<Income, ConfigError> {
        let income = match &self.source {
            Source::Own(account) => Some(account.income),
            #[cfg(feature = "tower-budget")]
            Source::Tower(_) => None,
        };
        income.ok_or_else(|| ConfigError::new(setting, value, "for a budget of tower's"))
    }
}

fn retries(retries: u32) -> u64 {
    u64::from(retries) * RETRY
}

impl Source {
    fn take(&self) -> bool {
        match self {
            Self::Own(account) => account.take(),
            #[cfg(feature = "tower-budget")]
            Self::Tower(budget) => budget.withdraw(),
        }
    }

    fn give_back(&self) {
        match self {
            Self::Own(account) => account.pay_back(),
            // Its deposits are shares of a retry; it takes none back.
            #[cfg(feature = "tower-budget")]
            Self::Tower(_) => {}
        }
    }
}

#[cfg(feature = "tower-budget")]
impl Budget {
    /// Keeps to a budget of tower's.
    ///
    /// A retry that was admitted and then not started cannot be given back to it.
    pub fn tower(budget: impl tower::retry::budget::Budget + Send + Sync + 'static) -> Self {
        Self {
            source: Source::Tower(Arc::new(budget)),
            per_request: None,
        }
    }
}

impl Default for Budget {
    /// 20 % of the requests plus 10 per second: Finagle's and linkerd's figures.
    fn default() -> Self {
        Self::with(Self::RATIO, Self::PER_SECOND)
    }
}

impl fmt::Debug for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Budget");
        match &self.source {
            Source::Own(account) => debug.field("available", &account.available()),
            #[cfg(feature = "tower-budget")]
            Source::Tower(_) => debug.field("source", &"tower"),
        };
        debug
            .field("per_request", &self.per_request)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::{thread, time::Duration};

    use super::*;

    fn spend(budget: &Budget) -> bool {
        budget.source.take()
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
        tokio::time::advance(Duration::from_secs(1 << 33)).await;
        assert_eq!(budget.available(), 100);
    }

    #[tokio::test(start_paused = true)]
    async fn burst_bounds_what_is_saved_up_and_not_the_rate() {
        let budget = Budget::new(1.0, 10).unwrap().burst(2).unwrap();
        for _ in 0..9 {
            budget.deposit();
        }
        assert_eq!(budget.available(), 2);
        let mut granted = 0;
        for _ in 0..100 {
            granted += u32::from(spend(&budget));
            tokio::time::advance(Duration::from_millis(100)).await;
        }
        assert_eq!(granted, 100);
    }

    #[test]
    fn begins_with_a_seconds_worth_and_saves_up_ten() {
        for (per_second, begins) in [(0, 0), (10, 10), (5_000, 5_000)] {
            let budget = Budget::new(9.0, per_second).unwrap();
            assert_eq!(budget.available(), begins);
            for _ in 0..10_000 {
                budget.deposit();
            }
            assert_eq!(budget.available(), begins.saturating_mul(10).max(100));
        }
    }

    #[test]
    fn threads_share_a_budget_exactly() {
        let budget = Budget::new(0.5, 0).unwrap().burst(1_000_000).unwrap();
        let grants: usize = thread::scope(|scope| {
            let takers: Vec<_> = (0..4)
                .map(|_| {
                    scope.spawn(|| {
                        let granted = (0..10_000).filter(|_| {
                            budget.deposit();
                            spend(&budget)
                        });
                        granted.count()
                    })
                })
                .collect();
            takers.into_iter().map(|taker| taker.join().unwrap()).sum()
        });
        let left = usize::try_from(budget.available()).unwrap();
        assert_eq!(grants + left, 20_000);
    }

    #[test]
    fn refuses_what_is_no_ratio() {
        for ratio in [-0.1, f64::NAN, f64::INFINITY, 20.0] {
            let error = Budget::new(ratio, 0).unwrap_err().to_string();
            assert_eq!(
                error,
                format!("budget: {ratio} is not a ratio from 0 to 10, such as 0.2 for 20 %")
            );
        }
    }

    #[test]
    fn refuses_what_is_no_share_or_burst() {
        for share in [0.0, -1.0, f64::NAN, 50.0] {
            let error = Budget::default().per_request(share).unwrap_err();
            assert_eq!(error.setting(), "budget per request");
        }
        let error = Budget::default().burst(0).unwrap_err().to_string();
        assert_eq!(error, "budget burst: 0 is not at least 1");
    }

    #[cfg(feature = "tower-budget")]
    #[test]
    fn a_budget_of_towers_decides() {
        use tower::retry::budget::TpsBudget;

        let budget = Budget::tower(TpsBudget::new(Duration::from_secs(10), 0, 1.0));
        assert!(!spend(&budget));
        budget.deposit();
        assert!(spend(&budget) && !spend(&budget));
        assert!(budget.clone().burst(2).is_err());
        assert!(budget.clone().starting_with(2).is_err());
        assert!(budget.per_request(0.5).is_err());
    }
}
