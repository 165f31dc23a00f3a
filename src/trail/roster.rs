use super::{Peer, Trail};

/// A balancer's answer to a question that only matters when something failed.
pub trait Roster: Send + Sync {
    /// Returns whether a peer is available that `trail` has not been to, or `None` if that cannot be
    /// known: the next pick will tell.
    fn has_untried(&self, trail: &Trail) -> Option<bool>;

    /// Returns whether `peer` is one that could be picked again; by default every peer is.
    fn has(&self, peer: &Peer) -> bool {
        let _ = peer;
        true
    }
}
