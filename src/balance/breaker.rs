use std::time::Duration;

use crate::{ConfigError, policy::Statuses};

/// The least time that a half-open one waits for a request to show something.
const SHORTEST_PROBE: Duration = Duration::from_secs(1);

/// When a peer is taken out of rotation, and how it comes back: a circuit breaker for each peer.
///
/// - **Closed**: the peer is used. It opens after [several failures in a row](Self::failures), and, where that
///   is asked for, after [several within a time](Self::failures_within) or at [too low a rate of
///   successes](Self::success_rate).
/// - **Open**: the peer is left out for a [time that grows](Self::open_for) each time it opens again.
/// - **Half-open**: after that time one request at a time is sent to it. Some
///   [successes](Self::successes) close it, one failure opens it again. A request that has shown nothing for
///   [as long](Self::open_for), but for a second at least, goes on, and another is sent as well.
///
/// What counts is what the peer did: an error that is not the request's own fault or an overload of ours, a
/// [status that stands for the peer](Self::statuses), a per-try timeout; and where a request without a body ends at the
/// layer's own deadline, that the peer has used up more than half of the time. Bodies that break off are counted by
/// themselves, until one is whole. Neither good nor bad are 429 and other responses of 500 and above, a client that
/// goes away, and a deadline that a request has asked for. *Worth retrying* and *unhealthy* are different questions: a
/// policy may retry a 404, and its peer is well.
///
/// ```
/// use std::time::Duration;
/// use tower_failover::balance::Breaker;
///
/// let breaker = Breaker::new()
///     .failures(3)
///     .open_for(Duration::from_secs(10))
///     .statuses("500-504".parse()?);
/// # Ok::<_, tower_failover::ConfigError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Breaker {
    pub(super) failures: u32,
    pub(super) failures_within: Option<(u32, Duration)>,
    pub(super) success_rate: Option<SuccessRate>,
    pub(super) open_for: Duration,
    pub(super) open_at_most: Duration,
    pub(super) successes: u32,
    pub(super) statuses: Statuses,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct SuccessRate {
    pub(super) least: f64,
    pub(super) outcomes: u32,
    pub(super) window: Duration,
}

impl SuccessRate {
    pub(super) fn is_missed(&self, good: u32, bad: u32) -> bool {
        let all = good.saturating_add(bad);
        all >= self.outcomes && f64::from(good) < self.least * f64::from(all)
    }
}

impl Breaker {
    /// Five failures in a row open it, for 30 seconds; three successes close it.
    pub fn new() -> Self {
        Self {
            failures: 5,
            failures_within: None,
            success_rate: None,
            open_for: Duration::from_secs(30),
            open_at_most: Duration::from_secs(300),
            successes: 3,
            statuses: Statuses::none().with_range(502..=504),
        }
    }

    /// One that never opens.
    ///
    /// A dead peer then costs each request that picks it a failed attempt.
    pub fn never() -> Self {
        Self::new().failures(0)
    }

    /// Sets after how many failures in a row it opens; by default 5, as in Envoy. 0: never for that
    /// reason.
    #[must_use]
    pub fn failures(mut self, failures: u32) -> Self {
        self.failures = failures;
        self
    }

    /// Lets it open also after this many failures within a time, whatever came between; by default it does
    /// not. It is nginx's `max_fails` and `fail_timeout`. 0: never for that reason.
    #[must_use]
    pub fn failures_within(mut self, failures: u32, window: Duration) -> Self {
        self.failures_within = (failures > 0).then_some((failures, window));
        self
    }

    /// Lets it open also when fewer than this share of the last outcomes were good, once there are `outcomes`
    /// of them; by default it does not. What is older than two windows is forgotten.
    ///
    /// # Errors
    ///
    /// If the share is not from 0 to 1, the outcomes are 0, or the window is.
    pub fn success_rate(
        mut self,
        least: f64,
        outcomes: u32,
        window: Duration,
    ) -> Result<Self, ConfigError> {
        let least = share("success_rate", least)?;
        if outcomes == 0 {
            return Err(ConfigError::new("success_rate outcomes", 0, "at least 1"));
        }
        if window.is_zero() {
            return Err(ConfigError::new(
                "success_rate window",
                "0s",
                "longer than 0s",
            ));
        }
        self.success_rate = Some(SuccessRate {
            least,
            outcomes,
            window,
        });
        Ok(self)
    }

