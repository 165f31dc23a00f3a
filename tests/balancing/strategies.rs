use std::collections::HashMap;

use http::HeaderName;
use tower_failover::balance::{ConsistentHash, LeastLoaded, Pick, Random, RoundRobin};

use crate::*;

fn weighted(weights: &[(&'static str, u32)]) -> Vec<Endpoint<Peer>> {
    let endpoints = weights.iter();
    endpoints
        .map(|(name, weight)| well(name).weight(*weight).unwrap())
        .collect()
}

/// How often each answers.
async fn counts(balance: &Balance<Peer>, requests: usize) -> HashMap<String, usize> {
    let mut counts = HashMap::new();
    for name in names(balance, requests).await.split(' ') {
        *counts.entry(name.to_owned()).or_default() += 1;
    }
    counts
}

#[tokio::test]
async fn round_robin_is_exact_and_smooth() {
    let balance = Balance::new(weighted(&[("a", 5), ("b", 1), ("c", 1)])).pick(RoundRobin);
    for _ in 0..10 {
        let round = names(&balance, 7).await;
        assert_eq!(round.matches('a').count(), 5, "{round}");
        assert_eq!(round.matches('b').count(), 1, "{round}");
        assert!(!round.contains("b c") && !round.contains("c b"), "{round}");
    }
}

#[tokio::test]
async fn any_weights_are_exact_over_a_cycle() {
    for weights in [[1, 2, 3], [7, 3, 5], [100, 1, 99], [4, 4, 2]] {
        let named: Vec<_> = ["a", "b", "c"].into_iter().zip(weights).collect();
        let balance = Balance::new(weighted(&named));
        let sum: u32 = weights.iter().sum();
        let counts = counts(&balance, sum as usize * 2).await;
        for (name, weight) in named {
            assert_eq!(counts[name], weight as usize * 2, "{weights:?}");
        }
    }
}

#[tokio::test]
async fn random_is_in_proportion_and_leaves_nobody_out() {
    fastrand::seed(7);
    let balance = Balance::new(weighted(&[("a", 3), ("b", 1)])).pick(Random);
    let counts = counts(&balance, 4_000).await;
    assert!(counts["a"].abs_diff(3_000) < 120, "{counts:?}");
}

#[test]
fn weight_is_from_1_to_256() {
    for wrong in [0, 257, u32::MAX] {
        let error = well("a").weight(wrong).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("weight: {wrong} is not from 1 to 256")
        );
    }
    assert!(well("a").weight(1).is_ok() && well("a").weight(256).is_ok());
}

#[tokio::test]
async fn least_loaded_prefers_the_one_that_has_less_to_do() {
    let hangs = peer("busy", &[Act::Hang]);
    let balance = Balance::new([hangs, well("idle")]).pick(LeastLoaded);
    let mut hanging = Vec::new();
    // Both are alike until one has something to do.
    while hanging.is_empty() {
        let mut sending = Box::pin(async { send(&balance).await });
        if futures_util::poll!(&mut sending).is_pending() {
            hanging.push(sending);
        }
    }
    assert_eq!(names(&balance, 20).await, ["idle"; 20].join(" "));
}

#[tokio::test(start_paused = true)]
async fn peer_that_fails_fast_does_not_look_fast() {
    for act in [Act::Fail, Act::Answer(503), Act::Answer(500)] {
        let balance = Balance::new([peer("bad", &[act]), well("a"), well("b")]);
        let balance = balance.pick(LeastLoaded).eject(0, Duration::ZERO);
        let mut at_bad = 0;
        for _ in 0..300 {
            at_bad += usize::from(send(&balance).await.is_ok_and(|name| name == "bad"));
        }
        assert!(at_bad < 3, "{act:?}: {at_bad}");
        // What strategies make of it is not what is shown.
        assert_eq!(balance.snapshot().peers[0].latency, None, "{act:?}");
    }
}

/// Who answers a request for a key.
async fn at(balance: &Balance<Peer>, key: &str) -> String {
    let request = Request::builder()
        .header("x-key", key)
        .body(Full::default());
    let response = balance.clone().oneshot(request.unwrap()).await.unwrap();
    response.headers()["name"].to_str().unwrap().to_owned()
}

fn by_key() -> ConsistentHash {
    ConsistentHash::header(HeaderName::from_static("x-key"))
}

const NAMES: [&str; 6] = ["a", "b", "c", "d", "e", "f"];

#[tokio::test]
async fn key_stays_with_its_peer_whatever_the_order() {
    let one = Balance::new(NAMES.map(well)).pick(by_key());
    let other = Balance::new(NAMES.into_iter().rev().map(well)).pick(by_key());
    let mut used = std::collections::HashSet::new();
    for key in 0..100 {
        let key = key.to_string();
        let first = at(&one, &key).await;
        assert_eq!(at(&one, &key).await, first);
        assert_eq!(at(&other, &key).await, first);
        used.insert(first);
    }
    assert_eq!(used.len(), NAMES.len(), "all have keys");
}

#[tokio::test]
async fn only_the_keys_of_a_peer_that_goes_move() {
    let before = Balance::new(NAMES.map(well)).pick(by_key());
    let after = Balance::new(NAMES.into_iter().skip(1).map(well)).pick(by_key());
    let mut moved = 0;
    for key in 0..1_000 {
        let key = key.to_string();
        let first = at(&before, &key).await;
        let then = at(&after, &key).await;
        if first == "a" {
            moved += 1;
        } else {
            assert_eq!(then, first);
        }
    }
    assert!((120..220).contains(&moved), "{moved} of 1,000");
}

#[tokio::test]
async fn key_is_found_wherever_it_is_said_to_be() {
    let answers = |pick: ConsistentHash, request: &dyn Fn(u32) -> Request<Body>| {
        let balance = Balance::new(NAMES.map(well)).pick(pick);
        let requests: Vec<_> = [1, 1, 1, 1, 2, 3, 4, 5, 6, 7].map(request).into();
        async move {
            let mut answers = Vec::new();
            for request in requests {
                let response = balance.clone().oneshot(request).await.unwrap();
                answers.push(response.headers()["name"].clone());
            }
            let same = answers[..4].windows(2).all(|pair| pair[0] == pair[1]);
            let spread = answers[4..].iter().any(|answer| *answer != answers[0]);
            (same, spread)
        }
    };
    let cookies = |key: u32| {
        let header = format!("other={}; id=user-{key}; theme=dark", key * 7);
        Request::builder()
            .header("cookie", header)
            .body(Full::default())
            .unwrap()
    };
    assert_eq!(
        answers(ConsistentHash::cookie("id"), &cookies).await,
        (true, true)
    );
    let paths = |key: u32| {
        Request::get(format!("/{key}?time={}", fastrand::u64(..)))
            .body(Full::default())
            .unwrap()
    };
    assert_eq!(answers(ConsistentHash::path(), &paths).await, (true, true));
    let extended = |key: u32| {
        let mut request = Request::new(Full::default());
        request.extensions_mut().insert(u64::from(key));
        request
    };
    let by = ConsistentHash::by(|candidates| candidates.extensions().get::<u64>().copied());
    assert_eq!(answers(by, &extended).await, (true, true));
}

#[tokio::test]
async fn host_is_found_in_the_uri_where_there_is_no_header() {
    let balance = Balance::new(NAMES.map(well)).pick(ConsistentHash::header(http::header::HOST));
    for host in ["a.test", "b.test", "c.test", "d.test:8080"] {
        let h1 = Request::get("/path").header("host", host);
        let h2 = Request::get(format!("https://{host}/path"));
        let mut answers = Vec::new();
        for request in [h1, h2] {
            let request = request.body(Full::default()).unwrap();
            let response = balance.clone().oneshot(request).await.unwrap();
            answers.push(response.headers()["name"].clone());
        }
        assert_eq!(answers[0], answers[1], "{host}");
    }
}

#[tokio::test]
async fn request_without_a_key_is_given_to_each_in_turn() {
    let balance = Balance::new(NAMES.map(well)).pick(by_key());
    assert_eq!(names(&balance, 6).await, NAMES.join(" "));
    let balance = Balance::new(NAMES.map(well)).pick(ConsistentHash::cookie("id"));
    assert_eq!(names(&balance, 6).await, NAMES.join(" "));
}

#[tokio::test(start_paused = true)]
async fn bounded_load_gives_what_is_too_much_to_others() {
    for (bound, at_most) in [(None, 12), (Some(1.25), 3)] {
        let endpoints = NAMES.map(|name| peer(name, &[Act::Hang]));
        let mut pick = by_key();
        if let Some(times) = bound {
            pick = pick.bounded_load(times).unwrap();
        }
        let balance = Balance::new(endpoints).pick(pick);
        let mut sent = Vec::new();
        for _ in 0..12 {
            let mut sending = Box::pin(at(&balance, "hot"));
            assert!(futures_util::poll!(&mut sending).is_pending());
            sent.push(sending);
        }
        let snapshot = balance.snapshot();
        let most = snapshot.peers.iter().map(|peer| peer.in_flight).max();
        assert_eq!(most, Some(at_most), "{bound:?}");
    }
}

#[test]
fn bound_is_from_1_to_100() {
    for wrong in [0.99, 100.1, f64::NAN, -1.0] {
        let error = by_key().bounded_load(wrong).unwrap_err();
        assert_eq!(error.value(), wrong.to_string());
    }
}

#[tokio::test(start_paused = true)]
async fn every_strategy_leaves_out_whom_it_must_and_finds_whom_it_may() {
    let picks: [fn() -> Box<dyn Pick>; 5] = [
        || Box::new(tower_failover::balance::InOrder),
        || Box::new(RoundRobin),
        || Box::new(Random),
        || Box::new(LeastLoaded),
        || Box::new(by_key()),
    ];
    for (number, pick) in picks.into_iter().enumerate() {
        // 63 of 64 cannot be reached.
        let sick = (0..63).map(|n| {
            let service = service_fn(|_: Request<Body>| async {
                Err::<Response<Body>, _>(io::Error::from(io::ErrorKind::ConnectionRefused))
            });
            Endpoint::new(format!("sick-{n}"), Peer::new(service))
        });
        let endpoints = sick.chain([well("well")]);
        let pick = pick();
        let balance = Balance::new(endpoints)
            .pick(move |candidates: &tower_failover::balance::Candidates<'_>| pick.pick(candidates))
            .max_ejected(1.0)
            .unwrap()
            .eject(1, Duration::from_secs(60));
        for key in 0..3_000 {
            let request = Request::builder()
                .header("x-key", key)
                .body(Full::default());
            let _ = balance.clone().oneshot(request.unwrap()).await;
        }
        assert_eq!(
            names(&balance, 9).await,
            ["well"; 9].join(" "),
            "strategy {number}"
        );
    }
}
