//! Settings that meet each other.

use std::sync::Mutex;

use http::HeaderName;
use tokio::time::sleep;
use tower_failover::{
    limits::{Budget, MaxAttempts},
    policy::{Event, PerRoute, PolicyExt, RetryAfter, RetryLine, RoutePolicy, Verdict, policy_fn},
    trail::{Peer, Trail},
};

use crate::*;

const HOUR: Duration = Duration::from_secs(3_600);

async fn hang() -> Answer {
    std::future::pending().await
}

/// The held answer says "not processed", and that is no longer true once a later attempt may have been.
#[tokio::test(start_paused = true)]
async fn answer_that_says_unprocessed_is_not_delivered_after_one_that_may_be_processed() {
    let script = Script::new()
        .then(|request| async {
            body(request).await;
            status(425)
        })
        .then(|request| async {
            body(request).await; // processed, and the answer is lost
            Err(reset())
        });
    let policy = Standard::default()
        .refused_on("425".parse().unwrap())
        .backoff(Backoff::NONE);
    let result = run(FailoverLayer::new(policy), &script, post()).await;
    let got = result.map(|response| response.status().as_u16());
    assert_eq!(got.map_err(|error| error.kind()), Err(FailureKind::Reset));
}

/// The same through two tiers, each of which declares 425, and nothing that says `even_non_idempotent`.
#[tokio::test(start_paused = true)]
async fn last_answer_that_says_unprocessed_is_not_delivered_after_one_that_may_be_processed() {
    let always = || {
        let policy = on("reset").refused_on("503".parse().unwrap());
        policy.non_idempotent(tower_failover::policy::NonIdempotent::Always)
    };
    let layer = || FailoverLayer::new(always()).max_attempts(2);
    let script = || {
        Script::new()
            .then(|_| async { Err(reset()) })
            .then(|_| async { status(503) })
    };
    let error = run(layer(), &script(), post()).await.unwrap_err();
    assert_eq!(error.stage(), Stage::MaybeProcessed);
    assert_eq!(error.attempts(), 2);
    // A GET may be sent again anyway.
    let response = run(layer(), &script(), get()).await.unwrap();
    assert_eq!(response.status(), 503);
}

#[tokio::test(start_paused = true)]
async fn answer_that_says_unprocessed_is_delivered_where_repeating_does_no_harm() {
    let script = Script::new()
        .then(|_| async { status(425) })
        .then(|_| async { Err(reset()) })
        .then(|_| async { Err(reset()) });
    let layer = FailoverLayer::new(on("reset").refused_on("425".parse().unwrap()));
    let response = run(layer, &script, get()).await.unwrap();
    assert_eq!(response.status(), 425);
}

#[tokio::test(start_paused = true)]
async fn post_is_processed_once_over_two_tiers_that_declare_the_same_refusal() {
    let processed = Arc::new(AtomicUsize::new(0));
    let calls = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&processed);
    let service = service_fn(move |request: Request<ReplayBody<_>>| {
        let (call, seen) = (calls.fetch_add(1, Relaxed), Arc::clone(&seen));
        async move {
            body(request).await;
            match call {
                0 => status(425),
                1 => {
                    seen.fetch_add(1, Relaxed);
                    Err(reset())
                }
                _ => {
                    seen.fetch_add(1, Relaxed);
                    status(200)
                }
            }
        }
    });
    let tier = || {
        let policy = Standard::default().refused_on("425".parse().unwrap());
        FailoverLayer::new(policy.backoff(Backoff::NONE)).max_attempts(2)
    };
    let stack = tier().layer(tier().layer(service));
    let _ = stack.oneshot(post()).await;
    assert_eq!(processed.load(Relaxed), 1);
}

