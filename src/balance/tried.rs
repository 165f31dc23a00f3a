use super::view::Slot;
use crate::trail::{Peer, Trail};

/// What a request has come through, where every peer that it could be sent to was tried.
pub(super) struct Tried {
    /// Each as often as it was tried; the last one stands last.
    visits: Vec<Peer>,
    /// Those that asked to be left alone for longer.
    resting: Vec<Peer>,
    /// Those that are of no use to it: they were found not ready, or have nobody left.
    left_out: Vec<Peer>,
}

impl Tried {
    pub(super) fn of(trail: &Trail, passed: &[Peer]) -> Self {
        let visits = trail.peers();
        let is_resting = |peer: &&Peer| trail.is_resting(peer);
        Self {
            resting: visits.iter().filter(is_resting).cloned().collect(),
            visits,
            left_out: [passed, &trail.exhausted()].concat(),
        }
    }

    /// The conditions on the next peer, the strictest first: it is well, did not ask to be left alone, is
    /// not the last one, and of those that remain it was tried least.
    pub(super) fn pick<R>(
        &self,
        slots: &[Slot],
        pick: impl Fn(&dyn Fn(&Slot) -> bool) -> Option<R>,
    ) -> Option<R> {
        self.pick_rested(slots, &pick)
            .or_else(|| self.least(slots, &pick, |_| true))
            // A strategy may want none of those.
            .or_else(|| pick(&|slot| self.is_rested(slot) && !self.is_left_out(slot)))
            .or_else(|| pick(&|slot| !self.is_left_out(slot)))
    }

    /// The same, but none that asked to be left alone.
    pub(super) fn pick_rested<R>(
        &self,
        slots: &[Slot],
        pick: impl Fn(&dyn Fn(&Slot) -> bool) -> Option<R>,
    ) -> Option<R> {
        self.pick_other(slots, &pick)
            .or_else(|| self.least(slots, &pick, |slot| self.is_rested(slot)))
    }

    /// The same, but not the last one.
    pub(super) fn pick_other<R>(
        &self,
        slots: &[Slot],
        pick: impl Fn(&dyn Fn(&Slot) -> bool) -> Option<R>,
    ) -> Option<R> {
        let other = |slot: &Slot| self.is_rested(slot) && self.visits.last() != Some(slot.peer());
        let well = |slot: &Slot| slot.standing.is_well() && other(slot);
        self.least(slots, &pick, well)
            .or_else(|| self.least(slots, &pick, other))
    }

    /// Picks among those that were tried least of those that may be picked.
    fn least<R>(
        &self,
        slots: &[Slot],
        pick: impl Fn(&dyn Fn(&Slot) -> bool) -> Option<R>,
        may: impl Fn(&Slot) -> bool,
    ) -> Option<R> {
        let may = |slot: &Slot| may(slot) && !self.is_left_out(slot);
        let may_be_picked = slots.iter().filter(|slot| may(slot));
        let least = may_be_picked.map(|slot| self.count(slot)).min()?;
        pick(&|slot| may(slot) && self.count(slot) == least)
    }

    fn is_rested(&self, slot: &Slot) -> bool {
        !self.resting.contains(slot.peer())
    }

    fn is_left_out(&self, slot: &Slot) -> bool {
        self.left_out.contains(slot.peer())
    }

    fn count(&self, slot: &Slot) -> usize {
        let visits = self.visits.iter();
        visits.filter(|peer| *peer == slot.peer()).count()
    }
}
