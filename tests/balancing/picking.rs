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
async fn strategy_that_picks_nobody_or_nowhere_is_no_answer() {
    struct At(Option<usize>);
    impl Pick for At {
        fn pick(&self, candidates: &Candidates<'_>) -> Option<usize> {
            assert_eq!(candidates.len(), 1);
            self.0
        }
    }
    for (at, answers) in [(Some(0), true), (Some(1), false), (None, false)] {
        let balance = Balance::new([well("a")]).pick(At(at));
        assert_eq!(send(&balance).await.is_ok(), answers, "{at:?}");
    }
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
