mod envoy;
mod haproxy;
mod nginx;

use proptest::prelude::*;

use super::super::retry_on::samples::{failures_tried, grpc_tried, statuses_tried};
use super::*;

/// Every failure that the words `connect-failure,refused-stream,reset,timeout,junk-response` match.
const ANY_FAILURE: &str = "refused connect-timeout handed-back overloaded no-peer waited junk-unsent \
                           refused-stream goaway reset reset-reused junk timeout deadline \
                           refused-unproved connect-timeout-unproved other";

/// Checks all that a line tries again, and so all that it does not: failures by their names in the
/// samples, statuses, and gRPC statuses.
fn check(what: &str, line: &RetryLine, failures: &str, statuses: &str, grpc: &str) {
    assert_eq!(failures_tried(line.retry_on()), failures, "{what}");
    assert_eq!(statuses_tried(line.retry_on()), statuses, "{what}");
    assert_eq!(grpc_tried(line.retry_on()), grpc, "{what}");
}

fn said(result: Result<RetryLine, ParseRetryLineError>) -> String {
    result.unwrap_err().to_string()
}

#[test]
fn error_tells_where_it_was_found() {
    let error = RetryLine::haproxy("retry-on 503 599").unwrap_err();
    assert_eq!((error.proxy(), error.list()), ("HAProxy", "retry-on"));
    assert_eq!((error.position(), error.word()), (2, "599"));
    let error = RetryLine::nginx("grpc_next_upstream;").unwrap_err();
    assert_eq!(
        (error.proxy(), error.list()),
        ("nginx", "grpc_next_upstream")
    );
    assert_eq!((error.position(), error.word()), (0, ""));
}

#[test]
fn what_each_proxy_does_by_default_is_told() {
    use NonIdempotent::{Always, Never};

    let told = |line: RetryLine| {
        (
            line.max_attempts(),
            line.reuse_tried(),
            line.non_idempotent(),
        )
    };
    let nginx = |line| told(RetryLine::nginx(line).unwrap());
    assert_eq!(nginx("error"), (0, false, Never));
    assert_eq!(nginx("error non_idempotent"), (0, false, Always));
    assert_eq!(told(RetryLine::haproxy("503").unwrap()), (4, true, Always));
    assert_eq!(told(RetryLine::envoy("5xx").unwrap()), (2, true, Always));
}

#[test]
fn message_is_bounded_and_harmless() {
    for word in ["x", "é", "9", "\u{1b}[2J", "a,", "\u{202e}"] {
        let line = word.repeat(100_000);
        for read in [RetryLine::nginx, RetryLine::haproxy, RetryLine::envoy] {
            let said = said(read(&line));
            assert!(said.len() < 1_000, "{}", said.len());
            assert!(!said.contains(char::is_control), "{said:?}");
        }
    }
}

proptest! {
    #[test]
    fn no_line_is_too_strange(
        line in "((error|http_503|off|503|none|5xx|reset|retriable-headers|retry_on: |num_retries:|retries|proxy_next_upstream_tries|retry-on |[ ,;#'\"\n])|[a-z_-]{0,2}){0,12}|.*"
    ) {
        let reads = [RetryLine::nginx, RetryLine::haproxy, RetryLine::envoy];
        for read in reads {
            if let Err(error) = read(&line) {
                let said = error.to_string();
                prop_assert!(said.len() < 1_000 && !said.contains(char::is_control), "{:?}", said);
            }
        }
        let envoy = Envoy::new()
            .retry_on("retriable-status-codes,retriable-headers")
            .retry_grpc_on(&line)
            .num_retries(&line)
            .retriable_status_codes(&line)
            .retriable_header_names(&line);
        let _ = envoy.line();
    }

    #[test]
    fn no_header_is_too_strange(value in prop::collection::vec(0x20..=0xff_u8, 0..24)) {
        let value = value.into_iter().filter(|byte| *byte != 0x7f).collect::<Vec<_>>();
        let names = ["x-envoy-retry-on", "x-envoy-retry-grpc-on", "x-envoy-max-retries"];
        for name in names {
            let mut headers = HeaderMap::new();
            headers.append("x-envoy-retry-on", http::HeaderValue::from_static("5xx"));
            headers.append(name, http::HeaderValue::from_bytes(&value).unwrap());
            let _ = RetryLine::from_envoy_headers(&headers);
        }
    }
}
