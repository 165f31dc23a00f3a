//! Deadline, per-try timeout, retry window, delay.

use std::{convert::Infallible, pin::pin};

use http_body_util::channel::Channel;
use tokio::time::{Instant, sleep};
use tower_failover::{
    limits::Deadline,
    policy::{Verdict, policy_fn},
};

use crate::support::script::{Answer, status};
use crate::*;

async fn hang() -> Answer {
    std::future::pending().await
}

#[tokio::test(start_paused = true)]
async fn deadline_cuts_the_attempt_in_flight_and_is_no_reason_to_retry() {
    let script = Script::new()
        .then(|_| hang())
        .then(|_| async { status(200) });
    let start = Instant::now();
    let layer = layer().deadline(500 * MS);
    let outcome = outcome_of(layer, &script, get()).await;
    assert_eq!(outcome, Err(FailureKind::Deadline));
    assert_eq!((start.elapsed(), script.steps_left()), (500 * MS, 1));
}

#[tokio::test(start_paused = true)]
async fn deadline_binds_requests_that_are_sent_once() {
    let layer = layer().max_attempts(1).deadline(500 * MS);
    let script = Script::new().then(|_| hang());
    let outcome = outcome_of(layer, &script, get()).await;
    assert_eq!(outcome, Err(FailureKind::Deadline));
}

#[tokio::test(start_paused = true)]
async fn deadline_covers_all_attempts_together() {
    let slow = |_| async {
        sleep(200 * MS).await;
        Err(reset())
    };
    let script = Script::new().then(slow).then(slow).then(slow);
    let start = Instant::now();
    let layer = layer().without_budget().max_attempts(9).deadline(500 * MS);
    let outcome = outcome_of(layer, &script, get()).await;
    assert_eq!(outcome, Err(FailureKind::Deadline));
    assert_eq!(start.elapsed(), 500 * MS);
}

#[tokio::test(start_paused = true)]
async fn request_can_shorten_the_deadline_and_not_lengthen_it() {
    for (asked, ends) in [(100, 100), (900, 500)] {
        let start = Instant::now();
        let mut request = get();
        request
            .extensions_mut()
            .insert(Deadline(start + asked * MS));
        let layer = layer().deadline(500 * MS);
        let script = Script::new().then(|_| hang());
        assert!(outcome_of(layer, &script, request).await.is_err());
        assert_eq!(start.elapsed(), ends * MS);
    }
}

#[tokio::test(start_paused = true)]
async fn delay_is_waited_for() {
    let policy = policy_fn(|_, _| Verdict::failover().after(300 * MS));
    let layer = FailoverLayer::new(policy).max_attempts(2);
    let script = Script::new()
        .then(|_| async { Err(reset()) })
        .then(|_| async { status(200) });
    let start = Instant::now();
    run(layer, &script, get()).await.unwrap();
    assert_eq!(start.elapsed(), 300 * MS);
}

#[tokio::test(start_paused = true)]
async fn delay_that_does_not_fit_the_deadline_is_not_begun() {
    let policy = policy_fn(|_, _| Verdict::failover().after(300 * MS));
    let layer = FailoverLayer::new(policy).deadline(300 * MS);
    let script = Script::new().then(|_| async { status(503) });
    let start = Instant::now();
    let response = run(layer, &script, get()).await.unwrap();
    let got = (response.status().as_u16(), start.elapsed());
    assert_eq!(got, (503, Duration::ZERO));
}

#[tokio::test(start_paused = true)]
async fn delay_without_end_is_not_begun() {
    let policy = policy_fn(|_, _| Verdict::failover().after(Duration::MAX));
    let script = Script::new().then(|_| async { status(503) });
    let response = run(FailoverLayer::new(policy), &script, get()).await;
    assert_eq!(response.unwrap().status(), 503);
}

#[tokio::test(start_paused = true)]
async fn window_gates_the_start_of_an_attempt_and_cuts_none() {
    let slow = |_| async {
        sleep(2_000 * MS).await;
        status(503)
    };
    let script = Script::new().then(slow).then(slow).then(slow);
    let start = Instant::now();
    let layer = layer().retry_window(3_800 * MS);
    assert_eq!(outcome_of(layer, &script, get()).await, Ok(503));
    assert_eq!((start.elapsed(), script.steps_left()), (4_000 * MS, 1));
}

#[tokio::test(start_paused = true)]
async fn peer_that_takes_too_long_is_left_for_another() {
    let script = Script::new().then(|_| hang()).then(|_| async {
        sleep(99 * MS).await;
        status(200)
    });
    let start = Instant::now();
    let layer = layer().per_try_timeout(100 * MS);
    assert_eq!(outcome_of(layer, &script, get()).await, Ok(200));
    // The body of a GET is sent at once here, so that the first try lasts from its start.
    assert_eq!(start.elapsed(), 199 * MS);
}

#[tokio::test(start_paused = true)]
async fn post_that_timed_out_is_not_repeated() {
    let script = Script::new()
        .then(|request| async {
            body(request).await;
            hang().await
        })
        .then(|_| async { status(200) });
    let layer = layer().per_try_timeout(100 * MS);
    let outcome = outcome_of(layer, &script, post()).await;
    assert_eq!(outcome, Err(FailureKind::Timeout));
}

