//! Peers that are gone, that rest, or that nobody wants, where settings meet.

use std::sync::Mutex;

use tokio::time::sleep;
use tower::discover::Change;
use tower::util::BoxCloneSyncService;
use tower_failover::{
    policy::{PolicyExt, RetryAfter},
    trail::{NoPeer, Peer, Trail},
};

use crate::*;

const HOUR: Duration = Duration::from_secs(3_600);
type Sent = Request<ReplayBody<Body>>;
type Boxed = BoxCloneSyncService<Sent, Response<Body>, BoxError>;
type Log = Arc<Mutex<Vec<(&'static str, Duration)>>>;

/// An endpoint that notes when it was called, and answers in turn.
fn noted(
    log: &Log,
    start: Instant,
    name: &'static str,
    answers: &'static [(u16, Headers)],
) -> Endpoint<Boxed> {
    let (log, calls) = (Arc::clone(log), Arc::new(AtomicUsize::new(0)));
    let service = service_fn(move |request: Sent| {
        log.lock().unwrap().push((name, start.elapsed()));
        let call = calls.fetch_add(1, Relaxed);
        async move {
            body(request).await;
            let (code, headers) = answers[call.min(answers.len() - 1)];
            match code {
                0 => Err(reset()),
                _ => answer(code, headers),
            }
        }
    });
    Endpoint::new(name, Boxed::new(service))
}

struct Discovered(tokio::sync::mpsc::UnboundedReceiver<Change<&'static str, Boxed>>);
impl futures_util::Stream for Discovered {
    type Item = Result<Change<&'static str, Boxed>, BoxError>;
    fn poll_next(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Self::Item>> {
        self.0.poll_recv(cx).map(|change| change.map(Ok))
    }
}

fn plain(
    log: &Log,
    start: Instant,
    name: &'static str,
    answers: &'static [(u16, Headers)],
) -> Boxed {
    let (log, calls) = (Arc::clone(log), Arc::new(AtomicUsize::new(0)));
    Boxed::new(service_fn(move |_: Sent| {
        log.lock().unwrap().push((name, start.elapsed()));
        let call = calls.fetch_add(1, Relaxed);
        let (code, headers) = answers[call.min(answers.len() - 1)];
        async move { answer(code, headers) }
    }))
}

#[tokio::test(start_paused = true)]
async fn held_refusal_of_a_get_is_better_than_a_502() {
    let script = answering(&[503, 0]);
    let policy = Standard::default()
        .refused_on("503".parse().unwrap())
        .backoff(Backoff::NONE);
    let result = run(FailoverLayer::new(policy).max_attempts(2), &script, get()).await;
    let got = result.map(|r| r.status().as_u16()).map_err(|e| e.kind());
    assert_eq!(got, Ok(503));
}

#[tokio::test(start_paused = true)]
async fn peer_that_is_gone_does_not_shorten_the_rest_of_the_one_that_is_left() {
    let (log, start) = (Log::default(), Instant::now());
    const ASKS: &[(u16, Headers)] = &[(503, &[("retry-after", "3")])];
    let (changes, discovered) = tokio::sync::mpsc::unbounded_channel();
    changes
        .send(Change::Insert("a", plain(&log, start, "a", DRAINING)))
        .unwrap();
    let (balance, driver) = Balance::discover(Discovered(discovered));
    let balance = balance.pick(InOrder);
    tokio::spawn(driver);
    sleep(MS).await;
    let policy = Standard::default()
        .reuse_tried(true)
        .backoff(|| std::iter::repeat(100 * MS));
    let call = FailoverLayer::new(policy).layer(balance).oneshot(get());
    let (b_log, rolled) = (Arc::clone(&log), changes);
    let rollout = async move {
        sleep(50 * MS).await;
        rolled
            .send(Change::Insert("b", plain(&b_log, start, "b", ASKS)))
            .unwrap();
        rolled.send(Change::Remove("a")).unwrap();
    };
    let (_, ()) = tokio::join!(call, rollout);
    // a at once, b after the delay, and then nobody for 3 s.
    let b: Vec<_> = log
        .lock()
        .unwrap()
        .iter()
        .filter(|(n, _)| *n == "b")
        .map(|(_, at)| *at)
        .collect();
    assert!(b.len() < 2 || b[1] - b[0] >= 3 * SECOND, "{log:?}");
}

#[tokio::test(start_paused = true)]
async fn wait_that_does_not_fit_into_the_retry_window_is_no_reason_to_deliver() {
    const ASKS: &[(u16, Headers)] = &[(503, &[("retry-after", "3")])];
    let policy = Standard::default().retries_per_peer(1);
    let layer = FailoverLayer::new(policy).retry_window(SECOND);
    let (code, ..) = over(layer, &[("a", ASKS), ("b", WELL)], get()).await;
    assert_eq!(code, 200);
}

/// Names peers, and cannot tell which are left.
fn blind(log: &Log, start: Instant) -> Boxed {
    let log = Arc::clone(log);
    Boxed::new(service_fn(move |request: Sent| {
        let trail = Trail::of(request.extensions()).unwrap().clone();
        let log = Arc::clone(&log);
        async move {
            if !trail.allows(&Peer::new("a")) && !trail.allows_tried() {
                return Err(NoPeer::exhausted().into());
            }
            assert!(trail.choose(&Peer::new("a"), None));
            log.lock().unwrap().push(("a", start.elapsed()));
            answer(503, &[("retry-after", "3")])
        }
    }))
}

#[tokio::test(start_paused = true)]
async fn or_does_not_call_a_tried_peer_without_the_delay_of_the_one_who_allows_it() {
    let (log, start) = (Log::default(), Instant::now());
    let policy = Standard::default().or(Standard::default().reuse_tried(true));
    let _ = FailoverLayer::new(policy)
        .layer(blind(&log, start))
        .oneshot(get())
        .await;
    let second = log.lock().unwrap().get(1).map(|(_, at)| *at);
    assert!(second.is_none_or(|at| at >= 3 * SECOND), "{log:?}");
}

#[tokio::test(start_paused = true)]
async fn control_alone_it_waits() {
    let (log, start) = (Log::default(), Instant::now());
    let policy = Standard::default().reuse_tried(true);
    let _ = FailoverLayer::new(policy)
        .layer(blind(&log, start))
        .oneshot(get())
        .await;
    let second = log.lock().unwrap().get(1).map(|(_, at)| *at);
    assert!(second.is_some_and(|at| at >= 3 * SECOND), "{log:?}");
}

/// Never ready for its second call until so long has passed, then balances.
#[derive(Clone)]
struct Slow<S> {
    inner: S,
    calls: Arc<AtomicUsize>,
    sleep: Arc<Mutex<Option<std::pin::Pin<Box<tokio::time::Sleep>>>>>,
}

impl<S: Service<Sent, Response = Response<R>, Error = BoxError>, R> Service<Sent> for Slow<S> {
    type Response = S::Response;
    type Error = BoxError;
    type Future = S::Future;
    fn poll_ready(
        &mut self,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Result<(), BoxError>> {
        if self.calls.load(Relaxed) == 1 {
            let mut sleep = self.sleep.lock().unwrap();
            let sleep = sleep.get_or_insert_with(|| Box::pin(tokio::time::sleep(950 * MS)));
            std::task::ready!(sleep.as_mut().poll(cx));
        }
        self.inner.poll_ready(cx)
    }
    fn call(&mut self, request: Sent) -> S::Future {
        self.calls.fetch_add(1, Relaxed);
        self.inner.call(request)
    }
}

#[tokio::test(start_paused = true)]
async fn peer_is_not_ejected_for_the_time_that_readiness_took() {
    let b_calls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&b_calls);
    let a_calls = Arc::new(AtomicUsize::new(0));
    let a_counted = Arc::clone(&a_calls);
    let a = Boxed::new(service_fn(move |_: Sent| {
        a_counted.fetch_add(1, Relaxed);
        async { status(500) }
    }));
    let b = Boxed::new(service_fn(move |_: Sent| {
        counted.fetch_add(1, Relaxed);
        async {
            sleep(90 * MS).await; // less than its time
            status(200)
        }
    }));
    let c = Boxed::new(service_fn(|_: Sent| async { status(299) }));
    let peers = [
        Endpoint::new("a", a),
        Endpoint::new("b", b),
        Endpoint::new("c", c),
    ];
    let balance = Balance::new(peers).pick(InOrder).eject(1, HOUR);
    let layer = FailoverLayer::new(on("500"))
        .max_attempts(2)
        .per_try_timeout(100 * MS)
        .deadline(SECOND)
        .lift_per_try_timeout_on_last();
    let service = Slow {
        inner: balance.clone(),
        calls: Arc::default(),
        sleep: Arc::default(),
    };
    let _ = layer.layer(service).oneshot(get()).await;
    assert_eq!((a_calls.load(Relaxed), b_calls.load(Relaxed)), (1, 1));
    let response = layer.layer(balance).oneshot(get()).await.unwrap();
    assert_eq!(
        response.status(),
        200,
        "b was ejected after 50 ms of its 100"
    );
}

#[tokio::test(start_paused = true)]
async fn peer_whose_time_is_over_is_charged_also_when_the_client_then_goes() {
    for lifted in [false, true] {
        let calls = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&calls);
        let hangs = Boxed::new(service_fn(move |request: Sent| {
            counted.fetch_add(1, Relaxed);
            async {
                body(request).await;
                std::future::pending().await
            }
        }));
        let well = Boxed::new(service_fn(|_: Sent| async { status(200) }));
        let peers = [Endpoint::new("a", hangs), Endpoint::new("b", well)];
        let balance = Balance::new(peers).pick(InOrder).eject(1, HOUR);
        let mut layer = layer()
            .max_attempts(1)
            .per_try_timeout(100 * MS)
            .deadline(60 * SECOND);
        if lifted {
            layer = layer.lift_per_try_timeout_on_last();
        }
        for _ in 0..5 {
            let call = layer.layer(balance.clone()).oneshot(post());
            let _ = tokio::time::timeout(30 * SECOND, call).await;
        }
        assert_eq!(calls.load(Relaxed), 1, "lifted: {lifted}");
    }
}

#[tokio::test(start_paused = true)]
async fn unbound_attempt_leaves_the_new_peer_its_retries() {
    let (log, start) = (Log::default(), Instant::now());
    const THEN_WELL: &[(u16, Headers)] = &[(503, &[]), (200, &[])];
    let (changes, discovered) = tokio::sync::mpsc::unbounded_channel();
    changes
        .send(Change::Insert("a", plain(&log, start, "a", DRAINING)))
        .unwrap();
    let (balance, driver) = Balance::discover(Discovered(discovered));
    tokio::spawn(driver);
    sleep(MS).await;
    let policy = Standard::default()
        .retries_per_peer(1)
        .backoff(|| [100 * MS, 100 * MS]);
    let call = FailoverLayer::new(policy).layer(balance).oneshot(get());
    let (b_log, rolled) = (Arc::clone(&log), changes);
    let rollout = async move {
        sleep(50 * MS).await;
        rolled
            .send(Change::Insert("b", plain(&b_log, start, "b", THEN_WELL)))
            .unwrap();
        rolled.send(Change::Remove("a")).unwrap();
        sleep(HOUR).await;
    };
    let response = tokio::select! { r = call => r, () = rollout => panic!() };
    assert_eq!(response.unwrap().status(), 200, "{log:?}");
}

#[tokio::test(start_paused = true)]
async fn unbound_attempt_may_go_to_a_tried_peer_where_those_are_used_again() {
    let (log, start) = (Log::default(), Instant::now());
    const THEN_WELL: &[(u16, Headers)] = &[(503, &[]), (503, &[]), (200, &[])];
    let (changes, discovered) = tokio::sync::mpsc::unbounded_channel();
    changes
        .send(Change::Insert("a", plain(&log, start, "a", THEN_WELL)))
        .unwrap();
    changes
        .send(Change::Insert("b", plain(&log, start, "b", DRAINING)))
        .unwrap();
    let (balance, driver) = Balance::discover(Discovered(discovered));
    let balance = balance.pick(InOrder);
    tokio::spawn(driver);
    sleep(MS).await;
    let policy = Standard::default()
        .retries_per_peer(1)
        .reuse_tried(true)
        .backoff(|| std::iter::repeat(100 * MS));
    let layer = FailoverLayer::new(policy).max_attempts(9);
    let call = layer.layer(balance).oneshot(get());
    let rollout = async move {
        sleep(150 * MS).await; // a, a, b; b is to be tried again
        changes.send(Change::Remove("b")).unwrap();
        sleep(HOUR).await;
    };
    let response = tokio::select! { r = call => r, () = rollout => panic!() };
    assert_eq!(response.unwrap().status(), 200, "{log:?}");
}

#[tokio::test(start_paused = true)]
async fn bound_peer_that_is_gone_is_left_for_another_also_by_who_picks_blindly() {
    let service = service_fn(|request: Sent| async move {
        let trail = Trail::of(request.extensions()).unwrap();
        let peer = Peer::new(if trail.attempt() == 1 { "a" } else { "b" });
        if !trail.allows(&peer) {
            return Err(NoPeer::tried().into());
        }
        assert!(trail.choose(&peer, None));
        status(if trail.attempt() == 1 { 503 } else { 200 })
    });
    let policy = Standard::default().retries_per_peer(1);
    let response = FailoverLayer::new(policy)
        .layer(service)
        .oneshot(get())
        .await;
    assert_eq!(response.unwrap().status(), 200);
}

#[tokio::test(start_paused = true)]
async fn limited_is_not_used_up_by_what_the_other_policy_decides() {
    let policy = on("503").or(on("503,500").limited(1));
    assert_eq!(attempts(policy, &[503, 500, 200], get()).await, 3);
}

#[tokio::test(start_paused = true)]
async fn series_is_not_used_up_by_what_the_other_policy_decides() {
    let policy = on("503").or(on("503,500").backoff(|| [MS]));
    assert_eq!(attempts(policy, &[503, 500, 200], get()).await, 3);
}

#[tokio::test(start_paused = true)]
async fn or_is_no_less_than_one_that_ignores_retry_after() {
    let asks = || {
        Script::new()
            .then(|_| async { answer(503, &[("retry-after", "60")]) })
            .then(|_| async { status(200) })
    };
    let ignores = || Standard::default().retry_after(RetryAfter::IGNORED);
    let alone = run(FailoverLayer::new(ignores()), &asks(), get())
        .await
        .unwrap();
    assert_eq!(alone.status(), 200);
    let or = run(
        FailoverLayer::new(Standard::default().or(ignores())),
        &asks(),
        get(),
    )
    .await
    .unwrap();
    assert_eq!(or.status(), 200);
}

#[tokio::test(start_paused = true)]
async fn real_response_of_a_get_is_better_than_a_502_of_a_refused_connection() {
    let script = answering(&[404, 503, 1]);
    let policy = on("404,connect-failure").refused_on("503".parse().unwrap());
    let result = run(FailoverLayer::new(policy).max_attempts(3), &script, get()).await;
    let got = result.map(|r| r.status().as_u16()).map_err(|e| e.kind());
    assert!(got.is_ok(), "{got:?}");
}

/// "Where each peer is tried once, the one that knows of no untried peer."
#[tokio::test(start_paused = true)]
async fn last_of_each_peer_once_may_take_longer_also_where_there_are_two() {
    for fails in [1_usize, 2] {
        let failing = |code| Boxed::new(service_fn(move |_: Sent| async move { status(code) }));
        let slow = Boxed::new(service_fn(|_: Sent| async {
            sleep(300 * MS).await;
            status(200)
        }));
        let mut peers = vec![
            Endpoint::new("a", failing(503)),
            Endpoint::new("b", failing(503)),
        ];
        peers.truncate(fails);
        peers.push(Endpoint::new("slow", slow));
        let balance = Balance::new(peers).pick(InOrder);
        let layer = layer()
            .max_attempts(0)
            .per_try_timeout(100 * MS)
            .deadline(SECOND)
            .lift_per_try_timeout_on_last();
        let outcome = layer.layer(balance).oneshot(get()).await;
        assert_eq!(outcome.unwrap().status(), 200, "{} peers", fails + 1);
    }
}

/// Picks the peer that a header names, and no other.
struct Named;

impl tower_failover::balance::Pick for Named {
    fn pick(&self, candidates: &tower_failover::balance::Candidates<'_>) -> Option<usize> {
        let named = |index: &usize| {
            candidates
                .get(*index)
                .is_some_and(|peer| peer.name() == "a")
        };
        candidates.indices().find(named)
    }
}

#[tokio::test(start_paused = true)]
async fn strategy_that_wants_none_of_the_untried_may_have_a_tried_one() {
    let (log, start) = (Log::default(), Instant::now());
    const THEN_WELL: &[(u16, Headers)] = &[(503, &[]), (200, &[])];
    let peers = [
        noted(&log, start, "a", THEN_WELL),
        noted(&log, start, "c", WELL),
    ];
    let balance = Balance::new(peers).pick(Named);
    let policy = Standard::default().reuse_tried(true);
    let response = FailoverLayer::new(policy)
        .layer(balance)
        .oneshot(get())
        .await
        .unwrap();
    assert_eq!(response.status(), 200, "{log:?}");
}

#[test]
fn headers_of_their_own_names_are_no_misspellings() {
    for name in ["rpc-timeout", "x-grpc-timeout"] {
        let name = http::HeaderName::from_static(name);
        assert!(
            tower_failover::limits::DeadlineHeader::named(name.clone()).is_ok(),
            "{name}"
        );
    }
}

/// Rests and attempts that reached no peer.
#[tokio::test(start_paused = true)]
async fn attempt_without_a_peer_does_not_shorten_a_rest() {
    #[derive(Clone)]
    struct Unready<S>(S, Arc<AtomicUsize>);
    impl<S: Service<Sent, Response = Response<R>, Error = BoxError>, R> Service<Sent> for Unready<S> {
        type Response = S::Response;
        type Error = BoxError;
        type Future = S::Future;
        fn poll_ready(
            &mut self,
            cx: &mut std::task::Context<'_>,
        ) -> std::task::Poll<Result<(), BoxError>> {
            if self.1.fetch_add(1, Relaxed) == 1 {
                return std::task::Poll::Ready(Err(refused()));
            }
            self.0.poll_ready(cx)
        }
        fn call(&mut self, request: Sent) -> S::Future {
            self.0.call(request)
        }
    }
    let (log, start) = (Log::default(), Instant::now());
    const ASKS: &[(u16, Headers)] = &[(503, &[("retry-after", "3")])];
    let balance = Balance::new([noted(&log, start, "a", ASKS)]).pick(InOrder);
    let policy = Standard::default()
        .reuse_tried(true)
        .backoff(|| std::iter::repeat(MS));
    let layer = FailoverLayer::new(policy).max_attempts(4);
    let _ = layer
        .layer(Unready(balance, Arc::default()))
        .oneshot(get())
        .await;
    let times: Vec<_> = log.lock().unwrap().iter().map(|(_, at)| *at).collect();
    assert!(
        times.windows(2).all(|pair| pair[1] - pair[0] >= 3 * SECOND),
        "{times:?}"
    );
}
