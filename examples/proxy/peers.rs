//! The upstreams, and how one of them is chosen.

use hyper::body::Incoming;
use tower_failover::{
    ConfigError, ReplayBody,
    balance::{
        Balance, Breaker, Endpoint, HealthCheck, InOrder, LeastLoaded, Random, RoundRobin, Zone,
        ZoneOrder,
    },
    upstream::{Pool, PoolOptions, Upstream},
};

use super::{
    Peers,
    args::{Args, Choice, Health, Strategy, UpstreamArg},
};

/// The tier of a backup that does not say another.
const BACKUP: u32 = 1;

pub(crate) fn balanced(args: &Args) -> Result<Peers, ConfigError> {
    let pool = PoolOptions::new()
        .connect_timeout(args.connect_timeout)
        .http2(args.http2)
        .build();
    let first = args.upstream.iter().map(|upstream| (upstream, 0));
    let backups = args.backup.iter().map(|upstream| (upstream, BACKUP));
    let endpoints = first
        .chain(backups)
        .map(|(upstream, tier)| endpoint(&pool, upstream, tier));
    let peers = Balance::new(endpoints.collect::<Result<Vec<_>, _>>()?);
    warn_of_strangers(args);
    let mut peers = picked(peers, &args.choice)?;
    peers = judged(peers, &args.health)?;
    if args.admin.is_some() {
        peers = peers.measure_latency();
    }
    Ok(peers)
}

fn endpoint(
    pool: &Pool<ReplayBody<Incoming>>,
    upstream: &UpstreamArg,
    tier: u32,
) -> Result<Endpoint<Upstream<ReplayBody<Incoming>>>, ConfigError> {
    let UpstreamArg {
        url,
        weight,
        tier: own_tier,
        zone,
    } = upstream;
    let mut endpoint = Endpoint::from(pool.upstream(url)?).tier(own_tier.unwrap_or(tier));
    if let Some(weight) = *weight {
        endpoint = endpoint.weight(weight)?;
    }
    if let Some(zone) = zone {
        endpoint = endpoint.zone(zone.as_str());
    }
    Ok(endpoint)
}

/// A zone without an upstream does no harm, so it is no error; mostly it is misspelt.
fn warn_of_strangers(args: &Args) {
    let upstreams = || args.upstream.iter().chain(&args.backup);
    for zone in &args.choice.zone {
        if !upstreams().any(|upstream| upstream.zone.as_ref() == Some(zone)) {
            tracing::warn!(zone, "no upstream is in this zone");
        }
    }
}

fn picked(peers: Peers, flags: &Choice) -> Result<Peers, ConfigError> {
    let Choice {
        balance,
        zone,
        spill_over,
        slow_start,
    } = flags;
    let mut peers = match balance {
        Strategy::InOrder => peers.pick(InOrder),
        Strategy::RoundRobin => peers.pick(RoundRobin),
        Strategy::Random => peers.pick(Random),
        Strategy::LeastLoaded => peers.pick(LeastLoaded),
        Strategy::Hash(hash) => peers.pick(hash.clone()),
    };
    if !zone.is_empty() {
        let zones = zone.iter().map(|name| Zone::from(name.as_str()));
        peers = peers.prefer_zones(ZoneOrder::new(zones));
    }
    if let Some(threshold) = *spill_over {
        peers = peers.spill_over(threshold)?;
    }
    if let Some(period) = *slow_start {
        peers = peers.slow_start(period);
    }
    Ok(peers)
}

fn judged(mut peers: Peers, flags: &Health) -> Result<Peers, ConfigError> {
    let Health {
        eject_after,
        eject_within,
        eject_for,
        unhealthy_on,
        max_ejected,
        panic_threshold,
        health_path: _,
        health_interval: _,
        health_timeout: _,
    } = flags;
    let mut breaker = Breaker::new().open_for(*eject_for);
    breaker = match *eject_within {
        Some(window) => breaker.failures(0).failures_within(*eject_after, window),
        None => breaker.failures(*eject_after),
    };
    if let Some(statuses) = *unhealthy_on {
        breaker = breaker.statuses(statuses);
    }
    if let Some(most) = *max_ejected {
        peers = peers.max_ejected(most)?;
    }
    if let Some(threshold) = *panic_threshold {
        peers = peers.panic_threshold(threshold)?;
    }
    Ok(peers.breaker(breaker))
}

/// How the upstreams are checked, if they are.
pub(crate) fn check(flags: &Health) -> Result<Option<HealthCheck>, ConfigError> {
    let Some(mut check) = flags.health_path.clone() else {
        return Ok(None);
    };
    if let Some(interval) = flags.health_interval {
        check = check.interval(interval)?;
    }
    if let Some(timeout) = flags.health_timeout {
        check = check.timeout(timeout);
    }
    Ok(Some(check))
}
