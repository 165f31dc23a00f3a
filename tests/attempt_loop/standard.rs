//! What the standard policy can be set to.

use std::{
    iter,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};

use tokio::time::Instant;
use tower_failover::policy::{NonIdempotent, RetryAfter};

use crate::*;

const NONE: Headers = &[];
const BUSY: (u16, Headers) = (503, NONE);

/// The delays before further attempts over one nameless service that answers with each of `answers`
/// in turn.
async fn delays(layer: FailoverLayer, answers: &[(u16, Headers)]) -> Vec<Duration> {
    let starts: Arc<Mutex<Vec<Instant>>> = Arc::default();
    let script = answers.iter().fold(Script::new(), |script, answered| {
        let (starts, (code, headers)) = (Arc::clone(&starts), *answered);
        script.then(move |_| async move {
            starts.lock().unwrap().push(Instant::now());
            answer(code, headers)
        })
    });
    run(layer, &script, get()).await.unwrap();
    let starts = starts.lock().unwrap();
    starts.windows(2).map(|pair| pair[1] - pair[0]).collect()
}

fn patient(policy: Standard) -> FailoverLayer {
    let policy = policy.retry_after(RetryAfter::up_to(60 * SECOND));
    FailoverLayer::new(policy).max_attempts(9).without_budget()
}

fn impatient(policy: Standard) -> FailoverLayer {
    FailoverLayer::new(policy).max_attempts(9).without_budget()
}

#[tokio::test(start_paused = true)]
async fn delays_are_those_of_the_iterator_and_its_end_is_the_end() {
    let policy = Standard::default().backoff(|| [SECOND, Duration::ZERO, 3 * SECOND]);
    let delays = delays(patient(policy), &[BUSY; 9]).await;
    assert_eq!(delays, [SECOND, Duration::ZERO, 3 * SECOND]);
}

#[tokio::test(start_paused = true)]
async fn each_request_has_a_series_of_its_own() {
    let started = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&started);
    let policy = Standard::default().backoff(move || {
        counted.fetch_add(1, Relaxed);
        iter::repeat_n(SECOND, 1)
    });
    let layer = patient(policy);
    for _ in 0..3 {
        assert_eq!(delays(layer.clone(), &[BUSY; 9]).await, [SECOND]);
    }
    // A request that does not fail draws none.
    assert_eq!(delays(layer, &[(200, NONE)]).await, []);
    assert_eq!(started.load(Relaxed), 3);
}

#[tokio::test(start_paused = true)]
async fn delay_never_runs_over_the_deadline() {
    let policy = Standard::default().backoff(|| [SECOND, 5 * SECOND]);
    let layer = patient(policy).deadline(5 * SECOND);
    let start = Instant::now();
    assert_eq!(delays(layer, &[BUSY; 9]).await, [SECOND]);
    assert_eq!(start.elapsed(), SECOND);
}

fn is_between(delay: Duration, least: u32, most: u32) -> bool {
    (SECOND * least..SECOND * most).contains(&delay)
}

#[tokio::test(start_paused = true)]
async fn retry_after_stands_in_for_one_delay_and_is_jittered_upward() {
    let policy = Standard::default().backoff(|| (1..).map(|n| n * MS));
    let answers: &[(u16, Headers)] = &[
        (503, &[("retry-after", "2")]),
        (503, &[]),
        (503, &[("retry-after", "10")]),
        (503, &[("retry-after", "0")]),
        (200, &[]),
    ];
    let delays = delays(patient(policy), answers).await;
    assert_eq!(delays.len(), 4);
    assert!(is_between(delays[0], 2, 3), "{delays:?}");
    assert_eq!(delays[1], MS);
    assert!(is_between(delays[2], 10, 15), "{delays:?}");
    assert_eq!(delays[3], 2 * MS);
}

#[tokio::test(start_paused = true)]
async fn retry_after_is_jittered() {
    let layer = patient(Standard::default());
    let answers: &[(u16, Headers)] = &[(503, &[("retry-after", "10")]), (200, &[])];
    let mut seen = Vec::new();
    for _ in 0..20 {
        seen.extend(delays(layer.clone(), answers).await);
    }
    assert!(seen.iter().any(|delay| is_between(*delay, 10, 12)));
    assert!(seen.iter().any(|delay| is_between(*delay, 13, 15)));
}

#[tokio::test(start_paused = true)]
async fn retry_after_that_does_not_fit_delivers_at_once() {
    let headers: Headers = &[("retry-after", "30")];
    for layer in [
        patient(Standard::default()).deadline(20 * SECOND),
        patient(Standard::default()).retry_window(20 * SECOND),
        impatient(Standard::default().retry_after(RetryAfter::up_to(20 * SECOND))),
        impatient(Standard::default()),
    ] {
        let start = Instant::now();
        assert_eq!(delays(layer, &[(503, headers)]).await, []);
        assert_eq!(start.elapsed(), Duration::ZERO);
    }
}

