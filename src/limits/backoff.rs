use std::time::Duration;

use crate::ConfigError;

/// How long to wait before the same peer is tried again: exponential, with full jitter.
///
/// The delay before the `n`-th retry is drawn evenly from zero to the lesser of `base · 2ⁿ⁻¹` and
/// `max`. Every request draws for itself, so that requests that failed together do not come back
/// together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    base: Duration,
    max: Duration,
}

impl Backoff {
    /// No delay at all.
    pub const NONE: Self = Self {
        base: Duration::ZERO,
        max: Duration::ZERO,
    };

    /// Delays of at most `base` before the first retry, and never more than `max`.
    ///
    /// # Errors
    ///
    /// `max` is shorter than `base`.
    pub fn new(base: Duration, max: Duration) -> Result<Self, ConfigError> {
        if max < base {
            let expected = format!("at least the base, {base:?}");
            return Err(ConfigError::new(
                "backoff max",
                format!("{max:?}"),
                expected,
            ));
        }
        Ok(Self { base, max })
    }

    /// Draws the delay before a retry, counted from 1.
    pub fn delay(&self, retry: u32) -> Duration {
        let doubled = 1_u32.checked_shl(retry.saturating_sub(1));
        let most = doubled
            .and_then(|factor| self.base.checked_mul(factor))
            .map_or(self.max, |delay| delay.min(self.max));
        let nanos = u64::try_from(most.as_nanos()).unwrap_or(u64::MAX);
        Duration::from_nanos(fastrand::u64(0..=nanos))
    }
}

impl Default for Backoff {
    /// 25 ms, at most 250 ms: Envoy's defaults.
    fn default() -> Self {
        Self {
            base: Duration::from_millis(25),
            max: Duration::from_millis(250),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn grows_up_to_its_bound_and_not_past_it() {
        let backoff = Backoff::new(100 * MS, 300 * MS).unwrap();
        for (retry, most) in [(1, 100), (2, 200), (3, 300), (40, 300), (u32::MAX, 300)] {
            let delays: Vec<_> = (0..200).map(|_| backoff.delay(retry)).collect();
            assert!(delays.iter().all(|delay| *delay <= most * MS));
            assert!(delays.iter().any(|delay| *delay > most * MS / 2));
            assert!(delays.iter().any(|delay| *delay < most * MS / 2));
        }
    }

    #[test]
    fn none_is_none() {
        assert_eq!(Backoff::NONE.delay(9), Duration::ZERO);
    }

    #[test]
    fn refuses_a_bound_below_the_base() {
        let error = Backoff::new(2 * MS, MS).unwrap_err().to_string();
        assert_eq!(error, "backoff max: 1ms is not at least the base, 2ms");
    }
}
