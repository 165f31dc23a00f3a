//! Strategies: who of those that may be picked is.

mod candidates;
mod consistent_hash;
mod in_order;
mod key;
mod least_loaded;
mod random;
mod ring;
mod round_robin;

pub(super) use self::ring::Ring;
pub use self::{
    candidates::Candidates, consistent_hash::ConsistentHash, in_order::InOrder,
    least_loaded::LeastLoaded, random::Random, round_robin::RoundRobin,
};

/// Chooses a peer for a request: the counterpart of Pingora's `upstream_peer`.
///
/// | strategy | whom it picks | cost with `n` peers |
/// |---|---|---|
/// | [`InOrder`] | the first | O(1), and the peers before it that are out |
/// | [`RoundRobin`] | each in turn, by weight | O(1) with equal weights |
/// | [`Random`] | any, by weight | O(1) with equal weights |
/// | [`LeastLoaded`] | the less busy and faster of two | O(1) with equal weights |
/// | [`ConsistentHash`] | the one that a header, a cookie or the path belongs to | O(log n) |
///
/// That is while most of a tier may be picked. Where nearly nobody may be, all of its peers are looked at.
///
/// A closure is a strategy as well:
///
/// ```
/// use tower_failover::balance::{Candidates, Pick, RoundRobin};
///
/// fn check(_: impl Pick) {}
/// check(|candidates: &Candidates<'_>| {
///     let shard = candidates.headers().get("x-shard").and_then(|shard| shard.to_str().ok());
///     let named = candidates.indices().find(|index| {
///         candidates.get(*index).is_some_and(|peer| Some(peer.name()) == shard)
///     });
///     named.or_else(|| RoundRobin.pick(candidates)) // others are better than none
/// });
/// ```
pub trait Pick: Send + Sync {
    /// Returns the index of one of the candidates, or `None` if none of them will do.
    ///
    /// Exclusion, tiers, zones and health have been dealt with: a candidate that may not be picked is
    /// [`None`](Candidates::get). An index of one that may not, or that is none, stands for the next one that may, in a
    /// circle. It may be called several times for a request, with other candidates: after `None`, those of the next zone or
    /// tier, then sick ones too. When it wants none of any, the request fails for want of a
    /// [peer](crate::trail::NoPeer), however many are well.
    fn pick(&self, candidates: &Candidates<'_>) -> Option<usize>;

    /// Whether it asks for [`latency`](Candidates::latency), which is not measured otherwise; by default it does
    /// not.
    fn needs_latency(&self) -> bool {
        false
    }
}

impl<F> Pick for F
where
    F: Fn(&Candidates<'_>) -> Option<usize> + Send + Sync,
{
    fn pick(&self, candidates: &Candidates<'_>) -> Option<usize> {
        self(candidates)
    }
}
