use std::{
    ops::Deref,
    sync::{Arc, Mutex},
};

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

/// Bytes that were packed when a trail began.
pub(crate) struct Luggage {
    shared: Arc<Shared<[u8]>>,
    length: usize,
}

/// The sizes that there are; few heads are longer than the first.
const SMALL: usize = 512;
const MEDIUM: usize = 2048;
const LARGE: usize = 8192;

impl Trail {
    /// Starts a trail with luggage: `pack` is given room, and returns how much of it was used, or `None` if it is too
    /// little. What does not fit into any room is not carried.
    pub(crate) fn begin_with(
        timed: bool,
        pack: impl Fn(&mut [u8]) -> Option<usize>,
    ) -> (Self, Option<Luggage>) {
        let packed = packed::<SMALL>(&pack)
            .or_else(|| packed::<MEDIUM>(&pack))
            .or_else(|| packed::<LARGE>(&pack));
        let Some(luggage) = packed else {
            return (Self::begin(timed), None);
        };
        let trail = Self::of_shared(Arc::clone(&luggage.shared), timed);
        (trail, Some(luggage))
    }
}

fn packed<const ROOM: usize>(pack: impl Fn(&mut [u8]) -> Option<usize>) -> Option<Luggage> {
    let mut shared = Arc::new(Shared::new([0; ROOM]));
    let length = pack(&mut Arc::get_mut(&mut shared)?.luggage)?;
    Some(Luggage { shared, length })
}

impl Deref for Luggage {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.shared.luggage.get(..self.length).unwrap_or_default()
    }
}
