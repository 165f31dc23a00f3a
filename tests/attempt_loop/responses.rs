//! Decide before discarding: what becomes of a response that is to be failed over.

use std::{
    pin::Pin,
    sync::atomic::{AtomicUsize, Ordering},
    task::{Context, Poll},
};

use http_body::Frame;
use tokio::time::{Instant, sleep};
use tower::service_fn;
use tower_failover::report::{Outcome, Report};

use crate::support::{script::status, strict::Strict};
use crate::*;

/// A response body that knows whether it was dropped.
struct Tracked {
    text: Option<&'static str>,
    alive: Arc<AtomicUsize>,
}

impl Tracked {
    fn new(text: &'static str, alive: &Arc<AtomicUsize>) -> Self {
        alive.fetch_add(1, Ordering::Relaxed);
        Self {
            text: Some(text),
            alive: Arc::clone(alive),
        }
    }
}

impl Drop for Tracked {
    fn drop(&mut self) {
        self.alive.fetch_sub(1, Ordering::Relaxed);
    }
}

impl http_body::Body for Tracked {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let text = self.text.take();
        Poll::Ready(text.map(|text| Ok(Frame::data(Bytes::from_static(text.as_bytes())))))
    }
}

#[tokio::test(start_paused = true)]
async fn last_of_several_unwanted_responses_is_delivered_with_its_body() {
    let script = Script::new()
        .then(|_| async { Ok(Response::builder().status(503).body("one".into()).unwrap()) })
        .then(|_| async { Ok(Response::builder().status(502).body("two".into()).unwrap()) })
        .then(|_| async {
            Ok(Response::builder()
                .status(504)
                .body("three".into())
                .unwrap())
        });
    let response = run(layer(), &script, get()).await.unwrap();
    assert_eq!(response.status(), 504);
    let body = response.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(body, "three");
}

#[tokio::test(start_paused = true)]
async fn response_is_not_thrown_away_for_an_attempt_that_fails() {
    let script = Script::new()
        .then(|_| async { status(503) })
        .then(|_| async { Err(refused()) })
        .then(|_| async { Err(reset()) });
    let response = run(layer(), &script, get()).await.unwrap();
    assert_eq!(response.status(), 503);
    let report: Report = response.extensions().get().cloned().unwrap();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(body, "503");
    let outcomes: Vec<_> = report
        .attempts()
        .iter()
        .map(|tried| tried.outcome())
        .collect();
    let expected = [
        Outcome::Answered(http::StatusCode::SERVICE_UNAVAILABLE),
        Outcome::Failed(FailureKind::Connect),
        Outcome::Failed(FailureKind::Reset),
    ];
    assert_eq!(outcomes, expected);
}

#[tokio::test(start_paused = true)]
async fn held_response_is_delivered_at_the_deadline() {
    let script = Script::new()
        .then(|_| async { status(503) })
        .then(|_| std::future::pending());
    let start = Instant::now();
    let layer = layer().deadline(500 * MS);
    assert_eq!(outcome_of(layer, &script, get()).await, Ok(503));
    assert_eq!(start.elapsed(), 500 * MS);
}

#[tokio::test(start_paused = true)]
async fn held_response_goes_with_the_client() {
    let alive = Arc::<AtomicUsize>::default();
    let calls = Arc::<AtomicUsize>::default();
    let service = service_fn({
        let (alive, calls) = (Arc::clone(&alive), Arc::clone(&calls));
        move |_: Request<ReplayBody<Body>>| {
            let call = calls.fetch_add(1, Ordering::Relaxed);
            let body = Tracked::new("not now", &alive);
            async move {
                if call > 0 {
                    std::future::pending::<()>().await;
                }
                let response = Response::builder().status(503);
                Ok::<_, BoxError>(response.body(body).unwrap())
            }
        }
    });
    let service = layer().layer(Strict::new(service));
    let mut future = Box::pin(service.oneshot(get()));
    assert!(futures_util::poll!(&mut future).is_pending());
    // One is held, the other belongs to the attempt in flight.
    assert_eq!(alive.load(Ordering::Relaxed), 2);
    drop(future);
    assert_eq!(alive.load(Ordering::Relaxed), 0);
}

#[tokio::test(start_paused = true)]
async fn second_unwanted_response_takes_the_place_of_the_first() {
    let alive = Arc::<AtomicUsize>::default();
    let most = Arc::<AtomicUsize>::default();
    let service = service_fn({
        let (alive, most) = (Arc::clone(&alive), Arc::clone(&most));
        move |_: Request<ReplayBody<Body>>| {
            let body = Tracked::new("not now", &alive);
            most.fetch_max(alive.load(Ordering::Relaxed), Ordering::Relaxed);
            let response = Response::builder().status(503).body(body).unwrap();
            async move { Ok::<_, BoxError>(response) }
        }
    });
    let layer = layer().max_attempts(5);
    let service = layer.layer(Strict::new(service));
    let response = service.oneshot(get()).await.unwrap();
    assert_eq!(response.status(), 503);
    assert_eq!(alive.load(Ordering::Relaxed), 1);
    assert_eq!(most.load(Ordering::Relaxed), 2);
}

#[tokio::test(start_paused = true)]
async fn unwanted_response_waits_out_the_delay() {
    use tower_failover::policy::{Event, Verdict, policy_fn};
    let policy = policy_fn(|_, event| match event {
        Event::Response(response) if response.status == 503 => Verdict::failover().after(100 * MS),
        _ => Verdict::deliver(),
    });
    let script = Script::new()
        .then(|_| async { status(503) })
        .then(|_| async {
            sleep(50 * MS).await;
            Err(reset())
        });
    let start = Instant::now();
    let response = run(FailoverLayer::new(policy), &script, get()).await;
    assert_eq!(response.unwrap().status(), 503);
    assert_eq!(start.elapsed(), 150 * MS);
}

#[tokio::test(start_paused = true)]
async fn switching_protocols_is_final_and_not_asked_about() {
    use tower_failover::policy::{Event, Verdict, policy_fn};
    let policy = policy_fn(|_, event| match event {
        Event::Response(response) => panic!("asked about {}", response.status),
        _ => Verdict::failover(),
    });
    let script = Script::new()
        .then(|_| async { Err(refused()) })
        .then(|_| async { status(101) });
    let response = run(FailoverLayer::new(policy), &script, get())
        .await
        .unwrap();
    assert_eq!(response.status(), 101);
}

#[tokio::test(start_paused = true)]
async fn failure_that_was_made_good_is_reported() {
    let script = Script::new()
        .then(|_| async { Err(refused()) })
        .then(|_| async { status(200) });
    let response = run(layer(), &script, get()).await.unwrap();
    let report: &Report = response.extensions().get().unwrap();
    let last = report.attempts().last().unwrap().outcome();
    assert_eq!(report.attempts().len(), 2);
    assert_eq!(last, Outcome::Answered(http::StatusCode::OK));
}
