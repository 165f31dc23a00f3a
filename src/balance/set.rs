use std::{fmt, sync::Arc};

use arc_swap::ArcSwap;
use http::Request;

use super::{
    endpoint::{Endpoint, Member},
    health::Health,
    pick::{Candidates, Pick},
    tried::Tried,
};
use crate::trail::{Peer, Roster, Trail};

/// The peers.
pub(super) struct Set<S> {
    /// Sorted by tier; replaced as a whole, so that a request reads it without a lock.
    members: ArcSwap<Vec<Member<S>>>,
}

impl<S: Clone> Set<S> {
    /// Replaces the peers. One that was there before keeps its health.
    pub(super) fn replace(&self, endpoints: impl IntoIterator<Item = Endpoint<S>>) {
        let old = self.members.load();
        let mut members: Vec<Member<S>> = Vec::new();
        for endpoint in endpoints {
            let Endpoint {
                peer,
                service,
                tier,
            } = endpoint;
            // A peer that is listed twice has one health.
            let mut known = members.iter().chain(old.iter());
            let health = known.find(|member| *member.peer() == peer).map_or_else(
                || Arc::new(Health::new(peer)),
                |known| Arc::clone(&known.health),
            );
            members.push(Member {
                service,
                tier,
                health,
            });
        }
        members.sort_by_key(|member| member.tier);
        self.members.store(Arc::new(members));
    }

    pub(super) fn peers(&self) -> Vec<Peer> {
        let members = self.members.load();
        members.iter().map(|member| member.peer().clone()).collect()
    }

    /// Picks a peer for a request: of the earliest tier that has one, and a tried or an ejected one
    /// only when no other is left. Of the tried ones, those that were tried least come first, whatever
    /// their tier.
    pub(super) fn pick<B>(&self, pick: &dyn Pick, request: &Request<B>) -> Option<Member<S>> {
        let members = self.members.load();
        let trail = Trail::of(request.extensions());
        let attempt = trail.map_or(1, Trail::attempt);
        let trail = trail.filter(|trail| !trail.is_fresh());
        let untried = |member: &Member<S>| trail.is_none_or(|t| t.allows(member.peer()));
        let well = |member: &Member<S>| !member.health.is_ejected();
        let pick =
            |may: &dyn Fn(&Member<S>) -> bool| pick_where(pick, &members, request, attempt, may);
        let picked = pick(&|member| untried(member) && well(member)).or_else(|| pick(&untried));
        picked.or_else(|| {
            let trail = trail.filter(|trail| trail.allows_tried())?;
            Tried::of(trail).pick(&members, pick)
        })
    }
}

fn pick_where<S: Clone, B>(
    pick: &dyn Pick,
    members: &[Member<S>],
    request: &Request<B>,
    attempt: u32,
    may: &dyn Fn(&Member<S>) -> bool,
) -> Option<Member<S>> {
    members
        .chunk_by(|one, other| one.tier == other.tier)
        // A strategy that counts its picks must not count one that there was nobody for.
        .filter(|tier| tier.iter().any(may))
        .find_map(|tier| {
            let get = |index: usize| {
                let member = tier.get(index).filter(|member| may(member))?;
                Some(member.peer())
            };
            let candidates = Candidates {
                count: tier.len(),
                attempt,
                get: &get,
                uri: request.uri(),
                headers: request.headers(),
                extensions: request.extensions(),
            };
            let index = pick.pick(&candidates)?;
            // A strategy may answer what it may not; it is then as if it had not answered.
            candidates.get(index)?;
            tier.get(index).cloned()
        })
}

impl<S> Default for Set<S> {
    fn default() -> Self {
        Self {
            members: ArcSwap::default(),
        }
    }
}

impl<S: Clone + Send + Sync> Roster for Set<S> {
    fn has(&self, peer: &Peer) -> bool {
        let members = self.members.load();
        members.iter().any(|member| member.peer() == peer)
    }

    fn has_untried(&self, trail: &Trail) -> Option<bool> {
        let members = self.members.load();
        let excluded = trail.excluded();
        let untried = |member: &Member<S>| !excluded.contains(member.peer());
        Some(members.iter().any(untried))
    }
}

impl<S: Clone> fmt::Debug for Set<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.peers()).finish()
    }
}
