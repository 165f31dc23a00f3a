use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use super::{Candidates, Pick};

/// Each in turn, in proportion to the weights.
///
/// It is smooth: a peer of weight 5 beside two of weight 1 has its turns spread among theirs. Over as many rounds as
/// the heaviest weighs, each peer has exactly as many turns as its weight says.
///
/// The turn of a peer that may not be picked goes to the others evenly, not to its neighbour; and only
/// first attempts take turns, so that retries do not shift them.
///
/// All requests to one balancer and its clones take turns together. The cost of a turn is the ratio of the
/// heaviest weight to the mean one.
#[derive(Clone, Copy, Debug, Default)]
pub struct RoundRobin;

impl Pick for RoundRobin {
    fn pick(&self, candidates: &Candidates<'_>) -> Option<usize> {
        let turns = candidates.turns();
        let substitute = if candidates.attempt() == 1 {
            let turn = next(&turns.first, candidates);
            if candidates.may(turn) {
                return Some(turn);
            }
            &turns.substitute
        } else {
            &turns.further
        };
        // A few turns find one, unless nearly nobody may be picked.
        for _ in 0..8 {
            let turn = next(substitute, candidates);
            if candidates.may(turn) {
                return Some(turn);
            }
        }
        let free = candidates.indices().count();
        let substitute = substitute.fetch_add(1, Relaxed);
        candidates.indices().nth(substitute.checked_rem(free)?)
    }
}

/// Whose turn it is.
///
/// In each round a peer comes up if its weight, added up over the rounds, passes another multiple of the
/// heaviest weight. No state but the number of the turn is needed for that, so that no lock is.
fn next(turn: &AtomicUsize, candidates: &Candidates<'_>) -> usize {
    let (peers, heaviest) = (candidates.len(), candidates.heaviest());
    loop {
        let turn = turn.fetch_add(1, Relaxed);
        let index = turn % peers;
        if comes_up(candidates.weight(index), heaviest, turn / peers, index) {
            return index;
        }
    }
}

fn comes_up(weight: u32, heaviest: u32, round: usize, index: usize) -> bool {
    if weight >= heaviest {
        return true;
    }
    let [weight, heaviest] = [weight, heaviest].map(u64::from);
    // Peers of equal weight come up in different rounds.
    let sum = weight * (round as u64 % heaviest) + index as u64 * (heaviest / 2 + 1);
    sum % heaviest >= heaviest - weight
}
