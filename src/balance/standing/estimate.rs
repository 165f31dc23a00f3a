use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

/// How long it takes a measurement to lose 63 % of what it is above the next ones.
const DECAY_MS: f32 = 10_000.0;

/// How long something takes, estimated from what it took.
///
/// The estimate in microseconds, an `f32`, and when it was made, in milliseconds; 0 when there is none. Both in one
/// word, so that it is read and replaced without a lock.
#[derive(Debug, Default)]
pub(super) struct Estimate(AtomicU64);

impl Estimate {
    /// Takes a measurement in. A worse one counts at once, a better one in time, so that neither a slow peer
    /// nor one that fails fast hides behind an average.
    pub(super) fn measure(&self, latency: Duration, now_ms: u64) {
        let sample = latency.as_secs_f32() * 1e6;
        let update = |old: u64| {
            let next = match read(old) {
                Some((estimate, at)) if sample < estimate => {
                    let rest = decay(at, now_ms);
                    estimate * rest + sample * (1.0 - rest)
                }
                _ => sample,
            };
            Some(write(next, now_ms))
        };
        // It never fails: there is always something to write.
        let _ = self.0.fetch_update(Relaxed, Relaxed, update);
    }

    pub(super) fn forget(&self) {
        self.0.store(0, Relaxed);
    }

    /// The estimate as it was when something was last measured.
    pub(super) fn latest(&self) -> Option<Duration> {
        let (estimate, _) = read(self.0.load(Relaxed))?;
        Some(Duration::from_secs_f64(f64::from(estimate) / 1e6))
    }

    /// The estimate, which goes towards zero while there is nothing to measure: a peer that nobody uses has
    /// to be tried again some time.
    pub(super) fn at(&self, now_ms: u64) -> Option<Duration> {
        let (estimate, at) = read(self.0.load(Relaxed))?;
        let micros = f64::from(estimate * decay(at, now_ms));
        Some(Duration::from_secs_f64(micros / 1e6))
    }
}

fn read(word: u64) -> Option<(f32, u32)> {
    let [low, high] = halves(word);
    (word != 0).then_some((f32::from_bits(high), low))
}

fn write(estimate: f32, now_ms: u64) -> u64 {
    let [low, _] = halves(now_ms);
    // A latency of zero is not none.
    u64::from(estimate.max(f32::MIN_POSITIVE).to_bits()) << 32 | u64::from(low)
}

#[expect(clippy::cast_possible_truncation, reason = "the two halves of a word")]
fn halves(word: u64) -> [u32; 2] {
    [word as u32, (word >> 32) as u32]
}

/// What is left after the time since then. The clock wraps after 25 days without a measurement, when an
/// estimate is as good as any.
fn decay(at: u32, now_ms: u64) -> f32 {
    let [now, _] = halves(now_ms);
    #[expect(
        clippy::cast_precision_loss,
        reason = "milliseconds of the last seconds"
    )]
    let elapsed = match now.wrapping_sub(at) {
        // Its reader looked at the clock before it was made.
        elapsed if elapsed > u32::MAX / 2 => 0.0,
        elapsed => elapsed as f32,
    };
    let x = elapsed / DECAY_MS;
    // Most are so recent that two terms of the series are as good as all of them.
    if x < 0.01 {
        1.0 - x + x * x / 2.0
    } else {
        (-x).exp()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn near(latency: Option<Duration>, expected: u64) -> bool {
        let latency = latency.unwrap().as_secs_f64() * 1e3;
        (latency - Duration::from_millis(expected).as_secs_f64() * 1e3).abs() < 1.0
    }

    #[test]
    fn nothing_is_known_before_the_first_measurement() {
        assert_eq!(Estimate::default().at(0), None);
    }

    #[test]
    fn worse_counts_at_once_and_better_in_time() {
        let estimate = Estimate::default();
        estimate.measure(ms(10), 0);
        assert!(near(estimate.at(0), 10));
        estimate.measure(ms(100), 0);
        assert!(near(estimate.at(0), 100));
        estimate.measure(ms(10), 0);
        assert!(near(estimate.at(0), 100));
        estimate.measure(ms(10), 10_000);
        assert!(near(estimate.at(10_000), 43));
    }

    #[test]
    fn estimate_goes_towards_zero_while_nothing_is_measured() {
        let estimate = Estimate::default();
        estimate.measure(ms(100), 0);
        assert!(near(estimate.at(10_000), 37));
        assert!(near(estimate.at(100_000), 0));
    }

    #[test]
    fn what_was_forgotten_is_not_known() {
        let estimate = Estimate::default();
        estimate.measure(ms(100), 0);
        estimate.forget();
        assert_eq!(estimate.at(0), None);
        estimate.measure(ms(10), 0);
        assert!(near(estimate.at(0), 10));
    }

    #[test]
    fn clock_that_was_read_before_the_measurement_makes_it_no_older() {
        let estimate = Estimate::default();
        estimate.measure(ms(100), 10);
        assert!(near(estimate.at(9), 100));
        estimate.measure(ms(10), 9);
        assert!(near(estimate.at(10), 100));
    }

    #[test]
    fn latency_of_zero_is_one() {
        let estimate = Estimate::default();
        estimate.measure(Duration::ZERO, 0);
        assert_eq!(estimate.at(0), Some(Duration::ZERO));
    }
}
