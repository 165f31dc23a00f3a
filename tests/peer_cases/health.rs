//! The cases that show after several requests which upstreams are left out, and when they come back.

use std::{collections::BTreeMap, time::Duration};

use futures_util::future::join_all;
use tokio::time::Instant;
use tower_failover::balance::State;

use super::{answer::Answer, client, stack::Stack};
use crate::support::{
    cases::{Case, load},
    scripted::Scripted,
    stopped_clock::StoppedClock,
};

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn case(id: &str) -> Case {
    load().into_iter().find(|case| case.id == id).unwrap()
}

/// Other scripts than the case's own, for what its note tells.
fn scripted(id: &str, scripts: &[&[&str]]) -> Case {
    let mut case = case(id);
    for (upstream, script) in case.upstreams.iter_mut().zip(scripts) {
        upstream.script = script.iter().map(ToString::to_string).collect();
    }
    case
}

/// Sends the case's request to this path; returns the status, who answered, and how many attempts it took.
async fn get(case: &Case, stack: &Stack, path: &str) -> (u16, String, usize) {
    let mut case = case.clone();
    path.clone_into(&mut case.request.path);
    let before = stack.attempts();
    let response = stack.call(client::request(&case, stack)).await;
    let answer = Answer::read(response, Duration::ZERO).await;
    let served_by = answer.served_by().unwrap_or("-").to_owned();
    (answer.status(), served_by, stack.attempts() - before)
}

fn state(stack: &Stack, name: &str) -> State {
    stack.peer(name).state
}

/// nginx' "not down".
#[tokio::test]
async fn answer_that_is_retried_for_being_a_404_does_not_count() {
    let case = case("ngx-03");
    let stack = Stack::start(&case).await;
    for _ in 0..2 {
        assert_eq!(get(&case, &stack, "/").await, (200, "u2".into(), 2));
    }
    assert_eq!(state(&stack, "u1"), State::Closed);
    for _ in 0..2 {
        assert_eq!(get(&case, &stack, "/ok").await, (200, "u1".into(), 1));
    }
    stack.stop().await;
}

/// nginx' "down after 500".
#[tokio::test]
async fn retried_500_does_count() {
    let case = case("ngx-04");
    let _clock = StoppedClock::new();
    let stack = Stack::start(&case).await;
    assert_eq!(get(&case, &stack, "/500").await, (200, "u2".into(), 2));
    assert_eq!(state(&stack, "u1"), State::Open);
    for _ in 0..2 {
        tokio::time::advance(ms(4_900)).await;
        assert_eq!(get(&case, &stack, "/ok").await, (200, "u2".into(), 1));
    }
    tokio::time::advance(ms(200)).await;
    assert_eq!(get(&case, &stack, "/ok").await, (200, "u1".into(), 1));
    assert_eq!(state(&stack, "u1"), State::Closed);
    stack.stop().await;
}

/// nginx' "failures".
#[tokio::test]
async fn nothing_is_lost_until_the_third_failure_and_after_it() {
    let case = case("ngx-22");
    let _clock = StoppedClock::new();
    let stack = Stack::start(&case).await;
    let mut served = BTreeMap::new();
    for _ in 0..30 {
        let (status, served_by, _) = get(&case, &stack, "/").await;
        assert_eq!(Some(status), case.expect.status);
        *served.entry(served_by).or_insert(0) += 1;
    }
    assert_eq!(served, case.expect.served_counts);
    assert_eq!(state(&stack, "u1"), State::Open);
    stack.stop().await;
}

/// nginx' `max_conns` with a backup.
#[tokio::test]
async fn backup_takes_over_from_a_primary_that_is_full() {
    let case = case("ngx-23");
    let stack = Stack::start(&case).await;
    let requests = (0..6).map(|_| get(&case, &stack, "/"));
    let release = async {
        let mut progress = stack.progress();
        progress.wait_for(|seen| seen.begun == 6).await.unwrap();
        stack.upstreams().for_each(Scripted::release);
    };
    let (answers, ()) = tokio::join!(join_all(requests), release);
    let mut served = BTreeMap::new();
    for (status, served_by, _) in answers {
        assert_eq!(Some(status), case.expect.status);
        *served.entry(served_by).or_insert(0) += 1;
    }
    assert_eq!(served, case.expect.served_counts);
    stack.stop().await;
}

/// Envoy's `BasicFlow5xxViaHttpCodes`.
#[tokio::test]
async fn fifth_500_in_a_row_ejects_for_30_seconds() {
    let (bad, good) = ("status:500", "status:200");
    let script = [bad, good, bad, bad, bad, bad, bad, good];
    let case = scripted("env-50", &[&script, &[good]]);
    let _clock = StoppedClock::new();
    let stack = Stack::start(&case).await;
    for status in [500, 200, 500, 500, 500, 500] {
        assert_eq!(get(&case, &stack, "/").await, (status, "u1".into(), 1));
        assert_eq!(state(&stack, "u1"), State::Closed);
    }
    assert_eq!(get(&case, &stack, "/").await, (500, "u1".into(), 1));
    let out = stack.peer("u1");
    assert_eq!((out.state, out.ejections), (State::Open, 1));
    assert_eq!(out.out_for, Some(ms(30_000)));
    for wait in [ms(9_999), ms(20_000)] {
        tokio::time::advance(wait).await;
        assert_eq!(get(&case, &stack, "/").await, (200, "u2".into(), 1));
        assert_eq!(state(&stack, "u1"), State::Open);
    }
    tokio::time::advance(ms(1)).await;
    assert_eq!(get(&case, &stack, "/").await, (200, "u1".into(), 1));
    assert_eq!(state(&stack, "u1"), State::Closed);
    stack.stop().await;
}

/// Envoy's `Overflow`.
#[tokio::test]
async fn one_of_two_is_ejected_and_never_more_than_the_percentage() {
    let mut case = case("env-51");
    case.config.round_robin = true;
    let stack = Stack::start(&case).await;
    for _ in 0..20 {
        assert_eq!(get(&case, &stack, "/").await.0, 500);
    }
    let [one, other] = ["u1", "u2"].map(|name| stack.peer(name));
    assert_eq!((one.state, one.ejections), (State::Open, 1));
    assert_eq!((other.state, other.ejections), (State::Suspect, 0));
    assert!(other.failures >= 5, "{}", other.failures);
    stack.stop().await;
}

/// Caddy's `TestStaticUpstreamUnhealthyAtMaxFails` and `RecoversAfterFailDuration`.
#[tokio::test]
async fn each_failure_is_forgotten_after_its_own_time() {
    let script = ["refuse", "refuse", "refuse", "status:200"];
    let case = scripted("cad-12", &[&script]);
    let _clock = StoppedClock::new();
    let start = Instant::now();
    let stack = Stack::start(&case).await;
    let refused = (502, "-".to_owned(), 1);
    assert_eq!(get(&case, &stack, "/").await, refused);
    assert_eq!(state(&stack, "u1"), State::Closed);
    tokio::time::advance(ms(50)).await;
    assert_eq!(get(&case, &stack, "/").await, refused);
    assert_eq!(state(&stack, "u1"), State::Closed, "the first is forgotten");
    tokio::time::advance(ms(49)).await;
    assert_eq!(get(&case, &stack, "/").await, refused);
    assert_eq!(state(&stack, "u1"), State::Open);
    tokio::time::advance(ms(50)).await;
    assert_eq!(get(&case, &stack, "/").await, (200, "u1".into(), 1));
    assert_eq!(state(&stack, "u1"), State::Closed);
    assert_eq!(start.elapsed(), ms(149), "only these tests move the clock");
    stack.stop().await;
}
