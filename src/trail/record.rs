use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use super::{Ended, Peer, Rest, Roster, turn::Turn};

/// What all handles of one request share.
///
/// It is made for every request, so that what few of them need is elsewhere.
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
    pub(super) roster: Option<Arc<dyn Roster>>,
    /// `None`: nothing of it is anything but its default.
    history: Option<Box<History>>,
}

/// What there is to say of a request that was tried before, or that several balancers choose for.
#[derive(Default)]
pub(super) struct History {
    /// How often in a row the current attempt's peer was bound to be tried again.
    pub(super) stayed: u32,
    /// The peers that asked to be left alone; a peer without a name is `None`.
    pub(super) resting: Vec<(Option<Peer>, Rest)>,
    /// The earlier attempts, in order.
    pub(super) past: Vec<Visit>,
    /// The balancers on the way to the current attempt's peer.
    pub(super) via: Vec<Peer>,
    /// What is behind peers that are balancers.
    pub(super) behind: Vec<(Peer, Arc<dyn Roster>)>,
    /// The balancers on the way to the only peer that the current attempt may go to.
    pub(super) pinned_via: Vec<Peer>,
    /// The only peer that the current attempt may go to.
    pub(super) pinned: Option<Peer>,
    /// Whether a tried peer may be chosen when no other is left.
    pub(super) or_tried: bool,
    /// What was let after no other was left.
    pub(super) relented: Relented,
    /// Those of the balancers around the one that spoke last.
    pub(super) outer: Vec<Arc<dyn Roster>>,
    /// Balancers that had nobody left for this request.
    pub(super) exhausted: Vec<Peer>,
    /// Held until a peer is chosen, or the request ends.
    pub(super) refusals: Vec<Refusal>,
}

/// The history of a request that has none.
static NONE: History = History {
    stayed: 0,
    resting: Vec::new(),
    past: Vec::new(),
    via: Vec::new(),
    behind: Vec::new(),
    pinned_via: Vec::new(),
    pinned: None,
    or_tried: false,
    relented: Relented::No,
    outer: Vec::new(),
    exhausted: Vec::new(),
    refusals: Vec::new(),
};

/// Which tried peers those may choose who cannot know whether there is an untried one elsewhere.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Relented {
    /// None.
    #[default]
    No,
    /// One that did not ask to be left alone.
    Rested,
    /// Any.
    Any,
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
    /// Of a request in its first attempt.
    pub(super) fn first() -> Self {
        Self {
            current: 1,
            ..Self::default()
        }
    }

    pub(super) fn history(&self) -> &History {
        self.history.as_deref().unwrap_or(&NONE)
    }

    /// To be changed.
    pub(super) fn history_mut(&mut self) -> &mut History {
        self.history.get_or_insert_default()
    }

    #[cfg(feature = "balance")]
    pub(super) fn hold_refusal(&mut self, refusals: &Arc<AtomicUsize>) {
        refusals.fetch_add(1, Ordering::Relaxed);
        let refusal = Refusal(Arc::clone(refusals));
        self.history_mut().refusals.push(refusal);
    }

    /// A balancer, if it is one that has a roster, chooses a peer. One that another has chosen speaks after it.
    pub(super) fn choose(&mut self, peer: &Peer, roster: Option<Arc<dyn Roster>>) {
        let before = self.chosen.replace(peer.clone());
        if let Some(history) = &mut self.history {
            history.refusals.clear();
        }
        let Some(roster) = roster else {
            return;
        };
        let Some(known) = self.roster.replace(Arc::clone(&roster)) else {
            return;
        };
        if Arc::ptr_eq(&known, &roster) {
            return;
        }
        let history = self.history_mut();
        history.outer.push(known);
        if let Some(before) = before {
            history.via.push(before.clone());
            history.behind.retain(|(known, _)| *known != before);
            history.behind.push((before, roster));
        }
    }

    /// A balancer had nobody: it is as if it had not been asked.
    #[cfg(feature = "balance")]
    pub(super) fn exhaust(&mut self, peer: &Peer) {
        self.history_mut().exhausted.push(peer.clone());
        self.chosen = None;
        self.called = false;
    }

    /// Lets more than before, and asks everyone again.
    pub(super) fn relent_further(&mut self) -> bool {
        let history = self.history_mut();
        let more = match history.relented {
            Relented::No => Relented::Rested,
            Relented::Rested => Relented::Any,
            Relented::Any => return false,
        };
        if history.or_tried {
            history.relented = more;
            history.exhausted.clear();
        }
        history.or_tried
    }

    pub(super) fn speaks(&self, attempt: u32) -> bool {
        self.current == attempt && self.ended.is_none()
    }

    pub(super) fn rest(&self, peer: Option<&Peer>) -> Rest {
        let mut resting = self.history().resting.iter();
        let known = resting.find(|(known, _)| known.as_ref() == peer);
        known.map_or(Rest::Not, |(_, rest)| *rest)
    }

    pub(super) fn has_tried(&self, peer: &Peer) -> bool {
        let past = self
            .history()
            .past
            .iter()
            .filter_map(|visit| visit.peer.as_ref());
        past.chain(&self.chosen).any(|tried| tried == peer)
    }
}
