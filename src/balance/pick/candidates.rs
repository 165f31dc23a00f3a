use std::{fmt, time::Duration};

use http::{Extensions, HeaderMap, Method, Uri};

use crate::{
    balance::{
        clock::Clock,
        pick::Ring,
        view::{Group, Slot, Turns},
    },
    trail::Peer,
};

/// The peers to pick from: those of a tier, or of one of its zones.
pub struct Candidates<'a> {
    pub(in crate::balance) slots: &'a [Slot],
    pub(in crate::balance) group: &'a Group,
    pub(in crate::balance) may: &'a dyn Fn(&Slot) -> bool,
    pub(in crate::balance) clock: &'a Clock,
    pub(in crate::balance) attempt: u32,
    pub(in crate::balance) method: &'a Method,
    pub(in crate::balance) uri: &'a Uri,
    pub(in crate::balance) headers: &'a HeaderMap,
    pub(in crate::balance) extensions: &'a Extensions,
}

impl<'a> Candidates<'a> {
    /// How many peers there are, those included that may not be picked. It is never 0.
    #[expect(clippy::len_without_is_empty, reason = "it is never empty")]
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// The peer at `index`, if it may be picked.
    pub fn get(&self, index: usize) -> Option<&'a Peer> {
        let slot = self.slots.get(index)?;
        (self.may)(slot).then(|| slot.peer())
    }

    /// The indices that may be picked, in order.
    pub fn indices(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.len()).filter(|index| self.may(*index))
    }

    /// The weight of the peer at `index`, from 1 to 256; 0 where there is none.
    pub fn weight(&self, index: usize) -> u32 {
        self.slots.get(index).map_or(0, |slot| slot.place.weight)
    }

    /// How many requests the peer at `index` has, until the end of their responses' bodies.
    pub fn in_flight(&self, index: usize) -> usize {
        let slot = self.slots.get(index);
        slot.map_or(0, |slot| slot.standing.in_flight())
    }

    /// How long the peer at `index` takes until a response's head, as far as is known; `None` where nothing is,
    /// where the strategy does not [need](super::Pick::needs_latency) it, or where the peer is asked whether it
    /// is well again.
    ///
    /// A worse measurement counts at once, a better one in time (63 % of it in 10 seconds). A failure counts as
    /// [a long time](super::LeastLoaded).
    pub fn latency(&self, index: usize) -> Option<Duration> {
        let slot = self.slots.get(index)?;
        // Else one that failed would look slow for a minute, and nobody would ask it.
        if !slot.standing.is_well() {
            return None;
        }
        slot.standing.latency(self.clock.now())
    }

    /// The number of the request's attempt, counted from 1.
    pub fn attempt(&self) -> u32 {
        self.attempt
    }

    /// The request's method.
    pub fn method(&self) -> &'a Method {
        self.method
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

    /// Whether the peer at `index` may be picked.
    pub(in crate::balance) fn may(&self, index: usize) -> bool {
        self.slots.get(index).is_some_and(|slot| (self.may)(slot))
    }

    /// The [`latency`](Self::latency) as it was when it was last measured.
    pub(super) fn measured(&self, index: usize) -> Option<Duration> {
        let slot = self.slots.get(index)?;
        slot.standing.measured()
    }

    pub(super) fn heaviest(&self) -> u32 {
        self.group.heaviest()
    }

    pub(super) fn turns(&self) -> &'a Turns {
        self.group.turns()
    }

    pub(super) fn ring(&self) -> &'a Ring {
        self.group.ring(self.slots)
    }
}

impl fmt::Debug for Candidates<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let peers = self.indices().filter_map(|index| self.get(index));
        f.debug_list().entries(peers).finish()
    }
}
