use std::time::Duration;

use super::{Candidates, Pick, random};

/// Times of two peers up to this ratio are alike.
const ALIKE: f64 = 2.0;

/// The less loaded of two that are drawn at random.
///
/// They are drawn in proportion to their weights. The load of a peer is what it has in flight for its weight,
/// and one more, times how long it takes to answer. In flight is every request until the end of its response's
/// body. How long it takes is an estimate in which a worse measurement counts at once and a better one in time.
/// Two that differ by less than a factor of two are alike: that is mostly chance, and weights would mean little
/// if it decided. A failure counts as five seconds, so that a peer that fails fast does not look fast. That is
/// an error of the peer, or a response of 500 or above. Where nothing is known of one of them, what they have
/// in flight is compared alone.
///
/// Two choices are nearly as good as looking at all, cost the same for any number of peers, and do not send all
/// requests of the same moment to the peer that happens to look best.
#[derive(Clone, Copy, Debug, Default)]
pub struct LeastLoaded;

impl Pick for LeastLoaded {
    fn pick(&self, candidates: &Candidates<'_>) -> Option<usize> {
        let (one, other) = random::two(candidates)?;
        let Some(other) = other else {
            return Some(one);
        };
        let known = [one, other].map(|index| candidates.latency(index));
        let latencies = compared(candidates, [one, other], known).unwrap_or([1.0, 1.0]);
        let load = |index: usize, latency: f64| {
            #[expect(clippy::cast_precision_loss, reason = "as many requests as there are")]
            let requests = candidates.in_flight(index) as f64;
            (requests / f64::from(candidates.weight(index).max(1)) + 1.0) * latency
        };
        let [of_one, of_other] = [load(one, latencies[0]), load(other, latencies[1])];
        // Of two that are alike, one that nothing is known of is worth a look.
        let new = known[0].is_some() && known[1].is_none();
        let takes_other = of_other < of_one || (new && of_other <= of_one);
        Some(if takes_other { other } else { one })
    }

    fn needs_latency(&self) -> bool {
        true
    }
}

/// How long two peers take, in seconds, where both are known and differ.
///
/// An estimate that grows old goes down to the other one and no further. Of two that take the same time the one that
/// was not used for longer would else look faster, and peers would be used in turn, whatever they weigh.
fn compared(
    candidates: &Candidates<'_>,
    peers: [usize; 2],
    known: [Option<Duration>; 2],
) -> Option<[f64; 2]> {
    let now = [known[0]?, known[1]?];
    let [one, other] = peers.map(|index| candidates.measured(index));
    let least = one?.min(other?);
    let [one, other] = now.map(|latency| latency.max(least).as_secs_f64());
    let are_alike = one.max(other) <= ALIKE * one.min(other);
    (!are_alike).then_some([one, other])
}
