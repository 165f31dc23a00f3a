use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use super::{Ended, Peer, Rest, Roster, turn::Turn};

/// What all handles of one request share.
#[derive(Default)]
pub(super) struct Record {
    /// The attempt that may write, counted from 1.
    pub(super) current: u32,
    /// The current attempt's peer.
    pub(super) chosen: Option<Peer>,
    /// Whether that peer's endpoint was called, and not only waited for.
    pub(super) called: bool,
    /// Whose turn it is in the current attempt.
    pub(super) turn: Turn,
    /// Whether the current attempt's connection had served another request before.
    pub(super) reused: Option<bool>,
    /// Why the current attempt was ended.
    pub(super) ended: Option<Ended>,
    /// Whether the peer of the current attempt has had its time, and was given more.
    pub(super) overdue: bool,
    /// How often in a row the current attempt's peer was bound to be tried again.
    pub(super) stayed: u32,
    /// The peers that asked to be left alone; a peer without a name is `None`.
    pub(super) resting: Vec<(Option<Peer>, Rest)>,
    /// The earlier attempts, in order.
    pub(super) past: Vec<Visit>,
    /// The only peer that the current attempt may go to.
    pub(super) pinned: Option<Peer>,
    /// Whether a tried peer may be chosen when no other is left.
    pub(super) or_tried: bool,
    /// Whether whoever picks blindly has shown that no other is left.
    pub(super) relented: bool,
    pub(super) roster: Option<Arc<dyn Roster>>,
    /// Those of the balancers around the one that spoke last.
    pub(super) outer: Vec<Arc<dyn Roster>>,
    /// Balancers that had nobody left for this request.
    pub(super) exhausted: Vec<Peer>,
    /// Held until a peer is chosen, or the request ends.
    pub(super) refusals: Vec<Refusal>,
}

/// Counts a refusal at the peer that refused, for as long as it lives.
pub(super) struct Refusal(Arc<AtomicUsize>);

impl Drop for Refusal {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

pub(super) struct Visit {
    pub(super) peer: Option<Peer>,
    pub(super) ended: Ended,
}

impl Record {
    #[cfg(feature = "balance")]
    pub(super) fn hold_refusal(&mut self, refusals: &Arc<AtomicUsize>) {
        refusals.fetch_add(1, Ordering::Relaxed);
        self.refusals.push(Refusal(Arc::clone(refusals)));
    }

    pub(super) fn speaks(&self, attempt: u32) -> bool {
        self.current == attempt && self.ended.is_none()
    }

    pub(super) fn rest(&self, peer: Option<&Peer>) -> Rest {
        let known = self
            .resting
            .iter()
            .find(|(known, _)| known.as_ref() == peer);
        known.map_or(Rest::Not, |(_, rest)| *rest)
    }

    pub(super) fn has_tried(&self, peer: &Peer) -> bool {
        let past = self.past.iter().filter_map(|visit| visit.peer.as_ref());
        past.chain(&self.chosen).any(|tried| tried == peer)
    }
}
