use tower_failover::balance::{InOrder, State, Zone, ZoneOrder};

use crate::*;

fn dead(name: &'static str) -> Endpoint<Peer> {
    peer(name, &[Act::Fail])
}

/// Who answers requests of a zone.
async fn from(balance: &Balance<Peer>, zones: &[&'static str], requests: usize) -> String {
    let mut names = Vec::new();
    for _ in 0..requests {
        let mut request = Request::new(Full::default());
        if !zones.is_empty() {
            request
                .extensions_mut()
                .insert(ZoneOrder::new(zones.iter().copied()));
        }
        let response = balance.clone().oneshot(request).await;
        names.push(response.map_or("-".into(), |response| {
            response.headers()["name"].to_str().unwrap().to_owned()
        }));
    }
    names.join(" ")
}

fn regions() -> [Endpoint<Peer>; 5] {
    [
        well("eu-1").zone("eu"),
        well("us-1").zone("us"),
        well("eu-2").zone("eu"),
        well("asia-1").zone("asia"),
        well("nowhere"),
    ]
}

#[tokio::test]
async fn nearest_zone_comes_first() {
    let balance = Balance::new(regions());
    assert_eq!(from(&balance, &["us"], 3).await, "us-1 us-1 us-1");
    assert_eq!(
        from(&balance, &["eu", "us"], 4).await,
        "eu-1 eu-2 eu-1 eu-2"
    );
    assert_eq!(from(&balance, &["mars", "asia"], 2).await, "asia-1 asia-1");
}

#[tokio::test]
async fn without_a_zone_all_are_alike() {
    let balance = Balance::new(regions());
    let all = from(&balance, &[], 5).await;
    let mut all: Vec<_> = all.split(' ').collect();
    all.sort_unstable();
    assert_eq!(all, ["asia-1", "eu-1", "eu-2", "nowhere", "us-1"]);
    let far = from(&balance, &["mars"], 5).await;
    let mut far: Vec<_> = far.split(' ').collect();
    far.sort_unstable();
    assert_eq!(far, all, "nobody is in that zone");
}

#[tokio::test]
async fn balancers_own_order_stands_behind_the_requests() {
    let balance = Balance::new(regions()).prefer_zones(ZoneOrder::new(["us"]));
    assert_eq!(from(&balance, &[], 2).await, "us-1 us-1");
    assert_eq!(from(&balance, &["asia"], 2).await, "asia-1 asia-1");
    assert_eq!(ZoneOrder::new(["us"]).zones(), [Zone::from("us")]);
}

#[tokio::test(start_paused = true)]
async fn next_zone_takes_over_when_the_nearest_is_out() {
    let peers = [
        dead("eu-1").zone("eu"),
        well("us-1").zone("us"),
        well("asia-1").zone("asia"),
    ];
    let balance = Balance::new(peers).eject(1, Duration::from_secs(9));
    assert_eq!(from(&balance, &["eu", "asia"], 3).await, "- asia-1 asia-1");
}

#[tokio::test]
async fn zone_orders_the_peers_of_a_tier_and_not_the_tiers() {
    let balance = Balance::new([
        well("near-backup").zone("eu").backup(),
        well("far").zone("us"),
    ]);
    assert_eq!(from(&balance, &["eu"], 2).await, "far far");
}

#[tokio::test]
async fn turns_of_one_zone_do_not_shift_those_of_another() {
    let balance = Balance::new([
        well("a").zone("1"),
        well("b").zone("1"),
        well("c").zone("2"),
        well("d").zone("2"),
    ]);
    let mut names = Vec::new();
    for _ in 0..4 {
        names.push(from(&balance, &["1"], 1).await);
        names.push(from(&balance, &["2"], 1).await);
    }
    assert_eq!(names.join(" "), "a c b d a c b d");
}

/// Ten peers and ten backups, of which some of the former are out.
async fn spilling(out: usize, balance: impl Fn(Balance<Peer>) -> Balance<Peer>) -> usize {
    let peers = (0..20).map(|n| {
        let act = if n < out { Act::Fail } else { Act::Answer(200) };
        let service = match act {
            Act::Fail => dead("x"),
            _ => well(if n < 10 { "first" } else { "backup" }),
        };
        let tier = u32::from(n >= 10);
        let inner = Balance::new([service]).eject(0, Duration::ZERO);
        let service = service_fn(move |request: Request<Body>| {
            let inner = inner.clone();
            async move {
                let response = inner.oneshot(request).await.map_err(io::Error::other)?;
                Ok::<_, io::Error>(response.map(|_| Full::default()))
            }
        });
        Endpoint::new(n.to_string(), Peer::new(service)).tier(tier)
    });
    let all = Balance::new(peers)
        .eject(1, Duration::from_secs(60))
        .max_ejected(1.0)
        .unwrap();
    let balance = balance(all);
    let open = || {
        let snapshot = balance.snapshot();
        snapshot
            .peers
            .iter()
            .filter(|peer| peer.state == State::Open)
            .count()
    };
    while open() < out {
        let _ = send(&balance).await;
    }
    let names = names(&balance, 1_000).await;
    names.matches("backup").count()
}

#[tokio::test(start_paused = true)]
async fn tier_keeps_its_traffic_until_nobody_is_left() {
    let strict = |balance| balance;
    assert_eq!(spilling(9, strict).await, 0);
    assert_eq!(spilling(10, strict).await, 1_000);
}

#[tokio::test(start_paused = true)]
async fn traffic_spills_over_little_by_little() {
    fastrand::seed(11);
    let spill = |balance: Balance<Peer>| balance.spill_over(0.5).unwrap();
    assert_eq!(spilling(5, spill).await, 0);
    let some = spilling(7, spill).await;
    assert!(some.abs_diff(400) < 50, "{some}");
    assert_eq!(spilling(10, spill).await, 1_000);
}

#[tokio::test(start_paused = true)]
async fn tier_below_the_panic_threshold_is_passed_over_for_one_above_it() {
    let threshold = |balance: Balance<Peer>| balance.panic_threshold(0.5).unwrap();
    assert_eq!(spilling(5, threshold).await, 0);
    assert_eq!(spilling(6, threshold).await, 1_000);
}

#[tokio::test(start_paused = true)]
async fn health_is_not_believed_where_too_few_are_well() {
    let peers = || [dead("a"), dead("b"), well("c"), well("d")];
    for (threshold, answered) in [(0.5, 8), (0.75, 4)] {
        let balance = Balance::new(peers()).eject(1, Duration::from_secs(60));
        let balance = balance.panic_threshold(threshold).unwrap();
        names(&balance, 4).await;
        let names = names(&balance, 8).await;
        assert_eq!(
            names.split(' ').filter(|name| *name != "-").count(),
            answered,
            "{names}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn peer_that_is_back_starts_slowly_where_that_is_asked_for() {
    fastrand::seed(3);
    let second = Duration::from_secs(1);
    for (slow, expected) in [(Duration::ZERO, 500), (second * 100, 50)] {
        let acts = [Act::Fail, Act::Answer(200)];
        let balance = Balance::new([peer("a", &acts), well("b")]).slow_start(slow);
        let balance = balance.breaker(
            tower_failover::balance::Breaker::new()
                .failures(1)
                .successes(1)
                .open_for(second),
        );
        assert_eq!(names(&balance, 1).await, "-");
        tokio::time::advance(second).await;
        while balance.snapshot().peers[0].state != State::Closed {
            let _ = send(&balance).await;
        }
        let answered = names(&balance, 1_000).await.matches('a').count();
        assert!(
            answered.abs_diff(expected) < 30,
            "{answered} after {slow:?}"
        );
        tokio::time::advance(second * 50).await;
        let answered = names(&balance, 1_000).await.matches('a').count();
        let expected = if slow.is_zero() { 500 } else { 250 };
        assert!(
            answered.abs_diff(expected) < 40,
            "{answered} halfway through {slow:?}"
        );
        tokio::time::advance(second * 50).await;
        let answered = names(&balance, 1_000).await.matches('a').count();
        assert!(answered.abs_diff(500) < 20, "{answered} after {slow:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn slow_peer_is_used_when_no_other_is_left() {
    let (balance, handle) = Balance::with_handle([well("a")]);
    let balance = balance.slow_start(Duration::from_secs(100)).pick(InOrder);
    handle.insert(well("b"));
    handle.remove("a");
    assert_eq!(names(&balance, 3).await, "b b b");
}

#[tokio::test(start_paused = true)]
async fn peer_that_starts_slowly_has_its_part_of_what_spills_over() {
    fastrand::seed(5);
    let second = Duration::from_secs(1);
    let (balance, handle) = Balance::with_handle([dead("a"), well("b"), well("c").backup()]);
    let balance = balance.eject(1, second * 1_000).slow_start(second * 100);
    let balance = balance.spill_over(1.0).unwrap();
    names(&balance, 4).await;
    handle.insert(well("d").backup());
    tokio::time::advance(second * 50).await;
    let names = names(&balance, 2_000).await;
    let [b, c, d] = ["b", "c", "d"].map(|name| names.matches(name).count());
    assert!(b.abs_diff(1_000) < 100, "{b}");
    assert!(c.abs_diff(750) < 100, "{c}");
    assert!(d.abs_diff(250) < 60, "{d}");
}

#[test]
fn peers_are_in_the_order_given_but_for_those_of_one_zone() {
    let listed = |endpoints: &[Endpoint<Peer>]| {
        let peers = Balance::new(endpoints.to_vec()).peers();
        let names = peers.iter().map(ToString::to_string);
        names.collect::<Vec<_>>().join(" ")
    };
    let endpoints = [well("a").zone("x"), well("b"), well("c").zone("x")];
    assert_eq!(listed(&endpoints), "a c b");
    let [a, b, c] = endpoints;
    let backups = [c.zone("y").backup(), well("d").zone("x").backup()];
    let [c, d] = backups;
    assert_eq!(listed(&[a, b, c, d]), "a b c d");
}

#[tokio::test(start_paused = true)]
async fn backup_does_not_stand_in_for_peers_that_start_slowly() {
    fastrand::seed(7);
    let (balance, handle) = Balance::with_handle([well("a"), well("backup").backup()]);
    let balance = balance.slow_start(Duration::from_secs(100));
    handle.insert(well("b"));
    handle.remove("a");
    assert_eq!(names(&balance, 9).await, ["b"; 9].join(" "));
}
