//! The settings as they stand in a file.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use tokio::time::Instant;
use tower::{Layer, ServiceExt, service_fn};
use tower_failover::{
    BoxError, FailoverLayer, ReplayBody,
    config::{RetryAfterConfig, RetryConfig},
    policy::NonIdempotent,
};

type Body = Full<Bytes>;

fn read(file: &str) -> Result<RetryConfig, toml::de::Error> {
    toml::from_str(file)
}

/// Status, attempts and time of a request over a service that answers with each of `answers` in turn.
async fn outcome(
    layer: FailoverLayer,
    method: &str,
    answers: &'static [u16],
) -> (u16, usize, Duration) {
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&calls);
    let service = service_fn(move |_: Request<ReplayBody<Body>>| {
        let answer = answers[counted.fetch_add(1, Relaxed).min(answers.len() - 1)];
        async move {
            let response = Response::builder().status(answer);
            Ok::<_, BoxError>(response.header("retry-after", "3").body(Body::default())?)
        }
    });
    let start = Instant::now();
    let request = Request::builder().method(method).body(Body::default());
    let response = layer.layer(service).oneshot(request.unwrap()).await;
    let status = response.unwrap().status().as_u16();
    (status, calls.load(Relaxed), start.elapsed())
}

#[tokio::test(start_paused = true)]
async fn empty_file_is_the_default_layer() {
    let config = read("").unwrap();
    assert_eq!(config, RetryConfig::default());
    let shown = |layer: FailoverLayer| format!("{layer:?}");
    assert_eq!(
        shown(config.layer().unwrap()),
        shown(FailoverLayer::default())
    );
}

#[tokio::test(start_paused = true)]
async fn everything_that_a_file_says_is_done() {
    let config = read(
        r#"
        retry_on = ["reset", 500, "502-504"]
        refused_on = [425]
        non_idempotent = "never"
        max_retries = 3
        reuse_tried = true
        retries_per_peer = 1
        deadline = "1m 30s"
        retry_window = "20s"
        per_try_timeout = "250ms"
        lift_per_try_timeout_on_last = true
        deadline_from = ["grpc-timeout", "X-Time-Left-Ms"]
        send_deadline = "grpc-timeout"
        attempt_header = "X-Attempt"
        backoff = { base = "10ms", max = "1s", multiplier = 1.5 }
        retry_after = "5s"
        budget = { ratio = 0.5, per_second = 3, burst = 7, per_request = 0.5 }
        replay_cap = 4096
        "#,
    )
    .unwrap();
    assert_eq!(config.deadline, Some(Duration::from_secs(90)));
    assert_eq!(config.retry_on.to_string(), "reset,500,gateway-error");
    let shown = format!("{:?}", config.layer().unwrap());
    for part in [
        "reuse_tried: true",
        "retries_per_peer: 1",
        "max_attempts: 4",
        "deadline: Some(90s)",
        "retry_window: Some(20s)",
        "per_try_timeout: Some(250ms)",
        "lift_on_last: true",
        "\"grpc-timeout\"",
        "\"x-time-left-ms\"",
        "attempt_header: Some(\"x-attempt\")",
        "replay_cap: 4096",
        "available: 3",
        "per_request: Some(0.5)",
    ] {
        assert!(shown.contains(part), "{part} in {shown}");
    }
    let layer = || config.layer().unwrap();
    let (status, made, took) = outcome(layer(), "GET", &[500, 200]).await;
    assert_eq!((status, made), (200, 2));
    assert!(took >= Duration::from_secs(3), "{took:?}");
    assert_eq!(outcome(layer(), "GET", &[404, 200]).await.1, 1);
    assert_eq!(outcome(layer(), "POST", &[500, 200]).await.1, 1);
    assert_eq!(outcome(layer(), "POST", &[425, 200]).await.1, 2);
}