#[tokio::test(start_paused = true)]
async fn retry_after_can_be_ignored() {
    let policy = Standard::default().backoff(|| [MS]);
    let answers: &[(u16, Headers)] = &[(503, &[("retry-after", "30")]), (200, &[])];
    for rule in [
        RetryAfter::IGNORED,
        RetryAfter::up_to(20 * SECOND).or_backoff(),
    ] {
        let layer = impatient(policy.clone().retry_after(rule));
        assert_eq!(delays(layer, answers).await, [MS]);
    }
}

#[tokio::test(start_paused = true)]
async fn retry_after_of_what_is_not_retried_changes_nothing() {
    let answers: &[(u16, Headers)] = &[(429, &[("retry-after", "1")])];
    assert_eq!(delays(patient(Standard::default()), answers).await, []);
}

const ASKS_FOR_30: &[(u16, Headers)] = &[(503, &[("retry-after", "30")])];

#[tokio::test(start_paused = true)]
async fn another_peer_need_not_wait_for_what_one_asked_for() {
    let peers = [("a", ASKS_FOR_30), ("b", WELL)];
    for asked in [Standard::default(), Standard::default().reuse_tried(true)] {
        let (code, _, took) = over(FailoverLayer::new(asked), &peers, get()).await;
        assert_eq!((code, took), (200, Duration::ZERO));
    }
}