#[tokio::test(start_paused = true)]
async fn per_try_timeout_is_shortened_to_what_is_left() {
    let script = Script::new().then(|_| hang()).then(|_| hang());
    let start = Instant::now();
    let layer = layer().per_try_timeout(300 * MS).deadline(500 * MS);
    let outcome = outcome_of(layer, &script, get()).await;
    assert_eq!(outcome, Err(FailureKind::Deadline));
    assert_eq!(start.elapsed(), 500 * MS);
}

/// A POST whose client sends a byte every 80 ms, six times.
fn slow_upload() -> Request<Channel<Bytes, Infallible>> {
    let (mut client, body) = Channel::<Bytes, Infallible>::new(1);
    tokio::spawn(async move {
        for _ in 0..6 {
            sleep(80 * MS).await;
            client.send_data(Bytes::from_static(b"x")).await.unwrap();
        }
    });
    Request::post("/").body(body).unwrap()
}

#[tokio::test(start_paused = true)]
async fn slow_client_is_not_the_peers_fault() {
    for attempts in [1, 3] {
        let script = Script::new().then(|request| async {
            assert_eq!(body(request).await, "xxxxxx");
            sleep(99 * MS).await;
            status(200)
        });
        let layer = layer().max_attempts(attempts).per_try_timeout(100 * MS);
        let response = layer.layer(script.strict()).oneshot(slow_upload()).await;
        assert_eq!(response.unwrap().status(), 200);
    }
}

#[tokio::test(start_paused = true)]
async fn peers_time_runs_from_the_request_sent_in_full() {
    for attempts in [1, 3] {
        let start = Instant::now();
        let script = Script::new().then(|request| async {
            body(request).await;
            hang().await
        });
        let layer = layer().max_attempts(attempts).per_try_timeout(100 * MS);
        let response = layer.layer(script.strict()).oneshot(slow_upload()).await;
        assert_eq!(response.unwrap_err().kind(), FailureKind::Timeout);
        assert_eq!(start.elapsed(), 580 * MS);
    }
}

#[tokio::test(start_paused = true)]
async fn peer_that_does_not_take_the_upload_is_out_of_time() {
    let start = Instant::now();
    let script = Script::new().then(|request| async {
        let mut body = pin!(request.into_body());
        body.frame().await.unwrap().unwrap();
        hang().await
    });
    let layer = layer().per_try_timeout(100 * MS);
    let response = layer.layer(script.strict()).oneshot(slow_upload()).await;
    assert_eq!(response.unwrap_err().kind(), FailureKind::Timeout);
    assert_eq!(start.elapsed(), 180 * MS);
}

#[tokio::test(start_paused = true)]
async fn waiting_for_readiness_is_bound_by_the_deadline() {
    use tower::{limit::ConcurrencyLimit, service_fn};
    // The only permit is held by a request that hangs.
    let slots = ConcurrencyLimit::new(
        service_fn(|_: Request<ReplayBody<Body>>| async { Err::<Response<Body>, _>(reset()) }),
        1,
    );
    let mut other = slots.clone();
    let layer =
        FailoverLayer::new(policy_fn(|_, _| Verdict::retry().after(10 * MS))).deadline(500 * MS);
    let start = Instant::now();
    let future = layer.layer(slots).oneshot(get());
    let taking = async {
        sleep(5 * MS).await;
        std::future::poll_fn(|cx| {
            tower::Service::<Request<ReplayBody<Body>>>::poll_ready(&mut other, cx)
        })
        .await
        .unwrap();
        std::future::pending::<()>().await;
    };
    let error = tokio::select! {
        result = future => result.unwrap_err(),
        () = taking => unreachable!(),
    };
    assert_eq!(error.kind(), FailureKind::Deadline);
    assert_eq!(start.elapsed(), 500 * MS);
}

#[tokio::test(start_paused = true)]
async fn limits_too_long_to_be_named_are_none() {
    let script = Script::new().then(|_| async { status(200) });
    let layer = layer()
        .deadline(Duration::MAX)
        .retry_window(Duration::MAX)
        .per_try_timeout(Duration::MAX);
    assert_eq!(outcome_of(layer, &script, get()).await, Ok(200));
}

/// A service that answers 503 once and is never ready again.
#[derive(Clone, Default)]
struct Once {
    called: Arc<std::sync::atomic::AtomicBool>,
}

impl tower::Service<Request<ReplayBody<Body>>> for Once {
    type Response = Response<Body>;
    type Error = BoxError;
    type Future = std::future::Ready<Answer>;

    fn poll_ready(
        &mut self,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Result<(), BoxError>> {
        if self.called.load(std::sync::atomic::Ordering::Relaxed) {
            std::task::Poll::Pending
        } else {
            std::task::Poll::Ready(Ok(()))
        }
    }

    fn call(&mut self, _: Request<ReplayBody<Body>>) -> Self::Future {
        self.called
            .store(true, std::sync::atomic::Ordering::Relaxed);
        std::future::ready(status(503))
    }
}

#[tokio::test(start_paused = true)]
async fn held_response_does_not_wait_for_readiness_for_ever() {
    for (layer, ends) in [
        (layer().retry_window(300 * MS), 300),
        (layer().deadline(500 * MS), 500),
        (layer().per_try_timeout(100 * MS).max_attempts(2), 100),
        // Each attempt has its own time to become ready.
        (layer().per_try_timeout(100 * MS), 200),
    ] {
        let start = Instant::now();
        let response = layer.layer(Once::default()).oneshot(get()).await.unwrap();
        assert_eq!(response.status(), 503);
        let took = start.elapsed();
        assert!(
            (ends * MS..=(ends + 2) * MS).contains(&took),
            "{took:?} for {ends}"
        );
    }
}
