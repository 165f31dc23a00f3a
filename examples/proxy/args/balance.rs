//! Which upstream is chosen, and which is left out.

use std::time::Duration;

use tower_failover::{balance::HealthCheck, policy::Statuses};

use super::{
    strategy::Strategy,
    value::{checked, duration, longer_than_none, share, zone},
};

#[derive(clap::Args, Debug)]
pub(crate) struct Choice {
    /// in-order, round-robin, random, least-loaded (of two at random), or the one that a request belongs to:
    /// hash:HEADER, hash-cookie:NAME, hash-path
    #[arg(long, value_name = "STRATEGY", default_value = "round-robin")]
    pub(crate) balance: Strategy,

    /// A zone whose upstreams come first within their tier (repeatable, the nearest first)
    #[arg(long, value_name = "NAME", value_parser = zone)]
    pub(crate) zone: Vec<String>,

    /// The share of well upstreams under which a tier's traffic spills over to the next one, little by little;
    /// 0: when nobody is left [default: 0]
    #[arg(long, value_name = "SHARE", value_parser = share)]
    pub(crate) spill_over: Option<f64>,

    /// The time in which an upstream that is well again comes up to all of its traffic [default: 0s]
    #[arg(long, value_name = "D", value_parser = duration)]
    pub(crate) slow_start: Option<Duration>,
}

#[derive(clap::Args, Debug)]
pub(crate) struct Health {
    /// Failures in a row after which an upstream is left out for a while; 0: never
    #[arg(long, value_name = "N", default_value_t = 5)]
    pub(crate) eject_after: u32,

    /// The time within which that many failures count, whatever comes between, instead of those in a row
    #[arg(long, value_name = "D", value_parser = longer_than_none)]
    pub(crate) eject_within: Option<Duration>,

    /// How long it is left out, longer each time up to 5 minutes
    #[arg(long, value_name = "D", default_value = "30s", value_parser = duration)]
    pub(crate) eject_for: Duration,

    /// The statuses that are failures of an upstream, comma separated [default: 502-504]
    #[arg(long, value_name = "LIST")]
    pub(crate) unhealthy_on: Option<Statuses>,

    /// The largest share of a tier that is left out, one upstream at least unless it is 0 [default: 0.5]
    #[arg(long, value_name = "SHARE", value_parser = share)]
    pub(crate) max_ejected: Option<f64>,

    /// The share of well upstreams under which a tier is passed over and, when all are, health is not believed
    /// [default: 0]
    #[arg(long, value_name = "SHARE", value_parser = share)]
    pub(crate) panic_threshold: Option<f64>,

    /// Ask every upstream for this path, below its URL's own, and leave it out while it does not answer with
    /// 2xx: after 3 checks in a row that failed, until 2 in a row have passed
    #[arg(long, value_name = "PATH", value_parser = health_check)]
    pub(crate) health_path: Option<HealthCheck>,

    /// The time between two checks of an upstream [default: 5s]
    #[arg(long, value_name = "D", requires = "health_path", value_parser = longer_than_none)]
    pub(crate) health_interval: Option<Duration>,

    /// The time a check may take [default: 2s]
    #[arg(long, value_name = "D", requires = "health_path", value_parser = longer_than_none)]
    pub(crate) health_timeout: Option<Duration>,
}

fn health_check(path: &str) -> Result<HealthCheck, String> {
    checked(HealthCheck::new(path))
}
