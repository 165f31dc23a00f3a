//! Times.

use std::time::Instant;

use super::{requests::Shape, stacks};

const ROUNDS: usize = 21;
const CALLS: i64 = 20_000;

/// The median time of a call through each stack above the first, in nanoseconds; the first's own is 0.
pub(crate) fn medians(stacks: &[&str], shape: &Shape) -> Vec<f64> {
    let mut above = vec![Vec::new(); stacks.len()];
    // The first round warms up.
    for round in 0..=ROUNDS {
        let times = stacks.iter().map(|stack| {
            let begun = Instant::now();
            stacks::run(stack, shape, CALLS);
            #[expect(clippy::cast_precision_loss, reason = "a few milliseconds")]
            let each = begun.elapsed().as_nanos() as f64 / CALLS as f64;
            each
        });
        let times: Vec<_> = times.collect();
        if round > 0 {
            for (above, time) in above.iter_mut().zip(&times) {
                above.push(time - times[0]);
            }
        }
    }
    let median = |mut times: Vec<f64>| {
        times.sort_by(f64::total_cmp);
        times[times.len() / 2]
    };
    above.into_iter().map(median).collect()
}
