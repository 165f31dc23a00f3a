use std::time::Duration;

use super::Standing;
use crate::balance::rules::Rules;

/// The peers of a set, to one of them: for what must be decided over all.
pub(in crate::balance) trait Siblings: Send + Sync {
    /// Makes a change to a peer that may be counted; `edit` says whether it was made.
    fn change(&self, edit: &mut dyn FnMut() -> bool) -> bool;

    /// Lets a peer go out by `leave`, unless too many are out already; says whether it did.
    fn spare(&self, standing: &Standing, rules: &Rules, leave: &mut dyn FnMut()) -> bool;

    /// Ends the time of the peer that has been out longest, if that is long enough; not more often than that.
    fn hasten(&self, now_ms: u64, least: Duration);

    /// Whether one more peer may be asked whether it is well again, until then at most.
    fn begin_probe(&self, now_ms: u64, until: u64) -> bool;

    /// A peer is no longer asked, that was to be until then.
    fn end_probe(&self, until: u64);
}
