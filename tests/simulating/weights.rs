//! Weights are shares.

use std::sync::Arc;

use tower_failover::balance::{Balance, LeastLoaded, Pick, Random, RoundRobin};

use super::world::*;

const WEIGHTS: [u32; 3] = [1, 2, 5];
const SHARES: [f64; 3] = [0.125, 0.25, 0.625];

fn weighted(hosts: &[Arc<Host>], weights: &[u32]) -> Peers {
    let endpoints = hosts.iter().zip(weights);
    Balance::new(endpoints.map(|(host, weight)| host.endpoint().weight(*weight).unwrap()))
}

/// What peers of these weights were given, beside one that is out.
async fn counts(pick: impl Pick + 'static, beside: Option<u32>, traffic: Traffic) -> Vec<usize> {
    counts_of(Act::WELL, pick, beside, traffic).await
}

async fn counts_of(
    act: Act,
    pick: impl Pick + 'static,
    beside: Option<u32>,
    traffic: Traffic,
) -> Vec<usize> {
    fastrand::seed(7);
    let hosts = Host::several(4);
    hosts.iter().for_each(|host| host.set(act));
    let weights: Vec<u32> = WEIGHTS.into_iter().chain(beside).collect();
    let peers = weighted(&hosts[..weights.len()], &weights)
        .pick(pick)
        .eject(1, secs(100_000));
    if beside.is_some() {
        hosts[3].set(Act::Refuse);
        while hosts[3].attempts() == 0 {
            Traffic {
                length: ms(10),
                ..Traffic::of(ms(0))
            }
            .send(&failing_over(&peers))
            .await;
        }
    }
    let before = attempts(&hosts[..3]);
    traffic.send(&failing_over(&peers)).await;
    let after = attempts(&hosts[..3]);
    after
        .iter()
        .zip(before)
        .map(|(after, before)| after - before)
        .collect()
}

fn assert_near(name: &str, counts: &[usize]) {
    let got = shares(counts);
    println!("{name}: {counts:?}, {got:.4?} of {SHARES:?}");
    for (share, expected) in got.iter().zip(SHARES) {
        assert!((share - expected).abs() < 0.01, "{name}: {got:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn round_robin_holds_them_exactly() {
    let got = counts(RoundRobin, None, Traffic::of(secs(8))).await;
    assert_eq!(got, [1_000, 2_000, 5_000]);
    let got = counts(RoundRobin, Some(8), Traffic::of(secs(8))).await;
    assert_near("round robin beside one that is out", &got);
}

#[tokio::test(start_paused = true)]
async fn random_holds_them() {
    let got = counts(Random, None, Traffic::of(secs(16))).await;
    assert_near("random", &got);
    let got = counts(Random, Some(8), Traffic::of(secs(16))).await;
    assert_near("random beside one that is out", &got);
}

const LIGHT: Traffic = Traffic {
    per_second: 20,
    length: secs(800),
};

#[tokio::test(start_paused = true)]
async fn least_loaded_holds_them_at_light_load() {
    let got = counts(LeastLoaded, None, LIGHT).await;
    assert_near("least loaded", &got);
    let got = counts(LeastLoaded, Some(8), LIGHT).await;
    assert_near("least loaded beside one that is out", &got);
}

#[tokio::test(start_paused = true)]
async fn least_loaded_holds_them_where_times_vary() {
    for (least, most) in [(8, 12), (2, 30)] {
        let got = counts_of(Act::Vary(least, most), LeastLoaded, None, LIGHT).await;
        assert_near(&format!("least loaded, {least} to {most} ms"), &got);
    }
}

/// What they are compared with.
#[tokio::test(start_paused = true)]
async fn peers_without_weights_are_equal() {
    fastrand::seed(7);
    let hosts = Host::several(3);
    let peers = balance(&hosts).pick(Random);
    Traffic::of(secs(12)).send(&failing_over(&peers)).await;
    let got = shares(&attempts(&hosts));
    println!("random without weights: {got:.4?}");
    assert!(
        got.iter().all(|share| (share - 1.0 / 3.0).abs() < 0.01),
        "{got:?}"
    );
}