/// What another thread may do between the evidence and the end of the attempt is done in the callback.
#[tokio::test(start_paused = true)]
async fn attempt_is_ended_before_it_is_judged_as_never_sent() {
    let trails: Arc<Mutex<Vec<Trail>>> = Arc::default();
    let sent = Arc::new(AtomicUsize::new(0));
    let (peer, other) = (Peer::new("a"), Peer::new("b"));
    let (kept, counted) = (Arc::clone(&trails), Arc::clone(&sent));
    let (waits, answers) = (peer.clone(), other);
    let service = service_fn(move |request: Request<ReplayBody<Body>>| {
        let trail = Trail::of(request.extensions()).unwrap().clone();
        let (kept, counted) = (Arc::clone(&kept), Arc::clone(&counted));
        let (waits, answers) = (waits.clone(), answers.clone());
        async move {
            if trail.attempt() == 1 {
                // A worker waits for its endpoint to be ready.
                assert!(trail.approach(&waits, None));
                kept.lock().unwrap().push(trail);
                return hang().await;
            }
            assert!(trail.choose(&answers, None));
            counted.fetch_add(1, Relaxed);
            status(200)
        }
    });
    let (late, counted) = (Arc::clone(&trails), Arc::clone(&sent));
    let policy = policy_fn(move |_, event| match event {
        Event::Response(_) => Verdict::deliver(),
        _ => {
            // It is ready at this moment.
            if late.lock().unwrap()[0].choose(&peer, None) {
                counted.fetch_add(1, Relaxed);
            }
            Verdict::failover()
        }
    });
    let layer = FailoverLayer::new(policy).per_try_timeout(100 * MS);
    let _ = layer.layer(service).oneshot(post()).await;
    assert_eq!(sent.load(Relaxed), 1, "sent to so many peers");
}

#[tokio::test(start_paused = true)]
async fn retry_after_of_any_length_does_not_panic() {
    let headers: Headers = &[("retry-after", "99999999999999999999")];
    let policy = Standard::default().retry_after(RetryAfter::up_to(Duration::MAX));
    let layer = FailoverLayer::new(policy);
    let (code, ..) = over(
        layer,
        &[("a", Box::leak(Box::new([(503, headers)])))],
        get(),
    )
    .await;
    assert_eq!(code, 503);
}

#[tokio::test(start_paused = true)]
async fn retry_after_too_far_away_to_be_named_is_not_no_wait() {
    let script = Script::new()
        .then(|_| async { answer(503, &[("retry-after", "10000000000000000000")]) })
        .then(|_| async { status(200) });
    let policy = Standard::default().retry_after(RetryAfter::up_to(Duration::MAX));
    let response = run(FailoverLayer::new(policy), &script, get()).await;
    assert_eq!(response.unwrap().status(), 503);
    assert_eq!(script.steps_left(), 1, "it was called again at once");
}

/// A policy of a route that asks for the policy of the route: it finds itself.
#[test]
fn route_whose_policy_is_per_route_has_its_fallback() {
    let mut policy = PerRoute::new(Standard::default());
    let mut request = get();
    let stricter = RoutePolicy::new(policy.clone().limited(1));
    request.extensions_mut().insert(stricter);
    let (head, _) = request.into_parts();
    assert!(policy.may_retry(&head));
}

/// Never ready again after its first call, until so long has passed.
#[derive(Clone, Default)]
struct SlowToBeReady {
    called: Arc<AtomicUsize>,
    sleep: Arc<Mutex<Option<std::pin::Pin<Box<tokio::time::Sleep>>>>>,
}

impl Service<Request<ReplayBody<Body>>> for SlowToBeReady {
    type Response = Response<Body>;
    type Error = BoxError;
    type Future = std::future::Ready<Answer>;

