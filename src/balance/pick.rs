use std::{
    fmt,
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
};

use http::{Extensions, HeaderMap, Uri};

use crate::trail::Peer;

/// Chooses a peer for a request: the counterpart of Pingora's `upstream_peer`.
pub trait Pick: Send + Sync {
    /// Returns the index of one of the candidates, or `None` if none of them will do.
    ///
    /// Exclusion, tiers and health have been dealt with: a candidate that may not be picked is
    /// [`None`](Candidates::get).
    fn pick(&self, candidates: &Candidates<'_>) -> Option<usize>;
}

/// The peers of the tier to pick from.
pub struct Candidates<'a> {
    pub(super) count: usize,
    pub(super) attempt: u32,
    pub(super) get: &'a dyn Fn(usize) -> Option<&'a Peer>,
    pub(super) uri: &'a Uri,
    pub(super) headers: &'a HeaderMap,
    pub(super) extensions: &'a Extensions,
}

impl<'a> Candidates<'a> {
    /// How many peers the tier has, those included that may not be picked. It is never 0.
    #[expect(clippy::len_without_is_empty, reason = "it is never empty")]
    pub fn len(&self) -> usize {
        self.count
    }

    /// The peer at `index`, if it may be picked.
    pub fn get(&self, index: usize) -> Option<&'a Peer> {
        (self.get)(index)
    }

    /// The indices that may be picked, in order.
    pub fn indices(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.count).filter(|index| self.get(*index).is_some())
    }

    /// The number of the request's attempt, counted from 1.
    pub fn attempt(&self) -> u32 {
        self.attempt
    }

    /// The request's URI.
    pub fn uri(&self) -> &'a Uri {
        self.uri
    }

    /// The request's headers.
    pub fn headers(&self) -> &'a HeaderMap {
        self.headers
    }

    /// The request's extensions.
    pub fn extensions(&self) -> &'a Extensions {
        self.extensions
    }
}

impl fmt::Debug for Candidates<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let peers = self.indices().filter_map(|index| self.get(index));
        f.debug_list().entries(peers).finish()
    }
}

/// The first that may be picked, in the order in which the endpoints were given.
#[derive(Clone, Copy, Debug, Default)]
pub struct InOrder;

impl Pick for InOrder {
    fn pick(&self, candidates: &Candidates<'_>) -> Option<usize> {
        candidates.indices().next()
    }
}

/// Each in turn.
///
/// The turn of a peer that may not be picked goes to the others evenly, not to its neighbour; and only
/// first attempts take turns, so that retries do not shift them.
#[derive(Debug, Default)]
pub struct RoundRobin {
    turn: AtomicUsize,
    substitute: AtomicUsize,
}

impl Pick for RoundRobin {
    fn pick(&self, candidates: &Candidates<'_>) -> Option<usize> {
        if candidates.attempt() == 1 {
            let turn = self.turn.fetch_add(1, Relaxed) % candidates.len();
            if candidates.get(turn).is_some() {
                return Some(turn);
            }
        }
        let free = candidates.indices().count();
        let substitute = self.substitute.fetch_add(1, Relaxed);
        candidates.indices().nth(substitute.checked_rem(free)?)
    }
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    fn pick(strategy: &dyn Pick, free: &[bool]) -> Option<usize> {
        pick_again(strategy, 1, free)
    }

    fn pick_again(strategy: &dyn Pick, attempt: u32, free: &[bool]) -> Option<usize> {
        let peer = Peer::new("peer");
        let request = Request::new(());
        strategy.pick(&Candidates {
            count: free.len(),
            attempt,
            get: &|index| free[index].then_some(&peer),
            uri: request.uri(),
            headers: request.headers(),
            extensions: request.extensions(),
        })
    }

    #[test]
    fn in_order_takes_the_first_that_is_free() {
        assert_eq!(pick(&InOrder, &[true, true]), Some(0));
        assert_eq!(pick(&InOrder, &[false, true]), Some(1));
        assert_eq!(pick(&InOrder, &[false, false]), None);
    }

    #[test]
    fn round_robin_takes_each_in_turn() {
        let robin = RoundRobin::default();
        let picked: Vec<_> = (0..6).filter_map(|_| pick(&robin, &[true; 3])).collect();
        assert_eq!(picked, [0, 1, 2, 0, 1, 2]);
        assert_eq!(pick(&robin, &[false; 3]), None);
    }

    #[test]
    fn round_robin_spreads_the_turns_of_an_absent_peer() {
        let robin = RoundRobin::default();
        let mut counts = [0; 4];
        for _ in 0..1_200 {
            counts[pick(&robin, &[true, false, true, true]).unwrap()] += 1;
        }
        assert_eq!(counts, [400, 0, 400, 400]);
    }

    #[test]
    fn retries_do_not_shift_the_turns_of_first_attempts() {
        let robin = RoundRobin::default();
        let mut first = Vec::new();
        for _ in 0..6 {
            let turn = pick(&robin, &[true, true]).unwrap();
            first.push(turn);
            if turn == 0 {
                assert_eq!(pick_again(&robin, 2, &[false, true]), Some(1));
            }
        }
        assert_eq!(first, [0, 1, 0, 1, 0, 1]);
    }
}
