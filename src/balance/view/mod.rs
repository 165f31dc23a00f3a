//! The set of peers at one time, as strategies see it: sorted, immutable but for what is counted.

mod group;
mod tier;

use std::sync::Arc;

pub(super) use self::{
    group::{Group, Turns},
    tier::Tier,
};
use super::{endpoint::Place, rules::Rules, standing::Standing};
use crate::trail::Peer;

/// One endpoint's peer and place; its service stands under the same index elsewhere.
#[derive(Clone, Debug)]
pub(super) struct Slot {
    pub(super) standing: Arc<Standing>,
    pub(super) place: Place,
}

impl Slot {
    pub(super) fn peer(&self) -> &Peer {
        &self.place.peer
    }
}

/// The peers, by tier and within a tier by zone.
#[derive(Debug, Default)]
pub(super) struct View {
    slots: Vec<Slot>,
    tiers: Vec<Tier>,
}

impl View {
    /// The slots must be sorted by tier, and within a tier by zone; groups that were there before keep their turns.
    pub(super) fn new(slots: Vec<Slot>, before: &Self) -> Self {
        let mut tiers = Vec::new();
        let mut start = 0;
        for of_tier in slots.chunk_by(|one, other| one.place.tier == other.place.tier) {
            let number = of_tier[0].place.tier;
            let old = before.tiers.iter().find(|tier| tier.number() == number);
            tiers.push(Tier::new(of_tier, start, old));
            start += of_tier.len();
        }
        Self { slots, tiers }
    }

    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    pub(super) fn slots(&self) -> &[Slot] {
        &self.slots
    }

    pub(super) fn tiers(&self) -> &[Tier] {
        &self.tiers
    }

    pub(super) fn of(&self, group: &Group) -> &[Slot] {
        &self.slots[group.range()]
    }

    /// Counts the well peers of each tier anew.
    pub(super) fn count_well(&self) {
        for tier in &self.tiers {
            let slots = self.of(tier.all()).iter();
            tier.set_well(slots.filter(|slot| slot.standing.is_well()).count());
        }
    }

    /// Whether one more peer may be left out: not too many of its tier are, or another tier can take what it
    /// leaves.
    pub(super) fn may_spare(&self, standing: &Standing, rules: &Rules) -> bool {
        // One that is listed several times is one.
        let own = |tier: &Tier| {
            let slots = self.of(tier.all()).iter();
            let own = slots.filter(|slot| std::ptr::eq(&*slot.standing, standing));
            own.count()
        };
        let stands = |tier: &Tier| {
            let out = tier.out() + own(tier);
            out <= rules.most_out_of(tier.len()) && out < tier.len()
        };
        let may_any = rules.most_ejected > 0.0;
        may_any
            && self.tiers.iter().all(|tier| {
                let (own, most) = (own(tier), rules.most_out_of(tier.len()));
                let is_first = tier.out() == 0 && own < tier.len();
                let mut others = self.tiers.iter();
                own == 0
                    || is_first
                    || tier.out() + own <= most
                    || others.any(|other| other.number() != tier.number() && stands(other))
            })
    }
}
