use std::sync::Arc;

use super::health::Health;
use crate::trail::Peer;

/// A service that reaches one peer.
#[derive(Clone, Debug)]
pub struct Endpoint<S> {
    pub(super) peer: Peer,
    pub(super) service: S,
    pub(super) tier: u32,
}

impl<S> Endpoint<S> {
    /// Names a service by the peer that it reaches.
    pub fn new(peer: impl Into<Arc<str>>, service: S) -> Self {
        Self {
            peer: Peer::new(peer),
            service,
            tier: 0,
        }
    }

    /// Makes it a backup: it is used when no peer of an earlier tier is left.
    #[must_use]
    pub fn backup(self) -> Self {
        self.tier(1)
    }

    /// Sets its tier; by default 0, the first to be used.
    #[must_use]
    pub fn tier(mut self, tier: u32) -> Self {
        self.tier = tier;
        self
    }

    /// The peer it reaches.
    pub fn peer(&self) -> &Peer {
        &self.peer
    }
}

/// An endpoint in a balancer's set, with what is known of its peer.
#[derive(Clone, Debug)]
pub(super) struct Member<S> {
    pub(super) service: S,
    pub(super) tier: u32,
    pub(super) health: Arc<Health>,
}

impl<S> Member<S> {
    pub(super) fn peer(&self) -> &Peer {
        self.health.peer()
    }
}
