use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use tower_failover::{
    balance::{Fault, LeastLoaded, State},
    failure::FailureKind,
};

use crate::*;

#[tokio::test(start_paused = true)]
async fn snapshot_tells_where_peers_stand() {
    let balance = Balance::new([well("b").tier(3), well("a").zone("eu").weight(7).unwrap()]);
    let snapshot = balance.snapshot();
    let [a, b] = &snapshot.peers[..] else {
        panic!("{snapshot:?}");
    };
    assert_eq!((a.peer.name(), a.tier, a.weight), ("a", Some(0), 7));
    assert_eq!(a.zone.as_ref().map(|zone| zone.name()), Some("eu"));
    assert_eq!((b.peer.name(), b.tier, b.weight), ("b", Some(3), 1));
    assert_eq!((b.state, b.in_flight, b.failures), (State::Closed, 0, 0));
    assert!(b.zone.is_none() && b.latency.is_none() && b.last_failure.is_none());
    assert!(snapshot.discovery_error.is_none());
}

#[tokio::test(start_paused = true)]
async fn snapshot_tells_what_went_wrong_and_when() {
    let acts = [Act::Answer(503), Act::Fail, Act::Hang];
    let balance = Balance::new([peer("a", &acts), well("b").backup()]);
    let balance = balance.eject(2, Duration::from_secs(30));
    let peer = || balance.snapshot().peers[0].clone();
    let _ = send(&balance).await;
    let last = peer().last_failure.unwrap();
    assert_eq!(
        last.fault,
        Fault::Status(http::StatusCode::SERVICE_UNAVAILABLE)
    );
    let _ = send(&balance).await;
    tokio::time::advance(Duration::from_secs(12)).await;
    let peer = peer();
    let last = peer.last_failure.unwrap();
    assert_eq!(last.fault, Fault::Error(FailureKind::Reset));
    assert_eq!(last.ago.as_secs(), 12);
    assert_eq!(
        (peer.failures, peer.ejections, peer.state),
        (2, 1, State::Open)
    );
    assert_eq!(peer.out_for.map(|time| time.as_secs()), Some(18));
    let _ = send(&balance).await;
    assert_eq!(balance.snapshot().peers[0].failures, 2);
}

#[tokio::test(start_paused = true)]
async fn latency_is_measured_where_somebody_needs_it() {
    let slow = || {
        let service = service_fn(|_: Request<Body>| async {
            tokio::time::sleep(Duration::from_millis(50)).await;
            Ok::<_, io::Error>(
                Response::builder()
                    .header("name", "a")
                    .body(Full::default())
                    .unwrap(),
            )
        });
        Endpoint::new("a", Peer::new(service))
    };
    for (balance, measured) in [
        (Balance::new([slow()]), false),
        (Balance::new([slow()]).measure_latency(), true),
        (Balance::new([slow()]).pick(LeastLoaded), true),
    ] {
        let _ = send(&balance).await;
        let latency = balance.snapshot().peers[0].latency;
        let latency = latency.map(|latency| latency.as_micros().div_ceil(1_000));
        assert_eq!(latency, measured.then_some(50));
    }
}

#[tokio::test(start_paused = true)]
async fn client_that_goes_away_leaves_nothing_in_flight() {
    let balance = Balance::new([peer("a", &[Act::Hang])]);
    let mut sending = Box::pin(send(&balance));
    assert!(futures_util::poll!(&mut sending).is_pending());
    assert_eq!(balance.snapshot().peers[0].in_flight, 1);
    drop(sending);
    let peer = balance.snapshot().peers[0].clone();
    assert_eq!((peer.in_flight, peer.failures), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn body_that_breaks_off_late_is_no_slow_response() {
    let service = service_fn(|_: Request<Body>| async {
        let frames = futures_util::stream::once(async {
            tokio::time::sleep(Duration::from_secs(3_600)).await;
            Err::<Frame<Bytes>, _>(io::Error::other("broken off"))
        });
        Ok::<_, io::Error>(Response::new(StreamBody::new(frames).boxed_unsync()))
    });
    let service = BoxCloneSyncService::new(service);
    let balance = Balance::new([Endpoint::new("a", service)]).measure_latency();
    let response = balance.clone().oneshot(Request::new(Body::default()));
    assert!(response.await.unwrap().into_body().collect().await.is_err());
    let latency = balance.snapshot().peers[0].latency;
    assert_eq!(latency.map(|latency| latency.as_secs()), Some(0));
}

#[tokio::test(start_paused = true)]
async fn request_is_in_flight_until_its_body_ends_or_is_dropped() {
    for read in [true, false] {
        let (end, ended) = tokio::sync::oneshot::channel::<()>();
        let ended = Arc::new(Mutex::new(Some(ended)));
        let service = service_fn(move |_: Request<Body>| {
            let ended = ended.lock().unwrap().take().unwrap();
            async {
                let frames = futures_util::stream::once(async {
                    let _ = ended.await;
                    Ok::<_, io::Error>(Frame::data(Bytes::from("all")))
                });
                Ok::<_, io::Error>(Response::new(StreamBody::new(frames).boxed_unsync()))
            }
        });
        let balance = Balance::new([Endpoint::new("a", BoxCloneSyncService::new(service))]);
        let in_flight = || balance.snapshot().peers[0].in_flight;
        let sending = balance.clone().oneshot(Request::new(Body::default()));
        let body = sending.await.unwrap().into_body();
        assert_eq!(in_flight(), 1, "its head alone ends nothing");
        if read {
            end.send(()).unwrap();
            assert_eq!(body.collect().await.unwrap().to_bytes(), "all");
        } else {
            drop(body);
        }
        assert_eq!(in_flight(), 0, "read: {read}");
    }
}
