//! How much a peer gets that is well again, and a tier of which some peers are not.

use tower_failover::balance::{Balance, Breaker, LeastLoaded, Pick, Random, RoundRobin};

use super::world::*;

/// What a peer that is well again has of its fair share, second by second.
async fn shares_when_back(pick: impl Pick + 'static, slow_start: bool) -> Vec<f64> {
    fastrand::seed(7);
    let hosts = Host::several(10);
    let peers = balance(&hosts)
        .pick(pick)
        .breaker(Breaker::new().failures(1).open_for(secs(1)));
    let peers = if slow_start {
        peers.slow_start(secs(10))
    } else {
        peers
    };
    let service = failing_over(&peers);
    hosts[0].set(Act::Refuse);
    Traffic::of(ms(100)).send(&service).await;
    hosts[0].set(Act::WELL);
    tokio::time::advance(secs(1)).await;
    let mut counts = Vec::new();
    for _ in 0..12 {
        let before = hosts[0].attempts();
        Traffic::of(secs(1)).send(&service).await;
        counts.push(hosts[0].attempts() - before);
    }
    counts
        .iter()
        .map(|count| f64::from(u32::try_from(*count).unwrap()) / 100.0)
        .collect()
}

fn is_slow_start(shares: &[f64], tolerance: f64) -> bool {
    let grows = (1..).zip(&shares[..10]).all(|(second, share)| {
        let expected = (f64::from(second) - 0.5) / 10.0;
        (share - expected).abs() < tolerance
    });
    grows
        && shares[10..]
            .iter()
            .all(|share| (share - 1.0).abs() < tolerance)
}

#[tokio::test(start_paused = true)]
async fn share_of_a_peer_that_is_well_again_grows() {
    let robin = shares_when_back(RoundRobin, true).await;
    println!("slow start, round robin: {robin:.2?}");
    let random = shares_when_back(Random, true).await;
    println!("slow start, random: {random:.2?}");
    let least = shares_when_back(LeastLoaded, true).await;
    println!("slow start, least loaded: {least:.2?}");
    assert!(is_slow_start(&robin, 0.2), "{robin:?}");
    assert!(is_slow_start(&random, 0.25), "{random:?}");
    // The one of two that has less to do is preferred, which a peer that starts slowly has.
    assert!(is_slow_start(&least, 0.3), "{least:?}");
}

#[tokio::test(start_paused = true)]
async fn share_does_not_grow_where_it_is_whole_at_once() {
    let shares = shares_when_back(RoundRobin, false).await;
    println!("no slow start, round robin: {shares:.2?}");
    assert!(
        shares.iter().all(|share| (share - 1.0).abs() < 0.2),
        "{shares:?}"
    );
    assert!(!is_slow_start(&shares, 0.3));
}

/// What 20 peers keep of their traffic when so many of them are out.
async fn kept(out: usize, spill: Option<f64>) -> f64 {
    fastrand::seed(7);
    let hosts = Host::several(40);
    let (first, second) = hosts.split_at(20);
    let endpoints = first.iter().map(super::world::Host::endpoint);
    let peers = Balance::new(endpoints.chain(second.iter().map(|host| host.endpoint().backup())));
    let peers = peers.eject(1, secs(1_000));
    let peers = match spill {
        Some(threshold) => peers.spill_over(threshold).unwrap(),
        None => peers,
    };
    let service = failing_over(&peers);
    first[..out].iter().for_each(|host| host.set(Act::Refuse));
    while first[..out].iter().any(|host| host.attempts() == 0) {
        Traffic::of(ms(10)).send(&service).await;
    }
    let before = [attempts(first), attempts(second)].map(|counts| counts.iter().sum::<usize>());
    let outcomes = Traffic::of(secs(5)).send(&service).await;
    assert_eq!(lost(&outcomes), 0);
    let after = [attempts(first), attempts(second)].map(|counts| counts.iter().sum::<usize>());
    shares(&[after[0] - before[0], after[1] - before[1]])[0]
}

#[tokio::test(start_paused = true)]
async fn tier_keeps_what_its_well_peers_can_bear() {
    for (out, expected) in [(0, 1.0), (6, 1.0), (13, 0.5), (20, 0.0)] {
        let share = kept(out, Some(0.7)).await;
        println!(
            "{} of 20 well, spilling over under 0.7: the tier keeps {share:.3}",
            20 - out
        );
        assert!((share - expected).abs() < 0.03, "{out} out: {share}");
    }
}

#[tokio::test(start_paused = true)]
async fn tier_does_not_spill_over_unless_it_is_asked_to() {
    for (out, expected) in [(0, 1.0), (13, 1.0), (20, 0.0)] {
        let share = kept(out, None).await;
        assert!((share - expected).abs() < 0.001, "{out} out: {share}");
    }
}
