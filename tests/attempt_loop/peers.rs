//! Failover and the balancers below it.

use std::sync::Mutex;

use tower::{Service, buffer::Buffer, limit::ConcurrencyLimit, service_fn};
use tower_failover::{
    balance::{Balance, Endpoint, InOrder, Untried},
    limits::Budget,
    policy::{Verdict, policy_fn},
    report::Report,
    trail::{NoPeer, Peer, Trail},
};

use crate::support::{
    script::{Answer, status},
    strict::Strict,
};
use crate::*;

/// An endpoint for each script, named `a`, `b`, and so on.
fn balance(scripts: &[Script<Body>]) -> Balance<Strict<Script<Body>>> {
    let names = ["a", "b", "c", "d"];
    let endpoints = names.into_iter().zip(scripts);
    Balance::new(endpoints.map(|(name, script)| Endpoint::new(name, script.strict()))).pick(InOrder)
}

async fn over<P>(
    layer: FailoverLayer<P>,
    scripts: &[Script<Body>],
    request: Request<Body>,
) -> Result<(u16, Vec<String>), Error>
where
    P: Policy + Clone,
{
    let service = layer.layer(Strict::new(balance(scripts)));
    service.oneshot(request).await.map(|response| {
        let report = response.extensions().get::<Report>().cloned();
        let names = report.unwrap_or_default();
        let names = names.attempts().iter().filter_map(|tried| tried.peer());
        let names = names.map(|peer| peer.name().to_owned()).collect();
        (response.status().as_u16(), names)
    })
}

fn answering(code: u16) -> Script<Body> {
    Script::new().then(move |_| async move { status(code) })
}

#[tokio::test(start_paused = true)]
async fn tried_peer_is_not_tried_again_while_another_is_left() {
    let scripts = [answering(503), answering(502), answering(200)];
    let got = over(layer(), &scripts, get()).await;
    let peers = ["a", "b", "c"].map(str::to_owned).to_vec();
    assert_eq!(got.unwrap(), (200, peers));
}

#[tokio::test(start_paused = true)]
async fn without_an_untried_peer_the_response_is_relayed_at_once() {
    let scripts = [answering(503)];
    let got = over(layer(), &scripts, get()).await;
    assert_eq!(got.unwrap(), (503, vec![]));
}

#[tokio::test(start_paused = true)]
async fn tried_peer_is_used_again_only_if_the_policy_allows_it() {
    let script = || answering(503).then(|_| async { status(200) });
    let layer = FailoverLayer::new(Standard::default().reuse_tried(true));
    let got = over(layer, &[script()], get()).await;
    let peers = ["a", "a"].map(str::to_owned).to_vec();
    assert_eq!(got.unwrap(), (200, peers));
}

#[tokio::test(start_paused = true)]
async fn retry_stays_with_its_peer_and_failover_leaves_it() {
    let policy = policy_fn(|attempt, _| match attempt.number() {
        1 => Verdict::retry(),
        2 => Verdict::failover(),
        _ => Verdict::deliver(),
    });
    let scripts = [
        answering(503).then(|_| async { status(503) }),
        answering(200),
    ];
    let got = over(FailoverLayer::new(policy), &scripts, get()).await;
    let peers = ["a", "a", "b"].map(str::to_owned).to_vec();
    assert_eq!(got.unwrap(), (200, peers));
}

#[tokio::test(start_paused = true)]
async fn policy_sees_the_peers_and_whether_another_is_left() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let policy = policy_fn({
        let seen = Arc::clone(&seen);
        move |attempt, _| {
            let peers: Vec<_> = attempt.peers().iter().map(Peer::to_string).collect();
            let seen = &mut seen.lock().unwrap();
            seen.push((peers.join(" "), attempt.has_untried_peer()));
            Verdict::failover()
        }
    });
    let scripts = [answering(503), answering(503)];
    over(FailoverLayer::new(policy), &scripts, get())
        .await
        .unwrap();
    let expected = [
        ("a".to_owned(), Some(true)),
        ("a b".to_owned(), Some(false)),
    ];
    assert_eq!(*seen.lock().unwrap(), expected);
}

