use std::time::Duration;

use crate::ConfigError;

/// How long a few peers' first checks are spread over.
const SPREAD: Duration = Duration::from_secs(1);

/// What each peer adds to that, when there are many.
const SPREAD_EACH: Duration = Duration::from_millis(1);

/// When a peer is checked.
#[derive(Clone, Copy, Debug)]
pub(super) struct Schedule {
    interval: Duration,
    /// The share of the interval by which a check may come earlier or later.
    jitter: f64,
}

impl Default for Schedule {
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(5),
            jitter: 0.1,
        }
    }
}

impl Schedule {
    pub(super) fn interval(self, interval: Duration) -> Result<Self, ConfigError> {
        if interval.is_zero() {
            let setting = "health_check interval";
            return Err(ConfigError::new(setting, "0s", "longer than 0s"));
        }
        Ok(Self { interval, ..self })
    }

    pub(super) fn jitter(self, jitter: f64) -> Result<Self, ConfigError> {
        if !(0.0..=0.5).contains(&jitter) {
            let expected = "a share from 0 to 0.5";
            return Err(ConfigError::new("health_check jitter", jitter, expected));
        }
        Ok(Self { jitter, ..self })
    }

    /// How long until the first check of one of so many peers that have come together.
    pub(super) fn first(&self, newcomers: usize) -> Duration {
        let newcomers = u32::try_from(newcomers).unwrap_or(u32::MAX);
        let spread = SPREAD_EACH.saturating_mul(newcomers).max(SPREAD);
        times(spread.min(self.interval), fastrand::f64())
    }

    /// How long from the end of a check to the next one.
    pub(super) fn next(&self) -> Duration {
        let from_minus_1_to_1 = fastrand::f64() * 2.0 - 1.0;
        times(self.interval, 1.0 + self.jitter * from_minus_1_to_1)
    }
}

fn times(duration: Duration, factor: f64) -> Duration {
    Duration::try_from_secs_f64(duration.as_secs_f64() * factor).unwrap_or(Duration::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schedule(interval: Duration, jitter: f64) -> Schedule {
        let schedule = Schedule::default().interval(interval).unwrap();
        schedule.jitter(jitter).unwrap()
    }

    const fn secs(secs: u64) -> Duration {
        Duration::from_secs(secs)
    }

    #[test]
    fn settings_that_cannot_be_meant_are_named() {
        let error = Schedule::default().interval(Duration::ZERO).unwrap_err();
        assert_eq!(error.setting(), "health_check interval");
        for wrong in [-0.1, 0.6, f64::NAN, f64::INFINITY] {
            let error = Schedule::default().jitter(wrong).unwrap_err();
            assert_eq!(error.value(), wrong.to_string());
        }
    }

    #[test]
    fn checks_come_earlier_and_later_within_bounds() {
        let schedule = schedule(secs(10), 0.5);
        let all: Vec<_> = (0..1000).map(|_| schedule.next()).collect();
        assert!(all.iter().all(|next| (secs(5)..=secs(15)).contains(next)));
        assert!(all.iter().any(|next| *next < secs(8)));
        assert!(all.iter().any(|next| *next > secs(12)));
    }

    #[test]
    fn without_jitter_they_are_even() {
        let schedule = schedule(secs(10), 0.0);
        assert!((0..100).all(|_| schedule.next() == secs(10)));
    }

    #[test]
    fn first_checks_are_spread_the_more_the_more_there_are_but_not_past_an_interval() {
        for (interval, newcomers, spread) in [
            (secs(60), 1, secs(1)),
            (secs(60), 10_000, secs(10)),
            (secs(5), 10_000, secs(5)),
            (Duration::from_millis(1), 1, Duration::from_millis(1)),
        ] {
            let schedule = schedule(interval, 0.0);
            let last = (0..1000).map(|_| schedule.first(newcomers)).max().unwrap();
            assert!(last <= spread && last > spread * 9 / 10, "{last:?}");
        }
    }

    #[test]
    fn longest_interval_there_is_does_not_overflow() {
        let schedule = schedule(Duration::MAX, 0.5);
        assert!((0..100).all(|_| schedule.next() > secs(1)));
        assert!(schedule.first(usize::MAX) <= secs(4_294_968));
    }
}
