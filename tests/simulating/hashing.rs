//! Where keys are, and what moves when peers come and go.

use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};

use bytes::Bytes;
use futures_util::FutureExt;
use http::{Request, Response};
use http_body_util::Empty;
use tower::{Service, service_fn};
use tower_failover::balance::{Balance, ConsistentHash, Endpoint};

use super::world::{Host, Traffic, attempts, balance, failing_over, ms, secs, shares};

const KEYS: u64 = 100_000;

/// The peer, by number, that each key belongs to.
fn owners(peers: impl IntoIterator<Item = (usize, u32)>) -> Vec<usize> {
    let chosen = Arc::new(AtomicUsize::new(usize::MAX));
    let endpoints = peers.into_iter().map(|(number, weight)| {
        let chosen = Arc::clone(&chosen);
        let service = service_fn(move |_: Request<()>| {
            chosen.store(number, Relaxed);
            std::future::ready(Ok::<_, Infallible>(Response::new(Empty::<Bytes>::new())))
        });
        Endpoint::new(format!("http://10.0.0.{number}:8080"), service)
            .weight(weight)
            .unwrap()
    });
    let by_key = ConsistentHash::by(|candidates| candidates.extensions().get::<u64>().copied());
    let mut balance = Balance::new(endpoints).pick(by_key);
    let ask = |key: u64| {
        let mut request = Request::new(());
        request.extensions_mut().insert(key);
        balance.call(request).now_or_never().unwrap().unwrap();
        chosen.load(Relaxed)
    };
    (0..KEYS).map(ask).collect()
}

fn equal(peers: impl IntoIterator<Item = usize>) -> Vec<usize> {
    owners(peers.into_iter().map(|number| (number, 1)))
}

fn counts(owners: &[usize], peers: usize) -> Vec<usize> {
    let mut counts = vec![0; peers];
    owners.iter().for_each(|owner| counts[*owner] += 1);
    counts
}

#[expect(clippy::cast_precision_loss, reason = "as many keys as there are")]
fn moved(before: &[usize], after: &[usize], ours: usize) -> f64 {
    let moved = before
        .iter()
        .zip(after)
        .filter(|(before, after)| before != after);
    // Nothing moves between peers that stay.
    assert!(
        moved
            .clone()
            .all(|(before, after)| [*before, *after].contains(&ours))
    );
    moved.count() as f64 / KEYS as f64
}

#[test]
fn peer_that_comes_or_goes_moves_its_own_keys_alone() {
    for (peers, ideal) in [(10_usize, 0.1), (100, 0.01)] {
        let with = equal(0..peers);
        let gone = peers / 2;
        let without = equal((0..peers).filter(|number| *number != gone));
        // Coming is leaving, seen from the other end.
        let [left, came] = [moved(&with, &without, gone), moved(&without, &with, gone)];
        let shares = shares(&counts(&with, peers));
        let most = shares.iter().copied().fold(0.0, f64::max) / ideal;
        println!(
            "one of {peers} goes: {:.3} % of the keys move, {:.2} times its share; most loaded {most:.3} of the mean",
            left * 100.0,
            left / ideal
        );
        assert!(left <= 1.5 * ideal && came <= 1.5 * ideal, "{left}");
        assert!(most < 1.25, "{most}");
    }
}

#[test]
fn shares_are_as_the_weights_say() {
    let weights = 1..=10;
    let sum: u32 = weights.clone().sum();
    let owners = owners((0..).zip(weights.clone()));
    let shares = shares(&counts(&owners, 10));
    let ratios: Vec<_> = shares
        .iter()
        .zip(weights)
        .map(|(share, weight)| share * f64::from(sum) / f64::from(weight))
        .collect();
    println!("weights 1 to 10: {ratios:.3?} of what they say");
    assert!(
        ratios.iter().all(|ratio| (ratio - 1.0).abs() < 0.15),
        "{ratios:?}"
    );
}

/// So many times the mean of ten peers, rounded up.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "as many requests as there are"
)]
fn allowed(times: f64, all: usize) -> usize {
    (times * all as f64 / 10.0).ceil() as usize
}

/// The most that a peer has in flight when all requests have one key; never more than the bound allows.
async fn most_at_once(bound: Option<f64>) -> usize {
    fastrand::seed(7);
    let hosts = Host::several(10);
    hosts
        .iter()
        .for_each(|host| host.set(super::world::Act::Answer(200, secs(60))));
    let pick = ConsistentHash::path();
    let pick = match bound {
        Some(times) => pick.bounded_load(times).unwrap(),
        None => pick,
    };
    let service = failing_over(&balance(&hosts).pick(pick));
    let most = || hosts.iter().map(|host| host.in_flight()).max().unwrap_or(0);
    let watch = async {
        for _ in 0..1_000 {
            tokio::time::sleep(ms(1)).await;
            let all: usize = hosts.iter().map(|host| host.in_flight()).sum();
            let allowed = bound.map_or(usize::MAX, |times| allowed(times, all));
            assert!(most() <= allowed, "{} of {all}", most());
        }
        most()
    };
    let (_, most) = tokio::join!(Traffic::of(secs(1)).send(&service), watch);
    println!("one key, {bound:?}: {:?}", attempts(&hosts));
    most
}

#[tokio::test(start_paused = true)]
async fn bound_keeps_a_hot_key_from_one_peer() {
    let most = most_at_once(Some(1.25)).await;
    assert!(most <= 125, "{most}");
}

#[tokio::test(start_paused = true)]
async fn hot_key_does_not_leave_its_peer_without_a_bound() {
    assert_eq!(most_at_once(None).await, 1_000);
}
