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
    config::{BackoffConfig, BudgetConfig, RetryAfterConfig, RetryConfig},
    policy::{NonIdempotent, RetryLine},
};

type Body = Full<Bytes>;

fn read(file: &str) -> Result<RetryConfig, toml::de::Error> {
    toml::from_str(file)
}

fn read_json(file: &str) -> Result<RetryConfig, serde_json::Error> {
    serde_json::from_str(file)
}

const MS: Duration = Duration::from_millis(1);

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

#[tokio::test(start_paused = true)]
async fn listed_delays_are_waited_exactly_and_no_more_come_after_them() {
    let file = "retry_on = 503\nreuse_tried = true\nretry_after = false\nmax_attempts = 9\n";
    let layer = |backoff: &str| read(&format!("{file}{backoff}")).unwrap().layer().unwrap();
    let listed = layer("backoff = [\"100ms\", \"0s\", \"500ms\"]");
    let (status, made, took) = outcome(listed, "GET", &[503]).await;
    assert_eq!((status, made), (503, 4));
    assert!(took >= 600 * MS && took < 605 * MS, "{took:?}");
    let (_, made, _) = outcome(layer("backoff = []"), "GET", &[503]).await;
    assert_eq!(made, 1);
    let (_, made, took) = outcome(layer("backoff = { base = \"0s\" }"), "GET", &[503]).await;
    assert_eq!((made, took), (9, Duration::ZERO));
}

#[tokio::test(start_paused = true)]
async fn longest_delay_is_ten_times_the_first_where_none_is_written() {
    let file = "reuse_tried = true\nretry_after = false\nmax_attempts = 40\nbudget = false\n";
    let longest = async |backoff: &str| {
        let config = read(&format!("{file}{backoff}")).unwrap();
        outcome(config.layer().unwrap(), "GET", &[503]).await.2
    };
    let took = longest("backoff = { base = \"1s\" }").await;
    let (least, most) = (Duration::from_secs(60), Duration::from_secs(390));
    assert!(took > least && took < most, "{took:?}");
    let took = longest("backoff = { base = \"1s\", max = \"1s\" }").await;
    assert!(took < Duration::from_secs(39), "{took:?}");
}

#[test]
fn delays_that_are_not_written_contradict_none_that_are() {
    for backoff in [
        "{ base = \"1s\" }",
        "{ max = \"1ms\" }",
        "{ multiplier = 9 }",
        "{}",
    ] {
        let config = read(&format!("backoff = {backoff}")).unwrap();
        assert!(config.layer().is_ok(), "{backoff}");
    }
}

fn read_back(config: &RetryConfig) {
    let text = toml::to_string(config).unwrap();
    assert_eq!(&read(&text).unwrap(), config, "{text}");
    let text = serde_json::to_string(config).unwrap();
    assert_eq!(&read_json(&text).unwrap(), config, "{text}");
}

#[test]
fn config_is_read_as_it_was_written() {
    let mut config = RetryConfig::default();
    read_back(&config);
    config.retry_on = "grpc:unavailable,header:x-retry=yes,5xx".parse().unwrap();
    config.refused_on = "425,420-421".parse().unwrap();
    config.non_idempotent = NonIdempotent::Reused;
    config.max_attempts = Some(0);
    config.retry_after = RetryAfterConfig::Ignored;
    config.budget = None;
    config.deadline = Some(Duration::from_millis(1_500));
    config.attempt_header = Some("x-attempt".parse().unwrap());
    config.send_deadline = Some(tower_failover::limits::DeadlineHeader::grpc_timeout());
    config.backoff = BackoffConfig::Exactly(vec![100 * MS, Duration::ZERO, 1_500 * MS]);
    read_back(&config);
    config.backoff = BackoffConfig::Exactly(Vec::new());
    read_back(&config);
    config.backoff = BackoffConfig::Exponential {
        base: 1_500 * MS,
        max: Some(9_000 * MS),
        multiplier: 1.5,
    };
    config.budget = Some(BudgetConfig::default());
    read_back(&config);
    read_back(&config.line(&RetryLine::haproxy("503").unwrap()));
}

