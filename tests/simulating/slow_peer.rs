//! A peer that is ten times slower than the others.

use std::{sync::Arc, time::Duration};

use tower_failover::balance::{LeastLoaded, Pick, Random, RoundRobin};

use super::world::*;

/// The 99th percentile of ten peers' response times, of which some are slow.
async fn p99(name: &str, pick: impl Pick + 'static, slow: usize) -> Duration {
    fastrand::seed(7);
    let hosts = Host::several(10);
    let slow: Vec<Arc<Host>> = hosts[..slow].to_vec();
    slow.iter()
        .for_each(|host| host.set(Act::Answer(200, ms(100))));
    let peers = balance(&hosts).pick(pick);
    let outcomes = Traffic::of(secs(10)).send(&failing_over(&peers)).await;
    let [p50, p99] = [50, 99].map(|percent| percentile(&outcomes, percent));
    let slow_share: usize = attempts(&slow).iter().sum();
    println!(
        "{name}, {} slow: p50 {p50:?}, p99 {p99:?}, {slow_share} of {} attempts at slow peers",
        slow.len(),
        outcomes.len()
    );
    assert_eq!(lost(&outcomes), 0);
    p99
}

#[tokio::test(start_paused = true)]
async fn least_loaded_hides_a_slow_peer() {
    let healthy = p99("least loaded", LeastLoaded, 0).await;
    let one_slow = p99("least loaded", LeastLoaded, 1).await;
    assert!(one_slow <= 2 * healthy, "{one_slow:?}, {healthy:?}");
}

#[tokio::test(start_paused = true)]
async fn round_robin_and_chance_do_not_hide_it() {
    let healthy = p99("round robin", RoundRobin, 0).await;
    let robin = p99("round robin", RoundRobin, 1).await;
    let random = p99("random", Random, 1).await;
    assert!(
        robin > 2 * healthy && random > 2 * healthy,
        "{robin:?}, {random:?}, {healthy:?}"
    );
}