#[tokio::test(start_paused = true)]
async fn what_is_written_false_is_off() {
    let config = read("budget = false\nretry_after = false\nmax_attempts = 50\nreuse_tried = true");
    let config = config.unwrap();
    assert_eq!(config.budget, None);
    assert_eq!(config.retry_after, RetryAfterConfig::Ignored);
    let layer = config.layer().unwrap();
    let (_, made, took) = outcome(layer, "GET", &[503]).await;
    assert_eq!(made, 50);
    assert!(took < Duration::from_secs(50 / 4), "{took:?}");
}

#[test]
fn config_is_read_as_it_was_written() {
    let mut config = RetryConfig::default();
    assert_eq!(
        read(&toml::to_string(&config).unwrap()).unwrap(),
        config,
        "the default"
    );
    config.retry_on = "grpc:unavailable,header:x-retry=yes,5xx".parse().unwrap();
    config.refused_on = "425,420-421".parse().unwrap();
    config.non_idempotent = NonIdempotent::Reused;
    config.max_attempts = Some(0);
    config.retry_after = RetryAfterConfig::Ignored;
    config.budget = None;
    config.deadline = Some(Duration::from_millis(1_500));
    config.attempt_header = Some("x-attempt".parse().unwrap());
    let text = toml::to_string(&config).unwrap();
    assert_eq!(read(&text).unwrap(), config, "{text}");
}

#[test]
fn what_cannot_be_read_is_named_with_its_place() {
    for (file, told) in [
        ("max_atempts = 3", "unknown field `max_atempts`"),
        ("backoff = { bse = \"1s\" }", "unknown field `bse`"),
        ("retry_on = \"conect-failure\"", "`conect-failure`"),
        ("retry_on = [503, \"somtimes\"]", "`somtimes`"),
        ("retry_on = [true]", "a word, or a status"),
        ("refused_on = [99]", "`99`"),
        ("deadline = \"soon\"", "soon"),
        ("deadline = 5", "integer `5`"),
        ("non_idempotent = \"yes\"", "unknown variant `yes`"),
        (
            "attempt_header = \"a b\"",
            "\"a b\", expected a header's name",
        ),
        ("deadline_from = [\"\"]", "expected a header's name"),
        ("budget = true", "expected a table, or `false`"),
        ("budget = 0.2", "expected a table, or `false`"),
        ("budget = { ratio = \"x\" }", "string \"x\""),
        ("retry_after = true", "expected a duration"),
        ("retry_after = \"x\"", "\"x\""),
        ("max_attempts = -1", "`-1`"),
    ] {
        let error = read(file).unwrap_err().to_string();
        assert!(error.contains(told), "{file}: {error}");
        assert!(error.contains("line 1"), "{file}: {error}");
    }
}

#[test]
fn what_cannot_be_meant_is_named_with_its_value() {
    for (file, told) in [
        (
            "backoff = { base = \"2s\" }",
            "backoff max: 250ms is not at least the base, 2s",
        ),
        (
            "backoff = { multiplier = 0.5 }",
            "backoff multiplier: 0.5 is not a factor from 1 to 100",
        ),
        (
            "budget = { ratio = -1.0 }",
            "budget: -1 is not a ratio from 0 to 100",
        ),
        (
            "budget = { burst = 0 }",
            "budget burst: 0 is not at least 1",
        ),
        (
            "budget = { per_request = 0.0 }",
            "budget per request: 0 is not a share above 0 and up to 100",
        ),
        (
            "deadline = \"0s\"",
            "deadline: 0s is not longer than nothing",
        ),
        (
            "max_attempts = 3\nmax_retries = 3",
            "max_attempts: 3 is not what max_retries says, 4 with the first",
        ),
    ] {
        let error = read(file).unwrap().layer().unwrap_err();
        assert_eq!(error.to_string(), told);
    }
    let agreeing = read("max_attempts = 4\nmax_retries = 3").unwrap();
    assert!(agreeing.layer().is_ok());
}