    fn poll_ready(
        &mut self,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Result<(), BoxError>> {
        if self.called.load(Relaxed) == 0 {
            return std::task::Poll::Ready(Ok(()));
        }
        let mut sleep = self.sleep.lock().unwrap();
        let sleep = sleep.get_or_insert_with(|| Box::pin(tokio::time::sleep(300 * MS)));
        sleep.as_mut().poll(cx).map(Ok)
    }

    fn call(&mut self, _: Request<ReplayBody<Body>>) -> Self::Future {
        std::future::ready(match self.called.fetch_add(1, Relaxed) {
            0 => Err(reset()),
            _ => status(200),
        })
    }
}

#[tokio::test(start_paused = true)]
async fn last_attempt_may_also_be_late_in_becoming_ready() {
    let layer = layer()
        .max_attempts(2)
        .per_try_timeout(100 * MS)
        .deadline(SECOND)
        .lift_per_try_timeout_on_last();
    let outcome = layer.layer(SlowToBeReady::default()).oneshot(get()).await;
    let outcome = outcome.map(|response| response.status().as_u16());
    assert_eq!(outcome.map_err(|error| error.kind()), Ok(200));
}

/// A peer that takes longer than the per-try timeout is ejected by default; that its attempt may go on
/// does not make it well.
#[tokio::test(start_paused = true)]
async fn peer_whose_time_is_over_is_charged_also_when_the_attempt_may_go_on() {
    for lifted in [false, true] {
        let calls = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&calls);
        type Sent = Request<ReplayBody<Body>>;
        let boxed = tower::util::BoxCloneSyncService::<Sent, Response<Body>, BoxError>::new;
        let hangs = boxed(tower::util::BoxCloneSyncService::new(service_fn(
            move |request: Sent| {
                counted.fetch_add(1, Relaxed);
                async {
                    body(request).await;
                    hang().await
                }
            },
        )));
        let well = boxed(tower::util::BoxCloneSyncService::new(service_fn(
            |_: Sent| async { status(200) },
        )));
        let peers = [Endpoint::new("a", hangs), Endpoint::new("b", well)];
        let balance = Balance::new(peers).pick(InOrder).eject(1, HOUR);
        let mut layer = layer().per_try_timeout(100 * MS).deadline(SECOND);
        if lifted {
            layer = layer.lift_per_try_timeout_on_last();
        }
        for _ in 0..5 {
            let _ = layer.layer(balance.clone()).oneshot(post()).await;
        }
        assert_eq!(calls.load(Relaxed), 1, "lifted: {lifted}");
    }
}

/// "Heeded up to 5 s", and there is no deadline by default.
#[tokio::test(start_paused = true)]
async fn default_layer_holds_a_request_no_longer_than_it_says() {
    let asks = |_| async { answer(503, &[("retry-after", "60")]) };
    let script = Script::new().then(asks).then(asks).then(asks);
    let start = Instant::now();
    let response = run(FailoverLayer::default(), &script, get()).await.unwrap();
    assert_eq!(response.status(), 503);
    assert!(start.elapsed() <= 60 * SECOND, "{:?}", start.elapsed());
}

#[test]
fn budget_begins_with_one_seconds_worth() {
    assert_eq!(Budget::new(0.0, 5_000).unwrap().available(), 5_000);
    let budget = Budget::new(0.0, 0).unwrap().burst(5_000).unwrap();
    let budget = budget.starting_with(5_000).unwrap();
    assert_eq!(budget.available(), 5_000);
}

/// "Finagle's and linkerd's figures" hold for what was paid in within the last 10 s.
#[tokio::test(start_paused = true)]
async fn quiet_night_does_not_pay_for_a_storm_in_the_morning() {
    let layer = layer();
    sleep(HOUR).await;
    let mut made = 0;
    for _ in 0..1_000 {
        let script = answering(&[0, 0, 0]);
        let error = run(layer.clone(), &script, get()).await.unwrap_err();
        made += error.attempts();
    }
    assert!(
        made <= 1_000 + 200 + 100,
        "{made} attempts of 1000 requests"
    );
}

#[tokio::test(start_paused = true)]
async fn peer_that_asked_for_longer_than_is_heeded_is_not_called_at_once() {
    const HOURS: &[(u16, Headers)] = &[(503, &[("retry-after", "3600")]), (200, &[])];
    let peers = [("a", HOURS), ("b", DRAINING)];
    let policy = Standard::default().reuse_tried(true).backoff(|| [MS]);
    let (code, tried, took) = over(FailoverLayer::new(policy), &peers, get()).await;
    let times = tried.iter().filter(|peer| *peer == "a").count();
    assert_eq!((code, times), (503, 1), "{tried:?} in {took:?}");
}

