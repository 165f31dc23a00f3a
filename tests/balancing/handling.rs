use tower::Layer;
use tower_failover::{
    FailoverLayer, ReplayBody,
    balance::{Handle, State},
};

use crate::*;

fn listed(balance: &Balance<Peer>) -> String {
    let names: Vec<_> = balance.peers().iter().map(ToString::to_string).collect();
    names.join(" ")
}

fn empty() -> (Balance<Peer>, Handle<Peer>) {
    Balance::with_handle::<Endpoint<Peer>>([])
}

#[tokio::test]
async fn peers_come_and_go() {
    let (balance, handle) = Balance::with_handle([well("a")]);
    handle.insert(well("b"));
    assert_eq!(listed(&balance), "a b");
    handle.insert(peer("a", &[Act::Answer(201)]));
    assert_eq!(
        listed(&balance),
        "a b",
        "the same name takes the place of the old"
    );
    assert!(handle.remove("a"));
    assert!(!handle.remove("a"));
    assert_eq!(listed(&balance), "b");
    handle.replace([well("c"), well("d")]);
    assert_eq!(names(&balance, 2).await, "c d");
    assert_eq!(
        format!("{:?}", handle.clone()),
        "Handle { peers: [Peer(c), Peer(d)], .. }"
    );
}

#[tokio::test(start_paused = true)]
async fn drained_peer_finishes_what_it_has_and_takes_no_more() {
    let (balance, handle) = Balance::with_handle([peer("a", &[Act::Hang]), well("b")]);
    let mut sending = Box::pin(send(&balance));
    assert!(futures_util::poll!(&mut sending).is_pending());
    assert!(handle.drain("nobody").is_none());
    let mut drain = handle.drain("a").unwrap();
    assert!(futures_util::poll!(&mut drain).is_pending());
    assert_eq!(names(&balance, 3).await, "b b b");
    let snapshot = balance.snapshot();
    assert_eq!(snapshot.peers[1].state, State::Draining);
    assert_eq!(snapshot.peers[1].in_flight, 1);
    drop(sending);
    drain.await;
    assert_eq!(balance.snapshot().peers.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn request_that_waits_for_a_peer_which_is_drained_meanwhile_goes_to_another() {
    let (a, open) = super::readiness::gate("a", false);
    let (balance, handle) = Balance::with_handle([a]);
    let mut sending = Box::pin(send(&balance));
    assert!(futures_util::poll!(&mut sending).is_pending());
    handle.insert(well("b"));
    handle.drain("a").unwrap().await;
    open.open();
    assert_eq!(sending.await.unwrap(), "b");
}

#[tokio::test(start_paused = true)]
async fn drained_peer_that_has_nothing_to_do_is_drained() {
    let (balance, handle) = Balance::with_handle([well("a")]);
    names(&balance, 3).await;
    handle.drain("a").unwrap().await;
    assert_eq!(listed(&balance), "");
}

#[tokio::test(start_paused = true)]
async fn peer_that_returns_while_it_is_drained_is_the_same() {
    let acts = [Act::Hang, Act::Fail, Act::Fail];
    let (balance, handle) = Balance::with_handle([peer("a", &acts), well("b").backup()]);
    let balance = balance.eject(2, Duration::from_secs(10));
    let mut sending = Box::pin(send(&balance));
    assert!(futures_util::poll!(&mut sending).is_pending());
    names(&balance, 2).await;
    let drain = handle.drain("a").unwrap();
    handle.insert(well("a"));
    drain.await;
    assert_eq!(balance.snapshot().peers[0].state, State::Open);
    assert_eq!(balance.snapshot().peers[0].in_flight, 1);
}

#[tokio::test(start_paused = true)]
async fn peer_that_left_with_nothing_to_do_comes_back_as_a_new_one() {
    let (balance, handle) = Balance::with_handle([peer("a", &[Act::Fail]), well("b").backup()]);
    let balance = balance.eject(2, Duration::from_secs(10));
    assert_eq!(names(&balance, 3).await, "- - b");
    handle.remove("a");
    handle.insert(well("a"));
    assert_eq!(names(&balance, 1).await, "a");
}

#[tokio::test(start_paused = true)]
async fn request_waits_for_the_first_peer() {
    let (balance, handle) = empty();
    let mut sending = Box::pin(send(&balance));
    assert!(futures_util::poll!(&mut sending).is_pending());
    handle.insert(well("a"));
    assert_eq!(sending.await.unwrap(), "a");
}

#[tokio::test(start_paused = true)]
async fn it_does_not_wait_where_none_can_come() {
    let (balance, handle) = empty();
    let mut sending = Box::pin(send(&balance));
    assert!(futures_util::poll!(&mut sending).is_pending());
    drop(handle);
    assert!(sending.await.unwrap_err().is::<NoPeer>());
    let start = tokio::time::Instant::now();
    let alone = Balance::<Peer>::new::<Endpoint<Peer>>([]);
    assert!(send(&alone).await.unwrap_err().is::<NoPeer>());
    assert!(start.elapsed().is_zero());
}

#[tokio::test(start_paused = true)]
async fn it_does_not_wait_for_longer_than_it_is_told() {
    for (patience, waited) in [(None, 10), (Some(3), 3), (Some(0), 0)] {
        let (balance, _handle) = empty();
        let balance = match patience {
            Some(secs) => balance.wait_for_peers(Duration::from_secs(secs)),
            None => balance,
        };
        let start = tokio::time::Instant::now();
        assert!(send(&balance).await.unwrap_err().is::<NoPeer>());
        assert_eq!(start.elapsed().as_secs(), waited);
    }
}

type Replayed = BoxCloneSyncService<Request<ReplayBody<Body>>, Response<Body>, io::Error>;

fn replayed(name: &'static str, status: u16) -> Endpoint<Replayed> {
    let service = service_fn(move |_| async move {
        let response = Response::builder().status(status);
        Ok::<_, io::Error>(response.body(Full::default()).unwrap())
    });
    Endpoint::new(name, Replayed::new(service))
}

#[tokio::test(start_paused = true)]
async fn deadline_ends_the_wait_for_want_of_a_peer() {
    let (balance, _handle) = Balance::with_handle::<Endpoint<Replayed>>([]);
    let secs = Duration::from_secs;
    let layer = FailoverLayer::default()
        .deadline(secs(2))
        .per_try_timeout(secs(1));
    for layer in [layer.clone(), layer.max_attempts(1)] {
        let start = tokio::time::Instant::now();
        let service = layer.layer(balance.clone());
        let error = service
            .oneshot(Request::new(Full::<Bytes>::default()))
            .await
            .unwrap_err();
        assert_eq!(
            (error.status().as_u16(), error.attempts()),
            (503, 0),
            "{error:?}"
        );
        assert_eq!(start.elapsed(), secs(2));
    }
}

#[tokio::test(start_paused = true)]
async fn peer_has_its_time_from_when_there_is_one() {
    let (balance, handle) = Balance::with_handle::<Endpoint<Replayed>>([]);
    let secs = Duration::from_secs;
    let layer = FailoverLayer::default()
        .per_try_timeout(secs(1))
        .max_attempts(1);
    let service = layer.layer(balance);
    let sending = tokio::spawn(service.oneshot(Request::new(Full::<Bytes>::default())));
    tokio::time::advance(secs(3)).await;
    tokio::task::yield_now().await;
    handle.insert(Endpoint::new(
        "hangs",
        Replayed::new(service_fn(|_| std::future::pending())),
    ));
    let start = tokio::time::Instant::now();
    assert_eq!(sending.await.unwrap().unwrap_err().status().as_u16(), 504);
    assert_eq!(start.elapsed(), secs(1));
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_where_all_were_tried() {
    let (balance, _handle) = Balance::with_handle([replayed("a", 503)]);
    let start = tokio::time::Instant::now();
    let service = FailoverLayer::default().layer(balance);
    let response = service
        .oneshot(Request::new(Full::<Bytes>::default()))
        .await
        .unwrap();
    assert_eq!(response.status(), 503);
    assert!(start.elapsed().is_zero());
}

#[tokio::test(start_paused = true)]
async fn repeat_at_a_peer_that_was_drained_goes_elsewhere() {
    use tower_failover::policy::{Event, Verdict, policy_fn};
    let (balance, handle) = Balance::with_handle([replayed("b", 200)]);
    let handle = Arc::new(handle);
    let drains = Arc::clone(&handle);
    handle.insert(Endpoint::new(
        "a",
        Replayed::new(service_fn(move |_| {
            let drained = drains.drain("a").is_some();
            async move {
                assert!(drained, "it is asked once");
                let response = Response::builder().status(503);
                Ok::<_, io::Error>(response.body(Full::default()).unwrap())
            }
        })),
    ));
    let again = policy_fn(|_, event| match event {
        Event::Response(response) if response.status == 503 => Verdict::retry(),
        _ => Verdict::deliver(),
    });
    let balance = balance
        .pick(|candidates: &tower_failover::balance::Candidates<'_>| candidates.indices().last());
    let service = FailoverLayer::new(again).layer(balance);
    let response = service
        .oneshot(Request::new(Full::<Bytes>::default()))
        .await
        .unwrap();
    assert_eq!(response.status(), 200);
}

#[tokio::test(start_paused = true)]
async fn drain_is_over_when_its_peer_is_back() {
    let (balance, handle) = Balance::with_handle([peer("a", &[Act::Hang])]);
    let mut sending = Box::pin(send(&balance));
    assert!(futures_util::poll!(&mut sending).is_pending());
    let mut drain = tokio_test::task::spawn(handle.drain("a").unwrap());
    assert!(drain.poll().is_pending());
    handle.insert(well("a"));
    assert!(drain.is_woken(), "nobody else would wake it");
    assert!(drain.poll().is_ready());
}

#[tokio::test(start_paused = true)]
async fn peer_that_leaves_again_and_again_is_there_once() {
    let (balance, handle) = Balance::with_handle([peer("a", &[Act::Hang])]);
    let mut sending = Box::pin(send(&balance));
    assert!(futures_util::poll!(&mut sending).is_pending());
    for _ in 0..3 {
        handle.remove("a");
        assert_eq!(balance.snapshot().peers.len(), 1);
        handle.insert(well("a"));
    }
}

#[tokio::test]
async fn list_of_peers_may_be_made_with_the_handle_in_hand() {
    let (balance, handle) = Balance::with_handle([well("a")]);
    handle.replace(["b", "c"].into_iter().map(|name| {
        handle.remove("a");
        assert_eq!(listed(&balance), "");
        well(name)
    }));
    assert_eq!(listed(&balance), "b c");
}
