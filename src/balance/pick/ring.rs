use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::balance::view::Slot;

/// How many points a key looks from. With ten equal peers, this and [`POINTS`] give the most loaded about 1.1 times its
/// share of many keys, and the least loaded 0.9 times.
const PROBES: u64 = 12;

/// How many points a peer has for each unit of its weight.
const POINTS: u64 = 16;

/// Where peers stand for consistent hashing: multi-probe hashing (Appleton and O'Reilly, 2015).
///
/// A peer has points on the ring, in proportion to its weight. A key looks from several points of its own, and belongs
/// to the peer that is nearest ahead of any. So a peer that comes or goes moves only the keys that are or were
/// its own, the shares are even, and there are few points to keep where a ring of the usual kind needs a
/// hundred a peer and more.
#[derive(Debug)]
pub(in crate::balance) struct Ring {
    /// Sorted.
    points: Vec<Point>,
    /// Where the points of each section of the ring begin: there are about as many sections as points.
    sections: Vec<u32>,
    shift: u32,
}

#[derive(Debug)]
struct Point {
    at: u64,
    index: u32,
}

impl Ring {
    pub(in crate::balance) fn new(slots: &[Slot]) -> Self {
        let mut points: Vec<Point> = Vec::new();
        for (index, slot) in (0_u32..).zip(slots) {
            let name = slot.peer().name().as_bytes();
            let numbers = 0..u64::from(slot.place.weight) * POINTS;
            points.extend(numbers.map(|number| Point {
                at: xxh3_64_with_seed(name, number),
                index,
            }));
        }
        points.sort_unstable_by_key(|point| point.at);
        let bits = points.len().next_power_of_two().trailing_zeros().max(1);
        let shift = u64::BITS - bits;
        let mut sections = vec![0; 1 << bits];
        let mut next = 0;
        for (section, start) in (0_u64..).zip(&mut sections) {
            while points
                .get(next as usize)
                .is_some_and(|point| point.at >> shift < section)
            {
                next += 1;
            }
            *start = next;
        }
        Self {
            points,
            sections,
            shift,
        }
    }

    /// Finds the peer that a key belongs to, of those that may be picked.
    pub(super) fn find(&self, key: u64, may: impl Fn(usize) -> bool) -> Option<usize> {
        let mut best: Option<(u64, u32)> = None;
        for probe in 0..PROBES {
            let from = mix(key, probe);
            let start = self.ahead_of(from);
            let (before, ahead) = self.points.split_at(start);
            for point in ahead.iter().chain(before) {
                let distance = point.at.wrapping_sub(from);
                if best.is_some_and(|(nearest, _)| nearest <= distance) {
                    break;
                }
                if may(point.index as usize) {
                    best = Some((distance, point.index));
                    break;
                }
            }
            // Nobody may be picked.
            best?;
        }
        best.map(|(_, index)| index as usize)
    }

    /// The first point that is not before this place.
    fn ahead_of(&self, from: u64) -> usize {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "there are as many sections"
        )]
        let start = self.sections[(from >> self.shift) as usize] as usize;
        let ahead = &self.points[start..];
        start + ahead.iter().take_while(|point| point.at < from).count()
    }
}

/// One of a key's own points: the key's number is spread over the ring (the finalizer of `SplitMix64`).
fn mix(key: u64, probe: u64) -> u64 {
    let mut z = key.wrapping_add((probe + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