#[tokio::test(start_paused = true)]
async fn peer_that_asks_for_too_long_is_left_for_another_also_where_peers_are_stayed_with() {
    const HOURS: &[(u16, Headers)] = &[(503, &[("retry-after", "3600")])];
    let peers = [("a", HOURS), ("b", WELL)];
    let policy = Standard::default().retries_per_peer(1);
    let (code, ..) = over(FailoverLayer::new(policy), &peers, get()).await;
    assert_eq!(code, 200, "b needs no wait");
}

#[tokio::test(start_paused = true)]
async fn wait_that_does_not_fit_is_no_reason_to_deliver_while_another_peer_needs_none() {
    const ASKS: &[(u16, Headers)] = &[(503, &[("retry-after", "30")])];
    let peers = [("a", ASKS), ("b", WELL)];
    let policy = Standard::default().retries_per_peer(1);
    let layer = FailoverLayer::new(policy).deadline(5 * SECOND);
    let (code, ..) = over(layer, &peers, get()).await;
    assert_eq!(code, 200);
}

#[tokio::test(start_paused = true)]
async fn peer_is_not_waited_for_because_of_what_another_asked_for() {
    const ASKS: &[(u16, Headers)] = &[(503, &[]), (503, &[("retry-after", "50")])];
    const THEN_WELL: &[(u16, Headers)] = &[(503, &[]), (200, &[])];
    let peers = [("a", ASKS), ("b", THEN_WELL)];
    let policy = Standard::default()
        .retries_per_peer(1)
        .backoff(|| std::iter::repeat(MS));
    let layer = FailoverLayer::new(policy).max_attempts(4);
    let (code, tried, took) = over(layer, &peers, get()).await;
    assert_eq!((code, tried.len()), (200, 4));
    assert!(took < SECOND, "the second try of b waited {took:?}");
}

#[tokio::test(start_paused = true)]
async fn jitter_is_no_reason_to_give_up() {
    let policy = Standard::default().retry_after(RetryAfter::up_to(60 * SECOND));
    let layer = FailoverLayer::new(policy)
        .deadline(10 * SECOND)
        .without_budget();
    for _ in 0..40 {
        let script = Script::new()
            .then(|_| async { answer(503, &[("retry-after", "8")]) })
            .then(|_| async { status(200) });
        let response = run(layer.clone(), &script, get()).await.unwrap();
        assert_eq!(response.status(), 200, "8 s fit into 10 s");
    }
}

#[tokio::test(start_paused = true)]
async fn each_peer_once_is_each_peer_also_where_peers_are_stayed_with() {
    let peers = [
        ("a", DRAINING),
        ("b", DRAINING),
        ("c", DRAINING),
        ("d", WELL),
    ];
    let policy = Standard::default()
        .retries_per_peer(1)
        .backoff(Backoff::NONE);
    let layer = FailoverLayer::new(policy).max_attempts(0);
    let (code, tried, _) = over(layer, &peers, get()).await;
    assert_eq!(code, 200, "tried only {tried:?}");
}

