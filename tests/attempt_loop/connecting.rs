//! Whose time it is while an endpoint connects, and once it has.

use std::sync::Mutex;

use tokio::time::{Instant, sleep};
use tower_failover::trail::{Ended, Trail};

use crate::support::script::{Answer, status};
use crate::*;

async fn hang() -> Answer {
    std::future::pending().await
}

/// The handle of the attempt that an endpoint is called with.
fn trail<B>(request: &Request<B>) -> Trail {
    Trail::of(request.extensions()).cloned().unwrap()
}

/// Takes 500 ms to connect.
async fn connect(trail: &Trail) {
    trail.connecting();
    sleep(500 * MS).await;
    trail.connected();
}

/// What there is to send: a body that is sent at once, and one that is sent when there is a connection.
fn requests() -> [Request<Body>; 2] {
    [get(), post()]
}

#[tokio::test(start_paused = true)]
async fn connecting_is_not_the_peers_time() {
    for attempts in [1, 3] {
        for request in requests() {
            let start = Instant::now();
            let script = Script::new().then(|request| async {
                connect(&trail(&request)).await;
                body(request).await;
                sleep(99 * MS).await;
                status(200)
            });
            let layer = layer().max_attempts(attempts).per_try_timeout(100 * MS);
            assert_eq!(outcome_of(layer, &script, request).await, Ok(200));
            assert_eq!(start.elapsed(), 599 * MS);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn peers_time_runs_from_the_connection() {
    for attempts in [1, 3] {
        let start = Instant::now();
        let script = Script::new().then(|request| async {
            connect(&trail(&request)).await;
            body(request).await;
            hang().await
        });
        let layer = layer().max_attempts(attempts).per_try_timeout(100 * MS);
        let outcome = outcome_of(layer, &script, post()).await;
        assert_eq!(outcome, Err(FailureKind::Timeout));
        assert_eq!(start.elapsed(), 600 * MS);
    }
}

#[tokio::test(start_paused = true)]
async fn peers_time_runs_at_once_over_a_connection_that_was_there() {
    for attempts in [1, 3] {
        let start = Instant::now();
        let script = Script::new().then(|request| async {
            let trail = trail(&request);
            trail.connecting();
            trail.connected();
            body(request).await;
            hang().await
        });
        let layer = layer().max_attempts(attempts).per_try_timeout(100 * MS);
        let outcome = outcome_of(layer, &script, post()).await;
        assert_eq!(outcome, Err(FailureKind::Timeout));
        assert_eq!(start.elapsed(), 100 * MS);
    }
}

#[tokio::test(start_paused = true)]
async fn another_connection_does_not_stop_the_peers_time() {
    let start = Instant::now();
    let script = Script::new().then(|request| async move {
        let trail = trail(&request);
        connect(&trail).await;
        sleep(50 * MS).await;
        connect(&trail).await;
        status(200)
    });
    let layer = layer().max_attempts(1).per_try_timeout(100 * MS);
    let outcome = outcome_of(layer, &script, get()).await;
    assert_eq!(outcome, Err(FailureKind::Timeout));
    assert_eq!(start.elapsed(), 600 * MS);
}

#[tokio::test(start_paused = true)]
async fn post_goes_elsewhere_where_no_connection_was_made() {
    let script = Script::new()
        .then(|request| async move {
            trail(&request).connecting();
            sleep(500 * MS).await;
            Err(refused())
        })
        .then(|request| async {
            connect(&trail(&request)).await;
            assert_eq!(body(request).await, "request body");
            status(200)
        });
    let layer = layer().per_try_timeout(100 * MS);
    assert_eq!(outcome_of(layer, &script, post()).await, Ok(200));
}

#[tokio::test(start_paused = true)]
async fn that_there_is_no_connection_yet_is_no_proof() {
    // Another task may be making it, and send over it before it hears of the end.
    for connects in [true, false] {
        for attempts in [1, 3] {
            let start = Instant::now();
            let script = Script::new().then(move |request| async move {
                let trail = trail(&request);
                trail.connecting();
                if connects {
                    trail.connected();
                }
                hang().await
            });
            let layer = layer()
                .max_attempts(attempts)
                .per_try_timeout(900 * MS)
                .deadline(500 * MS);
            let error = run(layer, &script, post()).await.unwrap_err();
            assert_eq!(
                (error.kind(), error.stage()),
                (FailureKind::Deadline, Stage::MaybeProcessed)
            );
            assert_eq!(start.elapsed(), 500 * MS);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn nobody_asks_how_an_attempt_connects_without_a_per_try_timeout() {
    let timed = || layer().per_try_timeout(100 * MS);
    for (layer, expected) in [
        (timed(), Some(true)),
        (timed().max_attempts(1), Some(true)),
        (layer(), Some(false)),
        // Who is sent once has no trail where nobody reads it.
        (layer().max_attempts(1), None),
    ] {
        let script = Script::new().then(move |request| async move {
            let trail = Trail::of(request.extensions());
            assert_eq!(trail.map(Trail::is_timed), expected);
            status(200)
        });
        assert_eq!(outcome_of(layer, &script, get()).await, Ok(200));
    }
}

/// Notes why its attempt was ended, when it is dropped.
struct Note(Trail, Arc<Mutex<Option<Ended>>>);

impl Drop for Note {
    fn drop(&mut self) {
        *self.1.lock().unwrap() = self.0.ended();
    }
}

#[tokio::test(start_paused = true)]
async fn attempt_that_is_sent_once_learns_why_it_ended() {
    for (layer, why) in [
        (layer().per_try_timeout(100 * MS), Ended::TimedOut),
        (
            layer().per_try_timeout(100 * MS).deadline(50 * MS),
            Ended::Deadline,
        ),
    ] {
        let noted = Arc::new(Mutex::new(None));
        let note = Arc::clone(&noted);
        let script = Script::new().then(|request| async move {
            let _note = Note(trail(&request), note);
            hang().await
        });
        let outcome = outcome_of(layer.max_attempts(1), &script, get()).await;
        assert!(outcome.is_err());
        assert_eq!(*noted.lock().unwrap(), Some(why));
    }
}

/// It knows who was tried before, and whom a balancer must not pick again.
#[tokio::test(start_paused = true)]
async fn attempt_that_is_sent_once_keeps_the_trail_of_a_failover_above() {
    let attempts = Arc::new(Mutex::new(Vec::new()));
    let endpoint = tower::service_fn({
        let attempts = Arc::clone(&attempts);
        move |request: Request<ReplayBody<ReplayBody<Body>>>| {
            attempts.lock().unwrap().push(trail(&request).attempt());
            async { Err::<Response<Body>, _>(refused()) }
        }
    });
    let once = layer().max_attempts(1).per_try_timeout(100 * MS);
    let nested = layer().layer(once.layer(endpoint));
    nested.oneshot(post()).await.unwrap_err();
    assert_eq!(*attempts.lock().unwrap(), [1, 2, 3]);
}