    /// Sets how long it stays open the first time; by default 30 seconds, as in Envoy. It is half-open sooner,
    /// after a tenth of that at least, when another peer is to be left out and [too
    /// many](super::Balance::max_ejected) are already.
    ///
    /// Each time that it opens again it stays open for this much longer, up to
    /// [`open_at_most`](Self::open_at_most). For each such time that it has been closed, one is taken off
    /// again.
    #[must_use]
    pub fn open_for(mut self, period: Duration) -> Self {
        self.open_for = period;
        self
    }

    /// Sets the longest time that it stays open; by default 5 minutes, as in Envoy. It is never shorter than
    /// [`open_for`](Self::open_for).
    #[must_use]
    pub fn open_at_most(mut self, period: Duration) -> Self {
        self.open_at_most = period;
        self
    }

    /// Sets how many successes close it when it is half-open; by default 3. 0 is 1.
    #[must_use]
    pub fn successes(mut self, successes: u32) -> Self {
        self.successes = successes.max(1);
        self
    }

    /// Sets the response statuses that stand for a failure of the peer; by default 502, 503 and 504.
    ///
    /// With 500 among them, requests that make a server fail take it out: a client can then send them to
    /// one peer after the other.
    #[must_use]
    pub fn statuses(mut self, statuses: Statuses) -> Self {
        self.statuses = statuses;
        self
    }

    /// For how many milliseconds one request is waited for to show something when it is half-open.
    pub(super) fn probe_ms(&self) -> u64 {
        let period = self.open_for.max(SHORTEST_PROBE);
        u64::try_from(period.as_millis()).unwrap_or(u64::MAX)
    }

    /// How long it stays open when it has opened this often in a row.
    pub(super) fn period(&self, openings: u32) -> Duration {
        let period = self.open_for.saturating_mul(openings.max(1));
        period.min(self.open_at_most.max(self.open_for))
    }
}

impl Default for Breaker {
    fn default() -> Self {
        Self::new()
    }
}

/// A share that can be meant.
pub(super) fn share(setting: &'static str, share: f64) -> Result<f64, ConfigError> {
    if (0.0..=1.0).contains(&share) {
        Ok(share)
    } else {
        Err(ConfigError::new(setting, share, "a share from 0 to 1"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_stays_open_for_longer_each_time_up_to_a_bound() {
        let breaker = Breaker::new().open_for(Duration::from_secs(30));
        let periods = [0, 1, 2, 3, 10, 11, u32::MAX].map(|n| breaker.period(n).as_secs());
        assert_eq!(periods, [30, 30, 60, 90, 300, 300, 300]);
        let long = breaker.open_for(Duration::from_secs(1_000));
        assert_eq!(long.period(5), Duration::from_secs(1_000));
    }

    #[test]
    fn shares_that_cannot_be_meant_are_named() {
        for wrong in [-0.1, 1.1, f64::NAN, f64::INFINITY] {
            let error = Breaker::new().success_rate(wrong, 1, Duration::from_secs(1));
            let error = error.unwrap_err();
            assert_eq!(error.value(), wrong.to_string());
            assert_eq!(error.setting(), "success_rate");
        }
        let second = Duration::from_secs(1);
        assert!(Breaker::new().success_rate(0.5, 0, second).is_err());
        assert!(Breaker::new().success_rate(0.5, 1, Duration::ZERO).is_err());
        assert!(Breaker::new().success_rate(0.5, 1, second).is_ok());
    }

    #[test]
    fn rate_counts_only_when_there_is_enough_to_tell() {
        let rate = SuccessRate {
            least: 0.5,
            outcomes: 4,
            window: Duration::from_secs(1),
        };
        let missed = |good, bad| rate.is_missed(good, bad);
        assert!(!missed(0, 3));
        assert!(missed(0, 4) && missed(1, 3));
        assert!(!missed(2, 2) && !missed(3, 1));
    }
}
