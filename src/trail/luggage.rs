use std::sync::{Arc, Mutex};

use super::{Trail, record::Record};

/// What the handles of one request share, and bytes of its owner's in the same allocation: there is one trail for
/// each request, and two allocations cost twice as much as one.
pub(super) struct Shared<L: ?Sized> {
    pub(super) record: Mutex<Record>,
    luggage: L,
}

impl<L> Shared<L> {
    pub(super) fn new(luggage: L) -> Self {
        Self {
            record: Mutex::new(Record::first()),
            luggage,
        }
    }
}

impl Trail {
    /// Starts a trail with luggage: `pack` is given room for `length` bytes. Returns whether it was carried; so much that
    /// there is no room for it is not.
    pub(crate) fn begin_with(
        timed: bool,
        length: usize,
        pack: impl FnOnce(&mut [u8]),
    ) -> (Self, bool) {
        let Some(mut shared) = room_for(length) else {
            return (Self::begin(timed), false);
        };
        if let Some(room) = Arc::get_mut(&mut shared) {
            pack(room.luggage.get_mut(..length).unwrap_or_default());
        }
        (Self::of_shared(shared, timed), true)
    }

    /// What was packed when the trail began, and what was left of the room.
    pub(crate) fn luggage(&self) -> &[u8] {
        &self.shared.luggage
    }
}

/// There are few sizes of rooms, and one is copied when it is made: the next larger one is at most twice as large.
fn room_for(length: usize) -> Option<Arc<Shared<[u8]>>> {
    Some(match length {
        0..=128 => room::<128>(),
        129..=256 => room::<256>(),
        257..=512 => room::<512>(),
        513..=1024 => room::<1024>(),
        1025..=2048 => room::<2048>(),
        2049..=4096 => room::<4096>(),
        4097..=8192 => room::<8192>(),
        _ => return None,
    })
}

fn room<const SIZE: usize>() -> Arc<Shared<[u8]>> {
    Arc::new(Shared::new([0; SIZE]))
}
