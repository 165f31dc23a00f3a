//! A peer that fails fast has nothing to do, and must not look fast for that.

use tower_failover::balance::{Breaker, LeastLoaded, RoundRobin};

use super::world::*;

const FAST: [Act; 3] = [Act::Refuse, Act::Reset, Act::Answer(500, ms(0))];

/// The share of all attempts that went to the one of ten peers that fails at once.
async fn share_of_the_failing(name: &str, act: Act, set: impl Fn(Peers) -> Peers) -> f64 {
    fastrand::seed(7);
    let hosts = Host::several(10);
    hosts[3].set(act);
    let peers = set(balance(&hosts));
    let outcomes = Traffic::of(secs(5)).send(&failing_over(&peers)).await;
    let share = shares(&attempts(&hosts))[3];
    let each = attempts_per_request(&outcomes);
    println!(
        "{name}, {act:?}: {:.2} % of the attempts, {each:.3} attempts per request",
        share * 100.0
    );
    share
}

#[tokio::test(start_paused = true)]
async fn peer_that_fails_fast_attracts_nothing_to_the_least_loaded() {
    for act in FAST {
        let least_loaded = |peers: Peers| peers.pick(LeastLoaded).breaker(Breaker::never());
        let share = share_of_the_failing("least loaded, no breaker", act, least_loaded).await;
        assert!(share < 0.01, "{act:?}: {share}");
    }
}

#[tokio::test(start_paused = true)]
async fn breaker_keeps_a_failing_peer_out_of_round_robin() {
    let all = Breaker::new().statuses("500-504".parse().unwrap());
    for act in FAST {
        let breaker = match act {
            Act::Answer(..) => all.clone(),
            _ => Breaker::new(),
        };
        let robin = |peers: Peers| peers.pick(RoundRobin).breaker(breaker.clone());
        let share = share_of_the_failing("round robin, breaker", act, robin).await;
        assert!(share < 0.01, "{act:?}: {share}");
    }
}

#[tokio::test(start_paused = true)]
async fn round_robin_by_itself_does_not_keep_it_out() {
    for act in FAST {
        let robin = |peers: Peers| peers.pick(RoundRobin).breaker(Breaker::never());
        let share = share_of_the_failing("round robin, no breaker", act, robin).await;
        assert!((0.08..0.12).contains(&share), "{act:?}: {share}");
    }
}

/// A 500 may be the request's fault: it opens no breaker that was not asked to.
#[tokio::test(start_paused = true)]
async fn default_breaker_does_not_open_for_500() {
    let robin = |peers: Peers| peers.pick(RoundRobin);
    let share = share_of_the_failing(
        "round robin, default breaker",
        Act::Answer(500, ms(0)),
        robin,
    )
    .await;
    assert!((0.08..0.12).contains(&share), "{share}");
}
