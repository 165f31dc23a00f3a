use tower_failover::balance::{Candidates, InOrder, Pick};

use crate::*;

#[tokio::test]
async fn each_in_turn_by_default() {
    let balance = Balance::new([well("a"), well("b"), well("c")]);
    assert_eq!(names(&balance, 6).await, "a b c a b c");
}

#[tokio::test]
async fn clones_take_turns_together() {
    let balance = Balance::new([well("a"), well("b")]);
    assert_eq!(names(&balance.clone(), 1).await, "a");
    assert_eq!(names(&balance, 1).await, "b");
}

#[tokio::test]
async fn in_order_stays_with_the_first() {
    let balance = Balance::new([well("a"), well("b")]).pick(InOrder);
    assert_eq!(names(&balance, 3).await, "a a a");
}

#[tokio::test]
async fn backup_is_left_alone_while_there_is_another() {
    let balance = Balance::new([well("b").backup(), well("a")]);
    assert_eq!(names(&balance, 3).await, "a a a");
}

#[tokio::test]
async fn tiers_follow_each_other_as_peers_are_tried() {
    use tower::Layer;
    use tower_failover::FailoverLayer;
    let dead = |name| peer(name, &[Act::Fail]);
    let peers = [
        dead("third").tier(2),
        dead("second").backup(),
        dead("first"),
    ];
    let below = Balance::new(peers).map_request(|request: Request<_>| {
        let (parts, _) = request.into_parts();
        Request::from_parts(parts, Full::default())
    });
    let request = Request::new(Full::<Bytes>::default());
    let error = FailoverLayer::default().layer(below).oneshot(request).await;
    let tried: Vec<_> = error.unwrap_err().report().attempts().to_vec();
    let tried: Vec<_> = tried
        .iter()
        .map(|tried| tried.peer().unwrap().name())
        .collect();
    assert_eq!(tried, ["first", "second", "third"]);
}

#[tokio::test]
async fn without_peers_there_is_none() {
    let error = send(&Balance::<Peer>::new::<Endpoint<Peer>>([]))
        .await
        .unwrap_err();
    assert!(error.is::<NoPeer>());
}