#[tokio::test(start_paused = true)]
async fn of_peers_that_ask_for_time_the_first_to_be_ready_is_waited_for() {
    const BACK_LATE: &[(u16, Headers)] = &[(503, &[("retry-after", "50")]), (404, &[])];
    const BACK: &[(u16, Headers)] = &[(503, &[("retry-after", "20")]), (200, &[])];
    let policy = Standard::default().reuse_tried(true).backoff(|| [MS]);
    for peers in [
        [("a", BACK), ("b", BACK_LATE)],
        [("a", BACK_LATE), ("b", BACK)],
    ] {
        let (code, tried, took) = over(patient(policy.clone()), &peers, get()).await;
        assert_eq!((code, tried.len()), (200, 3), "{tried:?}");
        assert!(is_between(took, 20, 30), "{took:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn peer_that_did_not_ask_for_time_is_called_in_the_place_of_one_that_did() {
    const BACK: &[(u16, Headers)] = &[(503, &[("retry-after", "20")]), (404, &[])];
    const BACK_AT_ONCE: &[(u16, Headers)] = &[(503, &[]), (503, &[]), (200, &[])];
    let policy = Standard::default()
        .reuse_tried(true)
        .backoff(|| iter::repeat(MS));
    let peers = [("a", BACK), ("b", BACK_AT_ONCE)];
    let (code, tried, took) = over(patient(policy), &peers, get()).await;
    assert_eq!(
        (code, tried),
        (200, ["a", "b", "b", "b"].map(str::to_owned).to_vec())
    );
    assert_eq!(took, 2 * MS);
}

#[tokio::test(start_paused = true)]
async fn service_that_does_not_pick_knowingly_waits_for_all_that_was_asked_for() {
    let policy = Standard::default().backoff(|| [MS]);
    let answers: &[(u16, Headers)] = &[(503, &[("retry-after", "20")]), (200, &[])];
    let delays = delays(patient(policy), answers).await;
    assert!(is_between(delays[0], 20, 30), "{delays:?}");
}

#[tokio::test(start_paused = true)]
async fn pushback_holds_for_every_peer_exactly() {
    const PUSHES: &[(u16, Headers)] = &[(503, &[("grpc-retry-pushback-ms", "2000")])];
    let policy = Standard::default().backoff(|| [9 * SECOND]);
    let (code, _, took) = over(
        FailoverLayer::new(policy),
        &[("a", PUSHES), ("b", WELL)],
        get(),
    )
    .await;
    assert_eq!((code, took), (200, 2 * SECOND));
}

#[tokio::test(start_paused = true)]
async fn pushback_can_forbid_any_retry() {
    const STOPS: &[(u16, Headers)] = &[(503, &[("grpc-retry-pushback-ms", "-1")])];
    let peers = [("a", STOPS), ("b", WELL)];
    let (code, tried, _) = over(FailoverLayer::default(), &peers, get()).await;
    assert_eq!((code, tried.len()), (503, 0));
}

#[tokio::test(start_paused = true)]
async fn peer_is_tried_again_before_another_as_often_as_it_is_set() {
    let peers = [("a", DRAINING), ("b", DRAINING), ("c", WELL)];
    let told = [
        (0, vec!["a", "b", "c"]),
        (1, vec!["a", "a", "b", "b", "c"]),
        (2, vec!["a", "a", "a", "b", "b", "b", "c"]),
    ];
    for (retries, expected) in told {
        let policy = Standard::default()
            .retries_per_peer(retries)
            .backoff(|| iter::repeat(SECOND));
        let (code, tried, took) = over(patient(policy), &peers, get()).await;
        assert_eq!(
            (code, tried),
            (200, expected.iter().map(|s| (*s).to_owned()).collect())
        );
        // Only the same peer is waited for.
        assert_eq!(took, SECOND * 2 * retries);
    }
}

#[tokio::test(start_paused = true)]
async fn request_can_be_bound_to_its_peer() {
    let peers = [("a", DRAINING), ("b", WELL)];
    let policy = Standard::default().retries_per_peer(u32::MAX);
    let (code, tried, _) = over(FailoverLayer::new(policy), &peers, get()).await;
    assert_eq!((code, tried), (503, vec!["a".to_owned(); 3]));
}

#[tokio::test(start_paused = true)]
async fn tried_peers_are_used_evenly_and_no_peer_twice_in_a_row() {
    let peers = [("a", DRAINING), ("b", DRAINING), ("c", DRAINING)];
    let policy = Standard::default()
        .reuse_tried(true)
        .backoff(|| iter::repeat(MS));
    let (_, tried, _) = over(patient(policy), &peers, get()).await;
    for peer in ["a", "b", "c"] {
        assert_eq!(tried.iter().filter(|tried| *tried == peer).count(), 3);
    }
    assert!(tried.windows(2).all(|two| two[0] != two[1]), "{tried:?}");
}

#[tokio::test(start_paused = true)]
async fn peer_that_recovers_is_found_among_the_tried() {
    const RECOVERS: &[(u16, Headers)] = &[(503, &[]), (200, &[])];
    let peers = [("a", DRAINING), ("b", RECOVERS)];
    let policy = Standard::default().reuse_tried(true).backoff(|| [MS, MS]);
    let (code, tried, _) = over(patient(policy), &peers, get()).await;
    assert_eq!((code, tried.len()), (200, 4), "{tried:?}");
}

#[tokio::test(start_paused = true)]
async fn declared_refusals_are_retried_for_every_method() {
    let peers = [("a", DRAINING), ("b", WELL)];
    let declared = || Standard::default().refused_on("503".parse().unwrap());
    let (code, ..) = over(FailoverLayer::new(declared()), &peers, post()).await;
    assert_eq!(code, 200);
    // And only those: another status of the list is not, nor without the declaration.
    let other = Standard::default().refused_on("421,425".parse().unwrap());
    let (code, ..) = over(FailoverLayer::new(other), &peers, post()).await;
    assert_eq!(code, 503);
}

#[tokio::test(start_paused = true)]
async fn declared_refusal_need_not_be_on_the_list() {
    const EARLY: &[(u16, Headers)] = &[(425, &[])];
    let peers = [("a", EARLY), ("b", WELL)];
    for (policy, expected) in [
        (Standard::new("connect-failure".parse().unwrap()), 425),
        (Standard::new("".parse().unwrap()), 425),
    ] {
        let (code, ..) = over(FailoverLayer::new(policy.clone()), &peers, post()).await;
        assert_eq!(code, expected);
        let declared = policy.refused_on("425".parse().unwrap());
        let (code, ..) = over(FailoverLayer::new(declared), &peers, post()).await;
        assert_eq!(code, 200);
    }
}

#[tokio::test(start_paused = true)]
async fn declared_refusal_does_not_bring_back_a_body_that_is_gone() {
    let peers = [("a", DRAINING), ("b", WELL)];
    let policy = Standard::default().refused_on("503".parse().unwrap());
    let layer = FailoverLayer::new(policy).replay_cap(3);
    let (code, ..) = over(layer, &peers, post()).await;
    assert_eq!(code, 503);
}

#[tokio::test(start_paused = true)]
async fn clone_of_a_policy_begins_anew() {
    let policy = Standard::default()
        .non_idempotent(NonIdempotent::Always)
        .backoff(|| [SECOND]);
    let used = patient(policy.clone());
    assert_eq!(delays(used.clone(), &[BUSY; 2]).await, [SECOND]);
    assert_eq!(delays(used, &[BUSY; 2]).await, [SECOND]);
    assert_eq!(delays(patient(policy), &[BUSY; 2]).await, [SECOND]);
}
