use http::Request;
use tokio::time::Instant;

use super::{settings::Settings, standing::Probe};
use crate::trail::Peer;

/// How far down the list of those that would be best a choice was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Level {
    /// A peer that is well, of a tier that is well enough; one that may be well again only now and then, and one
    /// that starts slowly as well, unless nobody else of its tier is there.
    Best,
    /// Any peer that is well.
    Well,
    /// Any peer that was not tried.
    Untried,
    /// Any peer.
    Tried,
}

/// What was chosen: the index of a slot.
pub(super) struct Choice {
    pub(super) index: usize,
    pub(super) level: Level,
    pub(super) probe: Option<Probe>,
    /// When it was chosen, if somebody looked at the clock.
    pub(super) at: Option<Instant>,
}

/// A request that a peer is chosen for.
pub(super) struct Asked<'a, B> {
    pub(super) settings: &'a Settings,
    pub(super) request: &'a Request<B>,
    /// Those that were found not ready for it.
    pub(super) passed: &'a [Peer],
    /// Whether another balancer has chosen this one.
    pub(super) inner: bool,
    /// The last level that is worth it.
    pub(super) down_to: Level,
}