#[tokio::test(start_paused = true)]
async fn each_peer_once_is_as_many_attempts_as_there_are_peers() {
    let scripts = [(); 4].map(|()| answering(404));
    let layer = FailoverLayer::new(Standard::new("404".parse().unwrap())).max_attempts(0);
    let (code, peers) = over(layer, &scripts, get()).await.unwrap();
    assert_eq!((code, peers.len()), (404, 4));
}

#[tokio::test(start_paused = true)]
async fn no_peer_at_all_is_no_attempt() {
    let error = over(layer(), &[], get()).await.unwrap_err();
    assert_eq!((error.kind(), error.attempts()), (FailureKind::NoPeer, 0));
    assert_eq!(
        (error.stage(), error.status().as_u16()),
        (Stage::NotSent, 503)
    );
}

#[tokio::test(start_paused = true)]
async fn what_was_not_sent_to_a_dead_peer_is_not_charged_to_the_budget() {
    let budget = Budget::new(0.0, 1).unwrap();
    let layer = layer().budget(budget.clone());
    for _ in 0..20 {
        let dead = Script::new().then(|_| async { Err(refused()) });
        let (code, _) = over(layer.clone(), &[dead, answering(200)], get())
            .await
            .unwrap();
        assert_eq!(code, 200);
    }
    assert_eq!(budget.available(), 1);
    let scripts = [answering(503), answering(200)];
    over(layer, &scripts, get()).await.unwrap();
    assert_eq!(budget.available(), 0);
}

#[tokio::test(start_paused = true)]
async fn overload_of_a_chosen_peer_goes_to_another() {
    let overloaded = || -> BoxError { tower::load_shed::error::Overloaded::new().into() };
    let full = Script::new().then(move |_| async move { Err(overloaded()) });
    let (code, _) = over(layer(), &[full, answering(200)], post())
        .await
        .unwrap();
    assert_eq!(code, 200);
}

#[tokio::test(start_paused = true)]
async fn endpoint_that_is_not_ready_was_sent_nothing() {
    let broken = Script::new().ready([Some(reset())]);
    let (code, peers) = over(layer(), &[broken, answering(200)], post())
        .await
        .unwrap();
    assert_eq!((code, peers), (200, ["a", "b"].map(str::to_owned).to_vec()));
}

/// Picks its peers in a fixed order, without looking at the request.
fn blind(
    picks: &'static [&'static str],
    calls: &Arc<Mutex<Vec<&'static str>>>,
) -> impl Service<Request<ReplayBody<Body>>, Response = Response<Body>, Error = BoxError, Future: Send>
+ Clone {
    let next = Arc::new(Mutex::new(picks.iter().copied()));
    let calls = Arc::clone(calls);
    service_fn(move |request: Request<ReplayBody<Body>>| {
        let name = next.lock().unwrap().next();
        let calls = Arc::clone(&calls);
        async move {
            let Some(name) = name else {
                return Err(NoPeer::tried().into());
            };
            let endpoint = service_fn(move |_| {
                calls.lock().unwrap().push(name);
                async { Ok::<_, io::Error>(status(503).unwrap()) }
            });
            Untried::new(name, endpoint).oneshot(request).await
        }
    })
}

