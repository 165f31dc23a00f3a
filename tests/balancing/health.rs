use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use tower::Layer;
use tower_failover::{
    FailoverLayer, ReplayBody,
    balance::{InOrder, LeastLoaded, State, StateChange},
    report::Report,
};

use crate::*;

const PERIOD: Duration = Duration::from_secs(10);

/// Before `a`, which does as it is told, and `b`, which is well, in order.
fn pair(acts: &[Act]) -> Balance<Peer> {
    Balance::new([peer("a", acts), well("b")])
        .pick(InOrder)
        .eject(2, PERIOD)
}

#[tokio::test(start_paused = true)]
async fn peer_that_fails_in_a_row_is_left_out_until_its_time_is_over() {
    for act in [
        Act::Fail,
        Act::Answer(502),
        Act::Answer(503),
        Act::Answer(504),
    ] {
        let balance = pair(&[act]);
        names(&balance, 2).await;
        assert_eq!(names(&balance, 2).await, "b b", "{act:?}");
        tokio::time::advance(PERIOD).await;
        assert_ne!(names(&balance, 1).await, "b", "{act:?}");
        // Once more, and it is out again.
        assert_eq!(names(&balance, 1).await, "b", "{act:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn answer_worth_a_retry_is_not_a_sign_of_sickness() {
    for status in [200, 404, 409, 429, 500, 501] {
        let balance = pair(&[Act::Answer(status)]);
        assert_eq!(names(&balance, 9).await, "a a a a a a a a a", "{status}");
    }
}

#[tokio::test(start_paused = true)]
async fn success_in_between_starts_the_count_anew() {
    let acts = [Act::Fail, Act::Answer(200), Act::Fail, Act::Answer(200)];
    assert_eq!(names(&pair(&acts), 5).await, "- a - a a");
}

#[tokio::test(start_paused = true)]
async fn zero_never_leaves_a_peer_out() {
    let balance = pair(&[Act::Fail]).eject(0, PERIOD);
    assert_eq!(names(&balance, 9).await, "- - - - - - - - -");
}

#[tokio::test(start_paused = true)]
async fn ejected_peer_is_used_when_no_other_is_left() {
    let balance = Balance::new([peer("a", &[Act::Fail, Act::Fail, Act::Answer(200)])]);
    let balance = balance.eject(2, PERIOD);
    assert_eq!(names(&balance, 3).await, "- - a");
}

#[tokio::test(start_paused = true)]
async fn backup_stands_in_for_an_ejected_peer() {
    let balance = Balance::new([peer("a", &[Act::Fail]), well("b").backup()]);
    assert_eq!(names(&balance.eject(2, PERIOD), 4).await, "- - b b");
}

#[tokio::test(start_paused = true)]
async fn client_that_goes_away_says_nothing_of_its_peer() {
    let balance = pair(&[Act::Hang]);
    for _ in 0..5 {
        let mut sending = Box::pin(send(&balance));
        assert!(futures_util::poll!(&mut sending).is_pending());
    }
    let mut sending = Box::pin(send(&balance));
    assert!(
        futures_util::poll!(&mut sending).is_pending(),
        "still at `a`"
    );
}

type Replayed = BoxCloneSyncService<Request<ReplayBody<Body>>, Response<Body>, BoxError>;

/// As [`pair`], for requests that a failover sends.
fn replayed(acts: &[Act]) -> Balance<Replayed> {
    let endpoint = |name: &'static str, acts: &[Act]| {
        let inner = peer(name, acts);
        let balance = Balance::new([inner]).eject(0, PERIOD);
        let service = service_fn(move |_: Request<ReplayBody<Body>>| {
            let balance = balance.clone();
            async move {
                let response = balance.oneshot(Request::new(Full::default())).await?;
                Ok::<_, BoxError>(response.map(|_| Full::default()))
            }
        });
        Endpoint::new(name, Replayed::new(service))
    };
    let endpoints = [endpoint("a", acts), endpoint("b", &[Act::Answer(200)])];
    Balance::new(endpoints).pick(InOrder).eject(2, PERIOD)
}

#[tokio::test(start_paused = true)]
async fn peer_that_is_too_slow_counts() {
    let ms = Duration::from_millis;
    let timed = FailoverLayer::default().per_try_timeout(ms(100));
    for (layer, left_out) in [
        (timed.clone(), true),
        (timed.max_attempts(1), true),
        (FailoverLayer::default().deadline(ms(100)), true),
        (
            FailoverLayer::default().deadline(ms(100)).max_attempts(1),
            true,
        ),
    ] {
        let balance = replayed(&[Act::Hang, Act::Hang, Act::Answer(200)]);
        for _ in 0..2 {
            let _ = layer
                .layer(balance.clone())
                .oneshot(Request::new(Full::default()))
                .await;
        }
        let response = balance.oneshot(Request::new(
            tower_failover::replay::Replay::new(Full::default(), 0)
                .start()
                .unwrap(),
        ));
        let name = response.await.unwrap().headers()["name"].clone();
        assert_eq!(name, if left_out { "b" } else { "a" });
    }
}

/// A client that wants an answer sooner, or a peer that had but little of the time, says nothing of the peer.
#[tokio::test(start_paused = true)]
async fn deadline_of_the_request_and_what_is_left_of_the_layers_count_for_nothing() {
    use tower_failover::limits::Deadline;
    let ms = Duration::from_millis;
    let layer = FailoverLayer::default().deadline(ms(100));
    let balance = replayed(&[Act::Hang]);
    for _ in 0..2 {
        let mut request = Request::new(Full::default());
        let soon = Deadline(tokio::time::Instant::now() + ms(50));
        request.extensions_mut().insert(soon);
        assert!(layer.layer(balance.clone()).oneshot(request).await.is_err());
    }
    assert_eq!(balance.snapshot().peers[0].failures, 0);

    // `a` has the first 60 ms, and `b` what is left.
    let layer = layer.per_try_timeout(ms(60));
    let slow = |name: &str| {
        let service = service_fn(|_: Request<ReplayBody<Body>>| std::future::pending());
        Endpoint::new(name, Replayed::new(service))
    };
    let balance = Balance::new([slow("a"), slow("b")]).pick(InOrder);
    let request = Request::new(Full::<Bytes>::default());
    assert!(layer.layer(balance.clone()).oneshot(request).await.is_err());
    let failures = balance
        .snapshot()
        .peers
        .into_iter()
        .map(|peer| peer.failures);
    assert_eq!(failures.collect::<Vec<_>>(), [1, 0]);
}

#[tokio::test(start_paused = true)]
async fn balancer_that_has_nobody_left_is_no_peer_for_a_request_that_is_sent_once() {
    let layer = FailoverLayer::default().max_attempts(1);
    let timed = layer.clone().per_try_timeout(Duration::from_secs(1));
    for layer in [layer, timed] {
        let nobody: [Endpoint<Replayed>; 0] = [];
        let outer = Balance::new([Endpoint::new("region", Balance::new(nobody))]);
        let request = Request::new(Full::<Bytes>::default());
        let error = layer.layer(outer).oneshot(request).await.unwrap_err();
        assert_eq!(error.status(), 503, "{error:?}");
        assert_eq!(error.attempts(), 0, "{error:?}");
    }
}

/// A response whose body breaks off, or does not.
fn streaming(broken: bool) -> Endpoint<Streaming> {
    let service = service_fn(move |_: Request<Body>| async move {
        let mut frames = vec![Ok(Frame::data(Bytes::from("half")))];
        if broken {
            frames.push(Err(std::io::Error::other("broken off")));
        }
        let body = StreamBody::new(futures_util::stream::iter(frames));
        Ok::<_, Infallible>(Response::new(BodyExt::boxed_unsync(body)))
    });
    Endpoint::new("a", Streaming::new(service))
}

type Streaming = BoxCloneSyncService<
    Request<Body>,
    Response<http_body_util::combinators::UnsyncBoxBody<Bytes, std::io::Error>>,
    Infallible,
>;

#[tokio::test(start_paused = true)]
async fn body_that_breaks_off_counts_and_one_that_nobody_reads_does_not() {
    for (broken, read, left_out) in [
        (true, true, true),
        (true, false, false),
        (false, true, false),
    ] {
        let backup = Endpoint::new(
            "b",
            Streaming::new(service_fn(|_| async {
                let response = Response::builder().header("backup", "b");
                let body = Full::default().map_err(|never| match never {});
                Ok(response.body(body.boxed_unsync()).unwrap())
            })),
        );
        let balance = Balance::new([streaming(broken), backup.backup()]).eject(2, PERIOD);
        for _ in 0..2 {
            let response = balance.clone().oneshot(Request::new(Full::default()));
            let body = response.await.unwrap().into_body();
            if read {
                assert_eq!(body.collect().await.is_err(), broken);
            }
        }
        let response = balance
            .oneshot(Request::new(Full::default()))
            .await
            .unwrap();
        let at_backup = response.headers().contains_key("backup");
        assert_eq!(at_backup, left_out, "broken: {broken}, read: {read}");
    }
}

#[tokio::test(start_paused = true)]
async fn good_responses_count_although_their_bodies_are_not_read_to_the_end() {
    let calls = Arc::new(Mutex::new(0));
    let service = service_fn(move |_: Request<Body>| {
        let mut calls = calls.lock().unwrap();
        *calls += 1;
        let status = if *calls % 2 == 1 { 503 } else { 200 };
        async move {
            let body = StreamBody::new(futures_util::stream::pending());
            let response = Response::builder().status(status);
            Ok::<_, Infallible>(response.body(BodyExt::boxed_unsync(body)).unwrap())
        }
    });
    let balance = Balance::new([
        Endpoint::new("a", Streaming::new(service)),
        streaming(false).backup(),
    ]);
    let balance = balance.eject(2, PERIOD);
    for request in 0..10 {
        let response = balance
            .clone()
            .oneshot(Request::new(Full::default()))
            .await
            .unwrap();
        let expected = if request % 2 == 0 { 503 } else { 200 };
        assert_eq!(response.status(), expected, "request {request}");
    }
}

#[tokio::test(start_paused = true)]
async fn classifier_of_your_own_tells_what_is_no_failure_of_the_peer() {
    use tower_failover::failure::{Classify, Evidence, FailureKind, Stage};
    struct Ours;
    impl Classify for Ours {
        fn classify(&self, _: &(dyn std::error::Error + 'static)) -> Option<Evidence> {
            Some(Evidence {
                stage: Stage::NotSent,
                kind: FailureKind::Overload,
            })
        }
    }
    assert_eq!(
        names(&pair(&[Act::Fail]).classify(Ours), 5).await,
        "- - - - -"
    );
    assert_eq!(names(&pair(&[Act::Fail]), 5).await, "- - b b b");
}

/// The peers that a request is sent to, under a failover.
async fn tried(balance: &Balance<Peer>) -> Vec<String> {
    let below = balance.clone().map_request(|request: Request<_>| {
        let (parts, _) = request.into_parts();
        Request::from_parts(parts, Full::default())
    });
    let request = Request::new(Full::<Bytes>::default());
    let report = match FailoverLayer::default().layer(below).oneshot(request).await {
        Ok(response) => Report::of(response.extensions()).cloned().unwrap(),
        Err(error) => error.report().clone(),
    };
    let attempts = report.attempts().iter();
    attempts
        .map(|tried| tried.peer().unwrap().to_string())
        .collect()
}

/// It could else spend all its attempts on that.
#[tokio::test(start_paused = true)]
async fn request_that_has_failed_does_not_find_out_who_is_well_again() {
    let sick = |name| peer(name, &[Act::Fail]);
    let alone = Balance::new([sick("out"), sick("bad")]);
    let beside = Balance::new([sick("out"), sick("bad"), well("well")]);
    for (balance, expected) in [
        (beside, ["bad", "well"]),
        // Nobody else is left.
        (alone, ["bad", "out"]),
    ] {
        let balance = balance.eject(1, PERIOD);
        names(&balance, 1).await;
        tokio::time::advance(PERIOD).await;
        assert_eq!(tried(&balance).await, expected);
    }
}

/// What it failed with counts as five seconds, which no other peer takes.
#[tokio::test(start_paused = true)]
async fn least_loaded_asks_whether_a_peer_is_well_again() {
    fastrand::seed(7);
    let back = peer("a", &[Act::Fail, Act::Answer(200)]);
    let balance = Balance::new([back, well("b")]).pick(LeastLoaded);
    let balance = balance.eject(1, PERIOD);
    while send(&balance).await.is_ok() {}
    assert!(!names(&balance, 20).await.contains('a'));
    tokio::time::advance(PERIOD).await;
    let back = names(&balance, 20).await.matches('a').count();
    assert!((5..=15).contains(&back), "{back}");
}

#[tokio::test(start_paused = true)]
async fn peer_whose_bodies_break_off_stays_suspect_although_its_heads_are_good() {
    let changes = Arc::new(Mutex::new(Vec::new()));
    let told = Arc::clone(&changes);
    let tell = move |change: &StateChange| told.lock().unwrap().push(change.to());
    let balance = Balance::new([streaming(true)]).eject(2, PERIOD);
    let balance = balance.on_state_change(tell);
    for _ in 0..20 {
        let response = balance.clone().oneshot(Request::new(Full::default()));
        let body = response.await.unwrap().into_body();
        assert!(body.collect().await.is_err());
    }
    assert_eq!(*changes.lock().unwrap(), [State::Suspect]);
}
