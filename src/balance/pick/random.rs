use super::{Candidates, Pick};

/// Any, at random, in proportion to the weights.
#[derive(Clone, Copy, Debug, Default)]
pub struct Random;

impl Pick for Random {
    fn pick(&self, candidates: &Candidates<'_>) -> Option<usize> {
        draw(candidates, None)
    }
}

/// Two different ones, in proportion to their weights; the other is `None` where there is but one.
pub(super) fn two(candidates: &Candidates<'_>) -> Option<(usize, Option<usize>)> {
    let one = draw(candidates, None)?;
    Some((one, draw(candidates, Some(one))))
}

fn draw(candidates: &Candidates<'_>, but: Option<usize>) -> Option<usize> {
    let may = |index: usize| Some(index) != but && candidates.may(index);
    // Most of the time one that is drawn may be picked.
    for _ in 0..16 {
        let drawn = fastrand::usize(..candidates.len());
        if is_kept(candidates, drawn) && may(drawn) {
            return Some(drawn);
        }
    }
    // All are looked at; each takes the place of the one before in proportion to their weights.
    let mut drawn = None;
    let mut sum = 0;
    for index in candidates.indices().filter(|index| Some(*index) != but) {
        let weight = u64::from(candidates.weight(index));
        sum += weight;
        if fastrand::u64(..sum) < weight {
            drawn = Some(index);
        }
    }
    drawn
}

/// Whether a peer that was drawn among equals is kept, so that it is in proportion to its weight.
fn is_kept(candidates: &Candidates<'_>, drawn: usize) -> bool {
    let (weight, heaviest) = (candidates.weight(drawn), candidates.heaviest());
    weight == heaviest || fastrand::u32(..heaviest) < weight
}