#[test]
fn null_is_as_if_nothing_were_written() {
    let keys = [
        "retry_on",
        "nginx",
        "haproxy",
        "envoy",
        "refused_on",
        "non_idempotent",
        "max_attempts",
        "max_retries",
        "reuse_tried",
        "retries_per_peer",
        "deadline",
        "retry_window",
        "per_try_timeout",
        "lift_per_try_timeout_on_last",
        "deadline_from",
        "send_deadline",
        "attempt_header",
        "backoff",
        "retry_after",
        "budget",
        "replay_cap",
    ];
    for key in keys {
        let config = read_json(&format!("{{\"{key}\": null}}")).unwrap();
        assert_eq!(config, RetryConfig::default(), "{key}");
    }
    for table in [
        r#"{"backoff": {"base": null, "max": null, "multiplier": null}}"#,
        r#"{"budget": {"per_request": null}}"#,
    ] {
        assert_eq!(read_json(table).unwrap(), RetryConfig::default(), "{table}");
    }
    assert!(read_json(r#"{"deadlin": null}"#).is_err());
}

#[test]
fn only_tables_stand_for_tables() {
    for file in [
        r#"["503"]"#,
        r#"[]"#,
        r#""503""#,
        "503",
        "null",
        r#"{"budget": [0.2, 10]}"#,
    ] {
        let error = read_json(file).unwrap_err().to_string();
        assert!(error.contains("expected a table"), "{file}: {error}");
    }
}

#[test]
fn status_alone_is_a_list() {
    let config = read("retry_on = 503\nrefused_on = 425").unwrap();
    assert_eq!(config.retry_on.to_string(), "503");
    assert_eq!(config.refused_on.to_string(), "425");
    let config = read_json(r#"{"retry_on": 503, "refused_on": [425, "421"]}"#).unwrap();
    assert_eq!(config.retry_on.to_string(), "503");
    assert_eq!(config.refused_on.to_string(), "421,425");
}

#[tokio::test(start_paused = true)]
async fn line_of_another_proxy_in_a_file_does_as_there() {
    let lines = [
        (
            "nginx = \"error timeout http_503\"",
            RetryLine::nginx("error timeout http_503"),
        ),
        (
            "haproxy = \"retry-on conn-failure 503\"",
            RetryLine::haproxy("conn-failure 503"),
        ),
        ("envoy = \"5xx,reset\"", RetryLine::envoy("5xx,reset")),
    ];
    for (file, line) in lines {
        let layer = || read(file).unwrap().layer().unwrap();
        let meant = || FailoverLayer::from(line.clone().unwrap());
        assert_eq!(format!("{:?}", layer()), format!("{:?}", meant()), "{file}");
        for method in ["GET", "POST"] {
            let here = outcome(layer(), method, &[503, 503, 404]).await;
            let there = outcome(meant(), method, &[503, 503, 404]).await;
            assert_eq!((here.0, here.1), (there.0, there.1), "{file} {method}");
        }
    }
}

#[test]
fn line_replaces_what_it_speaks_of_and_nothing_else() {
    let file = read(
        r#"
        retry_on = "reset"
        refused_on = [425]
        non_idempotent = "reused"
        max_retries = 7
        reuse_tried = true
        retries_per_peer = 2
        deadline = "9s"
        per_try_timeout = "3s"
        retry_after = "3s"
        backoff = ["1s"]
        budget = false
        replay_cap = 5
        "#,
    )
    .unwrap();
    let line = RetryLine::nginx("http_503").unwrap();
    let both = file.clone().line(&line);
    assert_eq!(both.retry_on.to_string(), "503");
    assert_eq!(both.non_idempotent, NonIdempotent::Never);
    assert_eq!((both.max_attempts, both.max_retries), (Some(0), None));
    assert!(!both.reuse_tried);
    let none = BackoffConfig::Exponential {
        base: Duration::ZERO,
        max: Some(Duration::ZERO),
        multiplier: 2.0,
    };
    assert_eq!(both.backoff, none);
    let mut rest = file;
    rest.retry_on.clone_from(&both.retry_on);
    rest.non_idempotent = both.non_idempotent;
    (rest.max_attempts, rest.max_retries) = (both.max_attempts, both.max_retries);
    rest.reuse_tried = both.reuse_tried;
    rest.backoff = both.backoff.clone();
    rest.retry_after = RetryAfterConfig::Ignored;
    assert_eq!(rest, both);
}

#[test]
fn what_a_file_says_itself_stands_over_its_line() {
    let line = "envoy = \"5xx\"\n";
    let plain = read(line).unwrap();
    assert_eq!((plain.max_attempts, plain.reuse_tried), (Some(2), true));
    for own in [
        "max_retries = 4",
        "max_attempts = 5",
        "max_attempts = 5\nmax_retries = 4",
    ] {
        let config = read(&format!("{line}{own}")).unwrap();
        let shown = format!("{:?}", config.layer().unwrap());
        assert!(shown.contains("max_attempts: 5"), "{own}: {shown}");
        assert_eq!(config.retry_on, plain.retry_on);
    }
    let own = "non_idempotent = \"never\"\nreuse_tried = false\nbackoff = []\nretry_after = \"5s\"";
    let config = read(&format!("{own}\n{line}")).unwrap();
    assert_eq!(config.non_idempotent, NonIdempotent::Never);
    assert!(!config.reuse_tried);
    assert_eq!(config.retry_after, RetryAfterConfig::UpTo(5_000 * MS));
    assert_eq!(config.backoff, BackoffConfig::Exactly(Vec::new()));
}

#[test]
fn only_one_key_says_what_is_tried_again() {
    let keys = [
        ("retry_on", "503"),
        ("nginx", "error"),
        ("haproxy", "503"),
        ("envoy", "5xx"),
    ];
    for (index, (one, words)) in keys.iter().enumerate() {
        for (other, others) in &keys[index + 1..] {
            let file = format!("{other} = \"{others}\"\n{one} = \"{words}\"");
            let error = read(&file).unwrap_err().to_string();
            let told = format!("`{one}` and `{other}` both say what is tried again");
            assert!(error.contains(&told), "{error}");
        }
    }
}

#[test]
fn what_cannot_be_read_is_named_with_its_place() {
    for (file, told) in [
        ("max_atempts = 3", "unknown field `max_atempts`"),
        ("backoff = { bse = \"1s\" }", "unknown field `bse`"),
        ("retry_on = \"conect-failure\"", "`conect-failure`"),
        ("retry_on = [503, \"somtimes\"]", "`somtimes`"),
        ("retry_on = [true]", "a word, or a status"),
        ("retry_on = 5030", "`5030`"),
        (
            "retry_on = 503.5",
            "floating point `503.5`, expected a comma-separated list",
        ),
        (
            "refused_on = [503.5]",
            "floating point `503.5`, expected one entry: a word, or a status from 100 to 999",
        ),
        ("nginx = \"eror\"", "did you mean `error`?"),
        ("haproxy = [503]", "expected a string"),
        (
            "backoff = \"1s\"",
            "expected a table with `base` and `max`, or a list of delays",
        ),
        (
            "backoff = [1]",
            "integer `1`, expected a duration with its unit, as in `10s`",
        ),
        (
            "backoff = [\"1s\", \"2\"]",
            "string \"2\", expected a duration with its unit, as in `10s`",
        ),
        (
            "deadline = \"10\"",
            "invalid value: string \"10\", expected a duration with its unit, as in `10s`",
        ),
        (
            "deadline = \"0\"",
            "invalid value: string \"0\", expected a duration with its unit, as in `10s`",
        ),
        (
            "retry_after = \"10\"",
            "string \"10\", expected a duration with its unit, as in `10s`, or `false`",
        ),
        (
            "retry_after = 10",
            "integer `10`, expected a duration with its unit",
        ),
        ("refused_on = [99]", "`99`"),
        ("deadline = \"soon\"", "soon"),
        (
            "deadline = 5",
            "integer `5`, expected a duration with its unit, as in `10s`",
        ),
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
            "backoff = { base = \"2s\", max = \"1s\" }",
            "backoff max: 1s is not at least the base, 2s",
        ),
        (
            "backoff = { multiplier = 0.5 }",
            "backoff multiplier: 0.5 is not a factor from 1 to 100",
        ),
        (
            "budget = { ratio = -1.0 }",
            "budget: -1 is not a ratio from 0 to 10, such as 0.2 for 20 %",
        ),
        (
            "budget = { burst = 0 }",
            "budget burst: 0 is not at least 1",
        ),
        (
            "budget = { per_request = 0.0 }",
            "budget per request: 0 is not a share above 0 and up to 10, such as 0.5 for one half",
        ),
        (
            "deadline = \"0s\"",
            "deadline: 0s is not a time longer than 0s",
        ),
        (
            "retry_window = \"0ms\"",
            "retry_window: 0s is not a time longer than 0s",
        ),
        (
            "per_try_timeout = \"0s\"",
            "per_try_timeout: 0s is not a time longer than 0s",
        ),
        (
            "max_attempts = 3\nmax_retries = 3",
            "max_attempts: 3 is not the 4 attempts that max_retries = 3 means",
        ),
    ] {
        let error = read(file).unwrap().layer().unwrap_err();
        assert_eq!(error.to_string(), told);
    }
    let agreeing = read("max_attempts = 4\nmax_retries = 3").unwrap();
    assert!(agreeing.layer().is_ok());
    let patient = read("deadline = \"1s\"\nper_try_timeout = \"2s\"").unwrap();
    assert!(patient.layer().is_ok());
}

#[test]
fn entry_of_an_array_is_one_and_not_empty() {
    for list in [
        r#"["503", ""]"#,
        r#"["", "503"]"#,
        r#"[""]"#,
        r#"["503,504"]"#,
    ] {
        let error = read(&format!("retry_on = {list}")).unwrap_err().to_string();
        assert!(error.contains("expected one entry"), "{list}: {error}");
    }
    assert!(read("retry_on = []").unwrap().retry_on.is_none());
}

#[test]
fn longest_duration_is_read_as_it_was_written() {
    let mut config = RetryConfig::default();
    config.retry_after = RetryAfterConfig::UpTo(Duration::MAX);
    assert_eq!(read(&toml::to_string(&config).unwrap()).unwrap(), config);
}

#[test]
fn timeout_is_not_lifted_without_a_deadline() {
    let lifted = "per_try_timeout = \"1s\"\nlift_per_try_timeout_on_last = true";
    let error = read(lifted).unwrap().layer().unwrap_err();
    assert_eq!(error.setting(), "lift_per_try_timeout_on_last");
    let ended = read(&format!("{lifted}\ndeadline = \"9s\"")).unwrap();
    assert!(ended.layer().is_ok());
}
