use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use super::{Group, Slot};
use crate::balance::zone::Zone;

/// The peers of one tier, and those of each of its zones.
#[derive(Debug)]
pub(in crate::balance) struct Tier {
    number: u32,
    all: Group,
    zones: Vec<(Zone, Group)>,
    well: AtomicUsize,
}

impl Tier {
    /// `start` is the index of its first slot.
    pub(super) fn new(slots: &[Slot], start: usize, before: Option<&Self>) -> Self {
        let mut zones = Vec::new();
        let mut at = start;
        for of_zone in slots.chunk_by(|one, other| one.place.zone == other.place.zone) {
            if let Some(zone) = &of_zone[0].place.zone {
                let old = before.and_then(|tier| tier.zone(zone));
                zones.push((zone.clone(), Group::new(of_zone, at, old)));
            }
            at += of_zone.len();
        }
        Self {
            number: slots[0].place.tier,
            all: Group::new(slots, start, before.map(Self::all)),
            zones,
            well: AtomicUsize::new(slots.len()),
        }
    }

    pub(in crate::balance) fn number(&self) -> u32 {
        self.number
    }

    pub(in crate::balance) fn len(&self) -> usize {
        self.all.range().len()
    }

    /// Its peers.
    pub(in crate::balance) fn all(&self) -> &Group {
        &self.all
    }

    /// Those of its peers that are in a zone.
    pub(in crate::balance) fn zone(&self, zone: &Zone) -> Option<&Group> {
        let mut zones = self.zones.iter();
        zones
            .find(|(known, _)| known == zone)
            .map(|(_, group)| group)
    }

    pub(in crate::balance) fn has_zones(&self) -> bool {
        !self.zones.is_empty()
    }

    pub(in crate::balance) fn well(&self) -> usize {
        self.well.load(Relaxed)
    }

    pub(in crate::balance) fn out(&self) -> usize {
        self.len().saturating_sub(self.well())
    }

    /// The share of its peers that is well.
    #[expect(clippy::cast_precision_loss, reason = "a share of some peers")]
    pub(in crate::balance) fn share(&self) -> f64 {
        self.well() as f64 / self.len() as f64
    }

    pub(super) fn set_well(&self, well: usize) {
        self.well.store(well, Relaxed);
    }
}
