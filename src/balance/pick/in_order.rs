use super::{Candidates, Pick};

/// The first that may be picked, in the order in which the endpoints were given; those of one zone follow the first of
/// them. Weights mean nothing to it.
#[derive(Clone, Copy, Debug, Default)]
pub struct InOrder;

impl Pick for InOrder {
    fn pick(&self, candidates: &Candidates<'_>) -> Option<usize> {
        candidates.indices().next()
    }
}
