//! What binds every policy.

use tower_failover::limits::Budget;

use crate::support::script::status;
use crate::*;

fn failing(attempts: usize) -> Script<Body> {
    (0..attempts).fold(Script::new(), |script, _| {
        script.then(|_| async { Err(reset()) })
    })
}

#[tokio::test(start_paused = true)]
async fn attempts_are_counted_with_the_first() {
    for most in [1, 2, 5] {
        let script = failing(9);
        let layer = layer().max_attempts(most);
        let error = run(layer, &script, get()).await.unwrap_err();
        assert_eq!(error.attempts(), most as usize);
        assert_eq!(script.steps_left(), 9 - most as usize);
    }
}

#[tokio::test(start_paused = true)]
async fn no_fixed_number_is_three_where_peers_are_not_known() {
    let script = failing(9);
    let layer = layer().max_attempts(0);
    let error = run(layer, &script, get()).await.unwrap_err();
    assert_eq!(error.attempts(), 3);
}

#[tokio::test(start_paused = true)]
async fn empty_budget_delivers_what_there_is() {
    let budget = Budget::new(0.0, 1).unwrap();
    let layer = layer().budget(budget.clone());
    let script = Script::new()
        .then(|_| async { status(503) })
        .then(|_| async { status(200) })
        .then(|_| async { status(503) })
        .then(|_| async { status(200) });
    assert_eq!(outcome_of(layer.clone(), &script, get()).await, Ok(200));
    assert_eq!(budget.available(), 0);
    assert_eq!(outcome_of(layer, &script, get()).await, Ok(503));
    assert_eq!(script.steps_left(), 1);
}

#[tokio::test(start_paused = true)]
async fn without_a_budget_only_attempts_bind() {
    let layer = layer().without_budget();
    for _ in 0..100 {
        let script = failing(3);
        assert!(outcome_of(layer.clone(), &script, get()).await.is_err());
        assert_eq!(script.steps_left(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn storm_of_failures_stays_within_the_budget() {
    let layer = layer();
    let mut attempts = 0;
    for _ in 0..1_000 {
        let error = run(layer.clone(), &failing(3), get()).await.unwrap_err();
        attempts += error.attempts();
    }
    // And the budget is used: it is not the attempts that are few.
    let most = 1_000 + 200 + 10;
    assert!((most - 1..=most).contains(&attempts), "{attempts} attempts");
}

#[tokio::test(start_paused = true)]
async fn delay_that_is_dropped_gives_its_retry_back() {
    use tower_failover::policy::{Verdict, policy_fn};
    let budget = Budget::new(0.0, 1).unwrap();
    let policy = policy_fn(|_, _| Verdict::retry().after(1_000 * MS));
    let layer = FailoverLayer::new(policy).budget(budget.clone());
    let script = failing(1);
    let mut future = Box::pin(run(layer, &script, get()));
    assert!(futures_util::poll!(&mut future).is_pending());
    assert_eq!(budget.available(), 0);
    drop(future);
    assert_eq!(budget.available(), 1);
}

#[tokio::test(start_paused = true)]
async fn body_over_the_cap_is_sent_once_and_in_full() {
    let script = Script::new().then(|request| async {
        assert_eq!(body(request).await, "request body");
        status(503)
    });
    let layer = layer().replay_cap(11);
    let request = request(Method::PUT);
    assert_eq!(outcome_of(layer, &script, request).await, Ok(503));
}

#[tokio::test(start_paused = true)]
async fn body_at_the_cap_is_sent_again() {
    let script = Script::new()
        .then(|request| async {
            body(request).await;
            status(503)
        })
        .then(|request| async {
            assert_eq!(body(request).await, "request body");
            status(200)
        });
    let layer = layer().replay_cap(12);
    let request = request(Method::PUT);
    assert_eq!(outcome_of(layer, &script, request).await, Ok(200));
}