#[tokio::test(start_paused = true)]
async fn peer_that_is_gone_when_it_is_to_be_tried_again_is_left_for_another() {
    use tower::discover::Change;
    type Changes = tokio::sync::mpsc::UnboundedReceiver<Change<&'static str, Peering>>;
    type Peering =
        tower::util::BoxCloneSyncService<Request<ReplayBody<Body>>, Response<Body>, BoxError>;
    struct Discovered(Changes);
    impl futures_util::Stream for Discovered {
        type Item = Result<Change<&'static str, Peering>, BoxError>;
        fn poll_next(
            mut self: std::pin::Pin<&mut Self>,
            cx: &mut std::task::Context<'_>,
        ) -> std::task::Poll<Option<Self::Item>> {
            self.0.poll_recv(cx).map(|change| change.map(Ok))
        }
    }
    let (changes, discovered) = tokio::sync::mpsc::unbounded_channel();
    let peer = |code| {
        let service = service_fn(move |_: Request<ReplayBody<Body>>| async move { status(code) });
        Peering::new(service)
    };
    changes.send(Change::Insert("a", peer(503))).unwrap();
    let (balance, driver) = Balance::discover(Discovered(discovered));
    tokio::spawn(driver);
    sleep(MS).await;
    let policy = Standard::default()
        .retries_per_peer(1)
        .backoff(|| [100 * MS]);
    let call = FailoverLayer::new(policy).layer(balance).oneshot(get());
    let rollout = async {
        sleep(50 * MS).await;
        changes.send(Change::Insert("b", peer(200))).unwrap();
        changes.send(Change::Remove("a")).unwrap();
    };
    let (response, ()) = tokio::join!(call, rollout);
    assert_eq!(response.unwrap().status(), 200);
}

/// "What a line does not say is as that proxy has it by default": HAProxy waits for a second at most,
/// and reads no `Retry-After`; nor does nginx.
#[tokio::test(start_paused = true)]
async fn retry_line_waits_as_its_proxy_does() {
    let script = Script::new()
        .then(|_| async { answer(503, &[("retry-after", "30")]) })
        .then(|_| async { status(200) });
    let line = RetryLine::haproxy("retry-on 503").unwrap();
    let start = Instant::now();
    let response = run(FailoverLayer::from(line), &script, get()).await;
    assert_eq!(response.unwrap().status(), 200);
    assert!(start.elapsed() <= SECOND, "{:?}", start.elapsed());
}

/// "The condition sees the head as it came to the layer."
#[tokio::test(start_paused = true)]
async fn condition_within_or_sees_the_head_as_it_came() {
    const ATTEMPT: HeaderName = HeaderName::from_static("x-attempt");
    let policy = || on("503").only_if(|head| !head.headers.contains_key(ATTEMPT));
    let outcome = async |layer: FailoverLayer<_>| {
        let script = answering(&[503, 200]);
        run(layer.attempt_header(ATTEMPT).unwrap(), &script, get())
            .await
            .unwrap()
            .status()
    };
    let or = policy().or(on("404"));
    assert_eq!(outcome(FailoverLayer::new(or.clone())).await, 200);
    let script = answering(&[503, 200]);
    let alone = FailoverLayer::new(policy())
        .attempt_header(ATTEMPT)
        .unwrap();
    assert_eq!(run(alone, &script, get()).await.unwrap().status(), 200);
}

/// One policy wants another attempt and may not; the other may.
#[tokio::test(start_paused = true)]
async fn or_is_no_less_than_each_of_its_policies() {
    let drains = || {
        policy_fn(|_, event| match event {
            Event::Response(head) if head.status == 503 => Verdict::failover().unprocessed(),
            _ => Verdict::deliver(),
        })
    };
    assert_eq!(attempts(drains(), &[503, 200], post()).await, 2);
    assert_eq!(
        attempts(drains().or(on("503")), &[503, 200], post()).await,
        2
    );
    assert_eq!(
        attempts(on("503").or(drains()), &[503, 200], post()).await,
        2
    );
}

#[tokio::test(start_paused = true)]
async fn attempts_of_a_request_are_those_of_one_layer() {
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&calls);
    let service = service_fn(move |_: Request<ReplayBody<_>>| {
        counted.fetch_add(1, Relaxed);
        async { Err::<Response<Body>, _>(reset()) }
    });
    let single = layer().max_attempts(1).layer(service);
    let mut request = get();
    request.extensions_mut().insert(MaxAttempts(4));
    let _ = layer()
        .without_budget()
        .layer(single)
        .oneshot(request)
        .await;
    assert_eq!(calls.load(Relaxed), 4);
}
