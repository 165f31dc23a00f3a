//! Layers made from other proxies' retry lines.

use http::HeaderMap;
use tower_failover::policy::{Envoy, ParseRetryLineError, RetryLine};

use crate::support::script::status;
use crate::*;

type Line = Result<RetryLine, ParseRetryLineError>;

/// What the client gets, and how many attempts it took.
async fn tries(
    line: Line,
    method: Method,
    answer: fn() -> Result<u16, BoxError>,
) -> (Result<u16, FailureKind>, usize) {
    const MOST: usize = 9;
    let script = (0..MOST).fold(Script::new(), |script, _| {
        script.then(move |_| async move { answer().and_then(status) })
    });
    let layer = FailoverLayer::from(line.unwrap());
    let outcome = outcome_of(layer, &script, request(method)).await;
    (outcome, MOST - script.steps_left())
}

fn refuse() -> Result<u16, BoxError> {
    Err(refused())
}

fn break_off() -> Result<u16, BoxError> {
    Err(reset())
}

fn unavailable() -> Result<u16, BoxError> {
    Ok(503)
}

#[tokio::test(start_paused = true)]
async fn nginx_tries_each_peer_or_thrice_where_they_have_no_names() {
    let line = || RetryLine::nginx("proxy_next_upstream error http_503;");
    let tried = tries(line(), Method::GET, unavailable).await;
    assert_eq!(tried, (Ok(503), 3));
    let tried = tries(line(), Method::POST, refuse).await;
    assert_eq!(tried, (Err(FailureKind::Connect), 3));
}

#[tokio::test(start_paused = true)]
async fn nginx_repeats_no_post_that_was_sent_unless_the_line_says_so() {
    let line = || RetryLine::nginx("error http_503");
    let tried = tries(line(), Method::POST, break_off).await;
    assert_eq!(tried, (Err(FailureKind::Reset), 1));
    let tried = tries(line(), Method::POST, unavailable).await;
    assert_eq!(tried, (Ok(503), 1));
    let line = || RetryLine::nginx("error http_503 non_idempotent");
    let tried = tries(line(), Method::POST, break_off).await;
    assert_eq!(tried, (Err(FailureKind::Reset), 3));
    let tried = tries(line(), Method::POST, unavailable).await;
    assert_eq!(tried, (Ok(503), 3));
}

#[tokio::test(start_paused = true)]
async fn line_for_never_tries_once() {
    for line in [
        RetryLine::nginx("error off"),
        RetryLine::haproxy("none"),
        RetryLine::envoy(""),
    ] {
        let tried = tries(line, Method::GET, refuse).await;
        assert_eq!(tried, (Err(FailureKind::Connect), 1));
    }
}

#[tokio::test(start_paused = true)]
async fn haproxy_tries_four_times_whatever_the_method() {
    let line = || RetryLine::haproxy("retry-on empty-response 503");
    for method in [Method::GET, Method::POST] {
        let tried = tries(line(), method.clone(), break_off).await;
        assert_eq!(tried, (Err(FailureKind::Reset), 4));
        let tried = tries(line(), method.clone(), unavailable).await;
        assert_eq!(tried, (Ok(503), 4));
        let tried = tries(line(), method, refuse).await;
        assert_eq!(tried, (Err(FailureKind::Connect), 1));
    }
}

#[tokio::test(start_paused = true)]
async fn envoy_retries_once_or_as_often_as_it_is_told_whatever_the_method() {
    for method in [Method::GET, Method::POST] {
        let line = RetryLine::envoy("gateway-error");
        let tried = tries(line, method.clone(), break_off).await;
        assert_eq!(tried, (Err(FailureKind::Reset), 2));
        let line = Envoy::new().retry_on("gateway-error").num_retries("4");
        let tried = tries(line.line(), method.clone(), unavailable).await;
        assert_eq!(tried, (Ok(503), 5));
        let line = RetryLine::envoy("connect-failure");
        let tried = tries(line, method, unavailable).await;
        assert_eq!(tried, (Ok(503), 1));
    }
}

#[tokio::test(start_paused = true)]
async fn request_of_a_trusted_client_is_tried_as_it_asks() {
    let mut headers = HeaderMap::new();
    headers.insert("x-envoy-retry-on", "5xx".parse().unwrap());
    headers.insert("x-envoy-max-retries", "2".parse().unwrap());
    let line = RetryLine::from_envoy_headers(&headers).map(Option::unwrap);
    let tried = tries(line, Method::GET, unavailable).await;
    assert_eq!(tried, (Ok(503), 3));
}
