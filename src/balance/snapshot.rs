use std::time::Duration;

use tokio::time::Instant;

use super::{
    endpoint::Place,
    standing::Standing,
    state::{Fault, State},
    zone::Zone,
};
use crate::trail::Peer;

/// What a balancer's peers are like at one moment.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Snapshot {
    /// The peers, by tier and zone; behind them those that were taken out and still have something to do.
    pub peers: Vec<PeerSnapshot>,
    /// The last error of discovery, if there was no update since: the set is as it was before.
    pub discovery_error: Option<DiscoveryError>,
}

/// What one peer is like.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct PeerSnapshot {
    /// Which one it is.
    pub peer: Peer,
    /// Its tier; none when it is no longer in the set.
    pub tier: Option<u32>,
    /// Its zone, if it has one and is still in the set.
    pub zone: Option<Zone>,
    /// Its weight, from 1 to 256; 0 when it is no longer in the set.
    pub weight: u32,
    /// How it stands.
    pub state: State,
    /// How many requests it has, until the end of their responses' bodies.
    pub in_flight: usize,
    /// How long it takes until a response's head, where that is [measured](super::Balance::measure_latency): an
    /// estimate in which a worse measurement counts at once and a better one in time. Failures and responses of 500
    /// and above are not in it, though strategies take them for slow.
    pub latency: Option<Duration>,
    /// How often its breaker has opened.
    pub ejections: u64,
    /// How much longer it is left out, while its breaker is open.
    pub out_for: Option<Duration>,
    /// How often it failed a request. Active health checks are not counted.
    pub failures: u64,
    /// What it did when it failed last, a request or an active health check.
    pub last_failure: Option<LastFailure>,
}

/// A failure of a peer.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct LastFailure {
    /// What it did.
    pub fault: Fault,
    /// How long ago.
    pub ago: Duration,
}

/// An error of discovery.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct DiscoveryError {
    /// What discovery said.
    pub error: String,
    /// How long ago.
    pub ago: Duration,
}

impl PeerSnapshot {
    pub(super) fn of(standing: &Standing, place: Option<&Place>, now: Instant) -> Self {
        let (ejections, failures, last_failure) = standing.history();
        let state = standing.state();
        Self {
            peer: standing.peer().clone(),
            tier: place.map(|place| place.tier),
            zone: place.and_then(|place| place.zone.clone()),
            weight: place.map_or(0, |place| place.weight),
            state,
            in_flight: standing.in_flight(),
            latency: standing.response_time(now),
            ejections,
            out_for: standing.out_for(now).filter(|_| state == State::Open),
            failures,
            last_failure: last_failure.map(|(fault, at)| LastFailure {
                fault,
                ago: now.saturating_duration_since(at),
            }),
        }
    }
}
