//! Limits of one request, and of the attempt that no other can follow.

use tokio::time::{Instant, sleep};
use tower_failover::limits::{Budget, MaxAttempts};

use crate::support::script::{Answer, status};
use crate::*;

fn failing(attempts: usize) -> Script<Body> {
    (0..attempts).fold(Script::new(), |script, _| {
        script.then(|_| async { Err(reset()) })
    })
}

/// Answers well, but late.
fn late(script: Script<Body>) -> Script<Body> {
    script.then(|_| async {
        sleep(300 * MS).await;
        status(200)
    })
}

async fn hang() -> Answer {
    std::future::pending().await
}

#[tokio::test(start_paused = true)]
async fn request_may_have_fewer_attempts_than_its_layer_says_or_more() {
    for (layers, own, made) in [(4, 6, 6), (5, 4, 4), (3, 1, 1), (1, 2, 2), (2, 0, 3)] {
        let script = failing(9);
        let mut request = get();
        request.extensions_mut().insert(MaxAttempts(own));
        let layer = layer().without_budget().max_attempts(layers);
        let error = run(layer, &script, request).await.unwrap_err();
        assert_eq!(error.attempts(), made, "{own} instead of {layers}");
    }
}

#[tokio::test(start_paused = true)]
async fn body_is_not_kept_past_the_requests_own_last_attempt() {
    let memory = tower_failover::replay::ReplayMemory::new(1 << 20);
    let watched = memory.clone();
    let fails = |request: Request<ReplayBody<Body>>| async {
        body(request).await;
        Err(reset())
    };
    let script = Script::new().then(fails).then(move |request| async move {
        body(request).await;
        assert_eq!(watched.held(), 0);
        Err(reset())
    });
    let mut request = request(Method::PUT);
    request.extensions_mut().insert(MaxAttempts(2));
    let layer = layer().max_attempts(9).replay_memory(memory);
    assert_eq!(
        outcome_of(layer, &script, request).await,
        Err(FailureKind::Reset)
    );
}

#[tokio::test(start_paused = true)]
async fn last_attempt_may_be_late() {
    let layer = || layer().per_try_timeout(100 * MS).deadline(900 * MS);
    let hanging = || Script::new().then(|_| hang()).then(|_| hang());

    let start = Instant::now();
    let lifted = layer().lift_per_try_timeout_on_last();
    let outcome = outcome_of(lifted.clone(), &late(hanging()), get()).await;
    assert_eq!(outcome, Ok(200));
    assert_eq!(start.elapsed(), 500 * MS);

    // And only the last one, and only when asked for.
    let outcome = outcome_of(lifted, &late(late(hanging())), get()).await;
    assert_eq!(outcome, Ok(200));
    let outcome = outcome_of(layer(), &late(hanging()), get()).await;
    assert_eq!(outcome, Err(FailureKind::Timeout));
}

#[tokio::test(start_paused = true)]
async fn late_attempt_is_bound_by_the_deadline() {
    let script = Script::new().then(|_| hang()).then(|_| hang());
    let start = Instant::now();
    let layer = layer()
        .max_attempts(2)
        .per_try_timeout(100 * MS)
        .deadline(900 * MS)
        .lift_per_try_timeout_on_last();
    let outcome = outcome_of(layer, &script, get()).await;
    assert_eq!(outcome, Err(FailureKind::Deadline));
    assert_eq!(start.elapsed(), 900 * MS);
}

#[tokio::test(start_paused = true)]
async fn attempt_is_the_last_one_by_its_number_or_when_its_body_is_gone() {
    let lifted = || {
        layer()
            .per_try_timeout(100 * MS)
            .lift_per_try_timeout_on_last()
    };
    let unkept = || lifted().replay_cap(0);
    for (why, layer, request, outcome) in [
        ("sent once", lifted().max_attempts(1), get(), Ok(200)),
        ("body not kept", unkept(), request(Method::PUT), Ok(200)),
        ("body not kept", unkept(), post(), Ok(200)),
        (
            "others are left",
            lifted(),
            post(),
            Err(FailureKind::Timeout),
        ),
    ] {
        let script = Script::new().then(|request| async {
            body(request).await;
            sleep(300 * MS).await;
            status(200)
        });
        assert_eq!(outcome_of(layer, &script, request).await, outcome, "{why}");
    }
}

/// Finagle's RetryBudgetTest, without a minimum per second.
#[tokio::test(start_paused = true)]
async fn retries_are_exactly_the_share_of_the_requests() {
    for (ratio, granted) in [(0.1, 1_000), (0.5, 5_000), (0.25, 2_500)] {
        let layer = layer().budget(Budget::new(ratio, 0).unwrap());
        let mut attempts = 0;
        for _ in 0..10_000 {
            let error = run(layer.clone(), &failing(3), get()).await.unwrap_err();
            attempts += error.attempts();
        }
        assert_eq!(attempts, 10_000 + granted, "{ratio}");
    }
}

#[tokio::test(start_paused = true)]
async fn one_request_takes_no_more_than_its_share_of_the_budget() {
    let budget = Budget::new(0.0, 0).unwrap().starting_with(10).unwrap();
    let budget = budget.per_request(0.5).unwrap();
    let layer = layer().max_attempts(99).budget(budget.clone());
    let error = run(layer, &failing(99), get()).await.unwrap_err();
    assert_eq!((error.attempts(), budget.available()), (6, 5));
}

#[tokio::test(start_paused = true)]
async fn without_a_share_one_request_can_take_all() {
    let budget = Budget::new(0.0, 0).unwrap().starting_with(10).unwrap();
    let layer = layer().max_attempts(99).budget(budget.clone());
    let error = run(layer, &failing(99), get()).await.unwrap_err();
    assert_eq!((error.attempts(), budget.available()), (11, 0));
}

#[cfg(feature = "tower-budget")]
#[tokio::test(start_paused = true)]
async fn budget_of_towers_binds_and_is_paid_into() {
    use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

    #[derive(Default)]
    struct Counting {
        deposits: AtomicUsize,
        withdrawals: AtomicUsize,
    }
    impl tower::retry::budget::Budget for Counting {
        fn deposit(&self) {
            self.deposits.fetch_add(1, Relaxed);
        }
        fn withdraw(&self) -> bool {
            self.withdrawals.fetch_add(1, Relaxed) < 1
        }
    }
    struct Shared(Arc<Counting>);
    impl tower::retry::budget::Budget for Shared {
        fn deposit(&self) {
            self.0.deposit();
        }
        fn withdraw(&self) -> bool {
            self.0.withdraw()
        }
    }
    let counting = Arc::new(Counting::default());
    let budget = Budget::tower(Shared(Arc::clone(&counting)));
    let layer = layer().max_attempts(9).budget(budget);
    let error = run(layer, &failing(9), get()).await.unwrap_err();
    assert_eq!(error.attempts(), 2);
    assert_eq!(counting.deposits.load(Relaxed), 1);
    assert_eq!(counting.withdrawals.load(Relaxed), 2);
}