#[tokio::test]
async fn strategy_that_picks_nobody_is_no_answer_and_one_that_picks_nowhere_is_helped() {
    struct At(Option<usize>);
    impl Pick for At {
        fn pick(&self, candidates: &Candidates<'_>) -> Option<usize> {
            assert_eq!(candidates.len(), 1);
            self.0
        }
    }
    for (at, answers) in [(Some(0), true), (Some(1), true), (None, false)] {
        let balance = Balance::new([well("a")]).pick(At(at));
        assert_eq!(send(&balance).await.is_ok(), answers, "{at:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn next_one_stands_in_for_a_peer_that_may_not_be_picked() {
    let sick = peer("b", &[Act::Fail]);
    let balance = Balance::new([well("a"), sick, well("c")]);
    let balance = balance
        .pick(|_: &Candidates<'_>| Some(1))
        .eject(1, Duration::from_secs(9));
    assert_eq!(names(&balance, 3).await, "- c c");
}

#[tokio::test]
async fn strategy_sees_the_request() {
    struct ByHeader;
    impl Pick for ByHeader {
        fn pick(&self, candidates: &Candidates<'_>) -> Option<usize> {
            let wanted = candidates.headers().get("to")?;
            candidates.indices().find(|index| {
                let name = candidates.get(*index).map(|peer| peer.name().as_bytes());
                name == Some(wanted.as_bytes())
            })
        }
    }
    let balance = Balance::new([well("a"), well("b")]).pick(ByHeader);
    let request = Request::builder().header("to", "b").body(Full::default());
    let response = balance.oneshot(request.unwrap()).await.unwrap();
    assert_eq!(response.headers()["name"], "b");
}

/// Which peer each of several requests went to first, under a failover.
async fn first_tried(balance: Balance<Peer>, requests: usize) -> String {
    use tower::Layer;
    use tower_failover::{FailoverLayer, report::Report};
    let layer = FailoverLayer::default().without_budget();
    let mut names = Vec::new();
    for _ in 0..requests {
        let below = balance.clone().map_request(|request: Request<_>| {
            let (parts, _) = request.into_parts();
            Request::from_parts(parts, Full::default())
        });
        let request = Request::new(Full::<Bytes>::default());
        let response = layer.layer(below).oneshot(request).await.unwrap();
        let report = Report::of(response.extensions());
        let first = report.and_then(|report| report.attempts()[0].peer().cloned());
        let only = response.headers()["name"].to_str().unwrap().to_owned();
        names.push(first.map_or(only, |peer| peer.to_string()));
    }
    names.join(" ")
}

#[tokio::test]
async fn turns_stay_even_when_retries_take_place() {
    let bad = peer("bad", &[Act::Answer(503)]);
    let balance = Balance::new([bad, well("well")]).eject(0, Duration::ZERO);
    assert_eq!(first_tried(balance, 6).await, "bad well bad well bad well");
}

#[tokio::test(start_paused = true)]
async fn backups_share_the_turns_of_an_ejected_peer() {
    let sick = peer("sick", &[Act::Fail]);
    let balance = Balance::new([sick, well("b").backup(), well("c").backup()]);
    let balance = balance.eject(1, Duration::from_secs(9));
    assert_eq!(names(&balance, 1).await, "-");
    let mut turns: Vec<_> = names(&balance, 8)
        .await
        .split(' ')
        .map(str::to_owned)
        .collect();
    turns.sort_unstable();
    assert_eq!(turns, ["b", "b", "b", "b", "c", "c", "c", "c"]);
}

#[tokio::test(start_paused = true)]
async fn peer_that_is_listed_twice_is_one() {
    let balance = Balance::new([peer("a", &[Act::Fail]), peer("a", &[Act::Fail]), well("b")]);
    let balance = balance.eject(2, Duration::from_secs(9));
    assert_eq!(names(&balance, 2).await, "- -");
    assert_eq!(names(&balance, 3).await, "b b b");
}

/// The peer that is well must not be passed over for as long as the other two are in step.
#[tokio::test(start_paused = true)]
async fn turns_of_an_ejected_peer_stay_even_while_another_fails() {
    use tower_failover::balance::Breaker;
    let bad = peer("bad", &[Act::Answer(503)]);
    let balance = Balance::new([peer("out", &[Act::Fail]), bad, well("well")]);
    // The bad one stays.
    let breaker = Breaker::new().failures(1).statuses("500".parse().unwrap());
    let balance = balance.breaker(breaker);
    names(&balance, 1).await;
    let tried = first_tried(balance, 12).await;
    let count = |name| tried.split(' ').filter(|tried| *tried == name).count();
    assert_eq!((count("bad"), count("well")), (6, 6), "{tried}");
}

/// Two peers that take equally long, the second of which weighs nine times as much.
#[tokio::test(start_paused = true)]
async fn least_loaded_does_not_take_a_rest_for_speed() {
    use tower_failover::balance::LeastLoaded;
    fastrand::seed(7);
    let taking_10_ms = |name: &'static str| {
        let service = service_fn(move |_: Request<Body>| async move {
            tokio::time::sleep(Duration::from_millis(10)).await;
            let response = Response::builder().header("name", name);
            Ok::<_, io::Error>(response.body(Full::default()).unwrap())
        });
        Endpoint::new(name, Peer::new(service))
    };
    let heavy = taking_10_ms("b").weight(9).unwrap();
    let balance = Balance::new([taking_10_ms("a"), heavy]).pick(LeastLoaded);
    let mut heavy = 0;
    for _ in 0..100 {
        tokio::time::sleep(Duration::from_secs(1)).await;
        heavy += usize::from(names(&balance, 1).await == "b");
    }
    assert!((80..=98).contains(&heavy), "{heavy}");
}
