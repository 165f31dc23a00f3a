use std::{sync::Arc, time::Duration};

use super::{
    pick::{Pick, RoundRobin},
    rules::Rules,
    zone::ZoneOrder,
};

/// How a balancer chooses a peer, and how it judges those that there are.
#[derive(Clone)]
pub(super) struct Settings {
    pub(super) pick: Arc<dyn Pick>,
    pub(super) rules: Rules,
    /// The share of well peers under which a tier's health is not believed.
    pub(super) panic: f64,
    /// The share of well peers under which a tier's traffic begins to spill over.
    pub(super) spill: Option<f64>,
    pub(super) zones: Option<ZoneOrder>,
    /// Whether response times are measured although the strategy does not need them.
    pub(super) measured: bool,
    /// How long a request waits for the first peer.
    pub(super) patience: Duration,
}

impl Settings {
    pub(super) fn is_timed(&self) -> bool {
        self.measured || self.pick.needs_latency()
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            pick: Arc::new(RoundRobin),
            rules: Rules::default(),
            panic: 0.0,
            spill: None,
            zones: None,
            measured: false,
            patience: Duration::from_secs(10),
        }
    }
}
