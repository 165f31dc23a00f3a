use super::endpoint::Member;
use crate::trail::{Peer, Trail};

/// What a request has come through, where every peer that it could be sent to was tried.
pub(super) struct Tried {
    /// Each as often as it was tried; the last one stands last.
    visits: Vec<Peer>,
    /// Those that asked to be left alone for longer.
    resting: Vec<Peer>,
}

impl Tried {
    pub(super) fn of(trail: &Trail) -> Self {
        let visits = trail.peers();
        let is_resting = |peer: &&Peer| trail.is_resting(peer);
        Self {
            resting: visits.iter().filter(is_resting).cloned().collect(),
            visits,
        }
    }

    /// The conditions on the next peer, the strictest first: it is well, did not ask to be left alone, is
    /// not the last one, and of those that remain it was tried least.
    pub(super) fn pick<S, R>(
        &self,
        members: &[Member<S>],
        pick: impl Fn(&dyn Fn(&Member<S>) -> bool) -> Option<R>,
    ) -> Option<R> {
        let well = |member: &Member<S>| !member.health.is_ejected();
        let rested = |member: &Member<S>| !self.resting.contains(member.peer());
        let other = |member: &Member<S>| self.visits.last() != Some(member.peer());
        let least = |may: &dyn Fn(&Member<S>) -> bool| {
            let may_be_picked = members.iter().filter(|member| may(member));
            let least = may_be_picked.map(|member| self.count(member)).min()?;
            pick(&|member| may(member) && self.count(member) == least)
        };
        least(&|member| well(member) && rested(member) && other(member))
            .or_else(|| least(&|member| rested(member) && other(member)))
            .or_else(|| least(&rested))
            .or_else(|| least(&|_| true))
            // A strategy may want none of those.
            .or_else(|| pick(&rested))
            .or_else(|| pick(&|_| true))
    }

    fn count<S>(&self, member: &Member<S>) -> usize {
        let visits = self.visits.iter();
        visits.filter(|peer| *peer == member.peer()).count()
    }
}
