use http::Request;
use tokio::time::Instant;

use super::{settings::Settings, standing::Probe};
use crate::trail::{Freedom, Peer, Trail};

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
    pub(super) probe: Option<Box<Probe>>,
    /// When it was chosen, if somebody looked at the clock.
    pub(super) at: Option<Instant>,
}

/// A request that a peer is chosen for.
pub(super) struct Asked<'a, B> {
    pub(super) settings: &'a Settings,
    pub(super) request: &'a Request<B>,
    /// What the request has been through, if somebody keeps account.
    pub(super) trail: Option<&'a Trail>,
    /// Those that were found not ready for it.
    pub(super) passed: &'a [Peer],
    pub(super) freedom: Freedom,
    /// The last level that is worth it.
    pub(super) down_to: Level,
}