#[tokio::test(start_paused = true)]
async fn refusals_of_a_blind_balancer_are_no_attempts() {
    let calls = Arc::default();
    let layer = layer();
    let service = layer.layer(Strict::new(blind(
        &["a", "a", "a", "b", "b", "a", "c"],
        &calls,
    )));
    let response = service.oneshot(get()).await.unwrap();
    assert_eq!(response.status(), 503);
    assert_eq!(*calls.lock().unwrap(), ["a", "b", "c"]);
    let report: &Report = response.extensions().get().unwrap();
    assert_eq!(report.attempts().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn blind_balancer_without_another_peer_is_taken_at_its_word() {
    let calls = Arc::default();
    let budget = Budget::new(0.0, 5).unwrap();
    let layer = layer().budget(budget.clone());
    let service = layer.layer(Strict::new(blind(&["a", "a"], &calls)));
    let response = service.oneshot(get()).await.unwrap();
    assert_eq!(response.status(), 503);
    assert_eq!(*calls.lock().unwrap(), ["a"]);
    // Nobody was called the second time.
    assert_eq!(budget.available(), 5);
}

#[tokio::test(start_paused = true)]
async fn attempt_that_timed_out_in_a_buffer_cannot_speak_or_be_sent_later() {
    let calls = Arc::new(Mutex::new(Vec::new()));
    let released = Arc::new(tokio::sync::Notify::new());
    let trails = Arc::new(Mutex::new(Vec::<Trail>::new()));
    let slow = service_fn({
        let (calls, released, trails) = (
            Arc::clone(&calls),
            Arc::clone(&released),
            Arc::clone(&trails),
        );
        move |request: Request<ReplayBody<Body>>| {
            let trail = Trail::of(request.extensions()).cloned().unwrap();
            let first = trail.attempt() == 1;
            trails.lock().unwrap().push(trail);
            let (calls, released) = (Arc::clone(&calls), Arc::clone(&released));
            async move {
                if first {
                    released.notified().await;
                }
                let endpoint = Untried::new(
                    if first { "late" } else { "prompt" },
                    service_fn(move |_| {
                        calls.lock().unwrap().push(first);
                        async { Ok::<_, io::Error>(status(200).unwrap()) }
                    }),
                );
                endpoint.oneshot(request).await as Answer
            }
        }
    });
    let spawned = service_fn(move |request| {
        // A worker goes on when nobody waits any more.
        let work = tokio::spawn(slow.clone().oneshot(request));
        async move { work.await.unwrap() }
    });
    let layer = layer().per_try_timeout(100 * MS);
    let service = layer.layer(Buffer::new(spawned, 4));
    let response = service.oneshot(get()).await.unwrap();
    released.notify_one();
    tokio::task::yield_now().await;
    tokio::task::yield_now().await;
    assert_eq!(*calls.lock().unwrap(), [false]);
    let report: &Report = response.extensions().get().unwrap();
    let peers: Vec<_> = report.attempts().iter().map(|tried| tried.peer()).collect();
    assert_eq!(peers, [None, Some(&Peer::new("prompt"))]);
    let late = trails.lock().unwrap()[0].clone();
    assert!(!late.choose(&Peer::new("late"), None));
    assert_eq!(late.ended(), Some(tower_failover::trail::Ended::TimedOut));
}

#[tokio::test(start_paused = true)]
async fn each_peer_once_ends_where_tried_peers_may_be_used_again() {
    let calls = Arc::default();
    let policy = Standard::default().reuse_tried(true).backoff(Backoff::NONE);
    let layer = FailoverLayer::new(policy).max_attempts(0);
    let service = layer.layer(Strict::new(blind(&["a"; 99], &calls)));
    let response = service.oneshot(get()).await.unwrap();
    assert_eq!(response.status(), 503);
    assert_eq!(*calls.lock().unwrap(), ["a"; 3]);
}

#[tokio::test(start_paused = true)]
async fn blind_balancer_may_use_a_tried_peer_only_when_it_finds_no_other() {
    let calls = Arc::default();
    let policy = Standard::default().reuse_tried(true).backoff(Backoff::NONE);
    let layer = FailoverLayer::new(policy).max_attempts(2);
    let service = layer.layer(Strict::new(blind(&["a", "a", "a", "b"], &calls)));
    service.oneshot(get()).await.unwrap();
    assert_eq!(*calls.lock().unwrap(), ["a", "b"]);
}

/// A service with one place, and what has taken it.
fn full() -> (Limited, Limited) {
    let full = ConcurrencyLimit::new(answering(200), 1);
    let mut holder = full.clone();
    let mut noop = std::task::Context::from_waker(std::task::Waker::noop());
    assert!(Service::<Request<ReplayBody<Body>>>::poll_ready(&mut holder, &mut noop).is_ready());
    (full, holder)
}

type Limited = ConcurrencyLimit<Script<Body>>;

#[tokio::test(start_paused = true)]
async fn endpoint_that_is_not_ready_is_passed_over_for_one_that_is() {
    let ((full, _holder), (well, free)) = (self::full(), self::full());
    drop(free);
    let peers = [Endpoint::new("full", full), Endpoint::new("well", well)];
    let service = FailoverLayer::default().layer(Balance::new(peers).pick(InOrder));
    let response = service.oneshot(get()).await.unwrap();
    assert_eq!(response.status(), 200);
    assert!(Report::of(response.extensions()).is_none(), "one attempt");
}

#[tokio::test(start_paused = true)]
async fn endpoint_that_is_never_ready_was_sent_nothing_and_is_left() {
    for request in [get(), post()] {
        let [(one, _one), (other, _other)] = [full(), full()];
        let peers = [Endpoint::new("one", one), Endpoint::new("other", other)];
        let layer = FailoverLayer::default().per_try_timeout(100 * MS);
        let service = layer.layer(Balance::new(peers).pick(InOrder));
        let error = service.oneshot(request).await.unwrap_err();
        assert_eq!(
            error.report().to_string(),
            "one: no response in time, other: no response in time"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn retry_that_did_not_start_is_given_back_before_the_next_is_taken() {
    let budget = Budget::new(0.0, 1).unwrap();
    let script = Script::new()
        .ready([None, Some(reset())])
        .then(|_| async { status(503) })
        .then(|_| async { status(200) });
    let layer = layer().budget(budget.clone());
    assert_eq!(outcome_of(layer, &script, get()).await, Ok(200));
    assert_eq!(budget.available(), 0);
}

#[tokio::test(start_paused = true)]
async fn client_that_goes_away_is_told_apart_from_a_slow_peer() {
    let trails = Arc::new(Mutex::new(Vec::<Trail>::new()));
    let keep = Arc::clone(&trails);
    let service = service_fn(move |request: Request<ReplayBody<Body>>| {
        let trail = Trail::of(request.extensions()).cloned();
        keep.lock().unwrap().extend(trail);
        std::future::pending::<Answer>()
    });
    let mut sending = Box::pin(layer().layer(service).oneshot(get()));
    assert!(futures_util::poll!(&mut sending).is_pending());
    drop(sending);
    let trail = trails.lock().unwrap()[0].clone();
    assert_eq!(trail.ended(), Some(tower_failover::trail::Ended::Abandoned));
    assert!(!trail.is_current());
}

/// Regions of peers, in order.
async fn over_regions(
    regions: &[&[(&'static str, Script<Body>)]],
    request: Request<Body>,
) -> String {
    let regions = regions.iter().enumerate().map(|(index, peers)| {
        let peers = peers.iter();
        let peers = peers.map(|(name, script)| Endpoint::new(*name, script.strict()));
        let peers = Balance::new(peers).pick(InOrder);
        Endpoint::new(format!("region {index}"), Strict::new(peers))
    });
    let service = layer()
        .max_attempts(0)
        .layer(Balance::new(regions).pick(InOrder));
    match service.oneshot(request).await {
        Ok(response) => {
            let report = Report::of(response.extensions()).map(Report::to_string);
            report.unwrap_or_else(|| response.status().to_string())
        }
        Err(error) => format!("{error}: {}", error.report()),
    }
}

#[tokio::test(start_paused = true)]
async fn region_is_left_when_it_has_nobody_left() {
    let near = [("a", answering(503)), ("b", answering(502))];
    let far = [("c", answering(200))];
    assert_eq!(
        over_regions(&[&near, &[], &far], get()).await,
        "a: status 503, b: status 502, c: status 200"
    );
}

#[tokio::test(start_paused = true)]
async fn region_that_has_nobody_from_the_start_is_left_at_once() {
    let far = [("c", answering(200))];
    assert_eq!(over_regions(&[&[], &[], &far], post()).await, "200 OK");
}

#[tokio::test(start_paused = true)]
async fn regions_that_all_have_nobody_left_relay_the_last_response() {
    let got = over_regions(&[&[("a", answering(503))], &[], &[]], get()).await;
    assert_eq!(got, "503 Service Unavailable");
    let got = over_regions(&[&[], &[]], get()).await;
    assert_eq!(got, "no peer available: ");
}
