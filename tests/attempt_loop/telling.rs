//! What a request says of its time, and what each attempt is told.

use http::HeaderName;
use tokio::time::{Instant, sleep};
use tower_failover::limits::{Deadline, DeadlineHeader};

use crate::support::script::{Answer, status};
use crate::*;

const LEFT: HeaderName = HeaderName::from_static("x-left-ms");
const ATTEMPT: HeaderName = HeaderName::from_static("x-attempt");

async fn hang() -> Answer {
    std::future::pending().await
}

fn asking(name: &str, value: &str) -> Request<Body> {
    let request = Request::get("/path").header(name, value);
    request.body(Full::default()).unwrap()
}

fn timed() -> FailoverLayer {
    layer()
        .deadline(900 * MS)
        .deadline_from(DeadlineHeader::grpc_timeout())
        .deadline_from(DeadlineHeader::named(LEFT).unwrap())
}

#[tokio::test(start_paused = true)]
async fn header_shortens_the_deadline_and_does_not_lengthen_it() {
    let asked = [
        ("grpc-timeout", "100m", 100),
        ("grpc-timeout", "5S", 900),
        ("x-left-ms", "250", 250),
        ("x-left-ms", "0", 900),
        ("x-left-ms", "soon", 900),
        ("x-other-ms", "100", 900),
    ];
    for (name, value, ends) in asked {
        let start = Instant::now();
        let script = Script::new().then(|_| hang());
        let outcome = outcome_of(timed(), &script, asking(name, value)).await;
        assert_eq!(outcome, Err(FailureKind::Deadline));
        assert_eq!(start.elapsed(), ends * MS, "{name}: {value}");
    }
}

#[tokio::test(start_paused = true)]
async fn header_is_not_believed_unless_asked_for() {
    let script = Script::new().then(|_| async {
        sleep(500 * MS).await;
        status(200)
    });
    let outcome = outcome(&script, asking("grpc-timeout", "100m")).await;
    assert_eq!(outcome, Ok(200));
}

#[tokio::test(start_paused = true)]
async fn request_whose_time_is_over_is_not_sent_at_all() {
    let late = || {
        let mut request = get();
        let deadline = Deadline(Instant::now());
        request.extensions_mut().insert(deadline);
        request
    };
    for (layer, request) in [
        (timed(), asking("grpc-timeout", "0n")),
        (timed().max_attempts(1), asking("grpc-timeout", "0n")),
        (layer(), late()),
        (layer().max_attempts(1), late()),
    ] {
        let script = Script::new();
        let error = run(layer, &script, request).await.unwrap_err();
        assert_eq!((error.kind(), error.attempts()), (FailureKind::Deadline, 0));
        assert_eq!(error.stage(), Stage::NotSent);
    }
}

fn told(request: &Request<ReplayBody<Body>>, name: &HeaderName) -> Vec<String> {
    let values = request.headers().get_all(name).iter();
    values
        .map(|value| value.to_str().unwrap().to_owned())
        .collect()
}

#[tokio::test(start_paused = true)]
async fn each_attempt_is_told_the_time_that_is_left() {
    let layer = layer()
        .deadline(900 * MS)
        .per_try_timeout(400 * MS)
        .send_deadline(DeadlineHeader::named(LEFT).unwrap());
    let fails_after = |time: u32, left: &'static str| {
        move |request: Request<ReplayBody<Body>>| async move {
            assert_eq!(told(&request, &LEFT), [left]);
            sleep(time * MS).await;
            Err(reset())
        }
    };
    let script = Script::new()
        .then(fails_after(300, "400"))
        .then(fails_after(350, "400"))
        .then(fails_after(1, "250"));
    // What the client sent is replaced.
    let outcome = outcome_of(layer, &script, asking("x-left-ms", "7")).await;
    assert_eq!(outcome, Err(FailureKind::Reset));
}

#[tokio::test(start_paused = true)]
async fn request_without_a_limit_is_told_none() {
    for layer in [layer(), layer().max_attempts(1)] {
        let script = Script::new().then(|request| async move {
            assert_eq!(told(&request, &LEFT), ["7"]);
            status(200)
        });
        let layer = layer.send_deadline(DeadlineHeader::named(LEFT).unwrap());
        let outcome = outcome_of(layer, &script, asking("x-left-ms", "7")).await;
        assert_eq!(outcome, Ok(200));
    }
}

#[tokio::test(start_paused = true)]
async fn request_that_is_sent_once_is_told_too() {
    let script = Script::new().then(|request| async move {
        assert_eq!(told(&request, &LEFT), ["900"]);
        assert_eq!(told(&request, &ATTEMPT), ["1"]);
        status(200)
    });
    let layer = timed()
        .max_attempts(1)
        .attempt_header(ATTEMPT)
        .unwrap()
        .send_deadline(DeadlineHeader::named(LEFT).unwrap());
    assert_eq!(outcome_of(layer, &script, get()).await, Ok(200));
}

#[tokio::test(start_paused = true)]
async fn each_attempt_is_told_its_number() {
    let fails = |number: &'static str| {
        move |request: Request<ReplayBody<Body>>| async move {
            assert_eq!(told(&request, &ATTEMPT), [number]);
            status(503)
        }
    };
    let script = Script::new().then(fails("1")).then(fails("2"));
    let script = script.then(fails("3"));
    let layer = layer().attempt_header(ATTEMPT).unwrap();
    assert_eq!(
        outcome_of(layer, &script, asking("x-attempt", "77")).await,
        Ok(503)
    );
}

#[tokio::test(start_paused = true)]
async fn nothing_is_told_unless_asked_for() {
    let script = Script::new().then(|request| async move {
        assert!(request.headers().is_empty());
        status(200)
    });
    let layer = layer().deadline(900 * MS).per_try_timeout(100 * MS);
    assert_eq!(outcome_of(layer, &script, get()).await, Ok(200));
}

#[tokio::test(start_paused = true)]
async fn client_cannot_have_removed_what_an_attempt_is_told() {
    let script = Script::new().then(|request| async move {
        assert_eq!(told(&request, &ATTEMPT), ["1"]);
        assert_eq!(request.headers()["connection"], "close");
        status(200)
    });
    let layer = layer().attempt_header(ATTEMPT).unwrap();
    let request = asking("connection", "X-Attempt,close");
    assert_eq!(outcome_of(layer, &script, request).await, Ok(200));
}

#[test]
fn header_that_frames_the_message_is_not_one_of_ours() {
    let error = layer().attempt_header(http::header::CONTENT_LENGTH);
    assert_eq!(error.unwrap_err().value(), "content-length");
    assert!(DeadlineHeader::named(http::header::TRANSFER_ENCODING).is_err());
}
