use std::sync::Arc;

use super::zone::Zone;
use crate::{ConfigError, trail::Peer};

/// The most that an endpoint can weigh.
const HEAVIEST: u32 = 256;

/// A service that reaches one peer, and how much of the traffic it is there for.
#[derive(Clone, Debug)]
pub struct Endpoint<S> {
    pub(super) service: S,
    pub(super) place: Place,
}

/// Where an endpoint stands among the others.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) peer: Peer,
    pub(super) tier: u32,
    pub(super) zone: Option<Zone>,
    pub(super) weight: u32,
}

impl<S> Endpoint<S> {
    /// Names a service by the peer that it reaches.
    pub fn new(peer: impl Into<Arc<str>>, service: S) -> Self {
        Self {
            service,
            place: Place {
                peer: Peer::new(peer),
                tier: 0,
                zone: None,
                weight: 1,
            },
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
        self.place.tier = tier;
        self
    }

    /// Sets its zone: a region, a rack, whatever some requests are nearer to than others. By default it
    /// has none.
    ///
    /// Within a tier, a request's [preferred zones](super::ZoneOrder) come first.
    #[must_use]
    pub fn zone(mut self, zone: impl Into<Zone>) -> Self {
        self.place.zone = Some(zone.into());
        self
    }

    /// Sets its weight: its share of the traffic in proportion to the others of its tier; by default 1.
    ///
    /// # Errors
    ///
    /// If it is not from 1 to 256, as in HAProxy. A peer that is to take no more requests is
    /// [drained](super::Handle::drain).
    pub fn weight(mut self, weight: u32) -> Result<Self, ConfigError> {
        if !(1..=HEAVIEST).contains(&weight) {
            let expected = format!("from 1 to {HEAVIEST}");
            return Err(ConfigError::new("weight", weight, expected));
        }
        self.place.weight = weight;
        Ok(self)
    }

    /// The peer it reaches.
    pub fn peer(&self) -> &Peer {
        &self.place.peer
    }
}
