use std::{
    ops::Range,
    sync::{Arc, OnceLock, atomic::AtomicUsize},
};

use super::Slot;
use crate::balance::pick::Ring;

/// Peers that a strategy picks among: a tier, or the part of it that is in one zone.
#[derive(Debug)]
pub(in crate::balance) struct Group {
    range: Range<usize>,
    heaviest: u32,
    turns: Arc<Turns>,
    ring: OnceLock<Ring>,
}

/// Whose turn it is: it goes on through updates of the set.
#[derive(Debug, Default)]
pub(in crate::balance) struct Turns {
    /// Of first attempts.
    pub(in crate::balance) first: AtomicUsize,
    /// Of those that another was not there for.
    pub(in crate::balance) substitute: AtomicUsize,
    /// Of further attempts. Were they to take the turns of substitutes, the two could fall into step, and the
    /// same peer always stand in.
    pub(in crate::balance) further: AtomicUsize,
}

impl Group {
    pub(super) fn new(slots: &[Slot], start: usize, before: Option<&Self>) -> Self {
        let heaviest = slots.iter().map(|slot| slot.place.weight).max();
        Self {
            range: start..start + slots.len(),
            heaviest: heaviest.unwrap_or(1),
            turns: before.map_or_else(Arc::default, |group| Arc::clone(&group.turns)),
            ring: OnceLock::new(),
        }
    }

    pub(in crate::balance) fn range(&self) -> Range<usize> {
        self.range.clone()
    }

    /// The largest weight in it.
    pub(in crate::balance) fn heaviest(&self) -> u32 {
        self.heaviest
    }

    pub(in crate::balance) fn turns(&self) -> &Turns {
        &self.turns
    }

    /// Where its peers stand for consistent hashing, which is found out when it is first asked for.
    pub(in crate::balance) fn ring(&self, slots: &[Slot]) -> &Ring {
        self.ring.get_or_init(|| Ring::new(slots))
    }
}
