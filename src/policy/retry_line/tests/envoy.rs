use http::HeaderValue;

use super::super::super::retry_on::samples::response;
use super::super::words;
use super::*;

const CONNECT_FAILURE: &str =
    "refused connect-timeout handed-back overloaded no-peer waited junk-unsent";

fn with_lists(line: &str) -> Envoy {
    let envoy = Envoy::new().retry_on(line);
    envoy
        .retriable_status_codes("404,503")
        .retriable_header_names("x-retry")
}

fn answers(line: &RetryLine, status: u16, header: &str) -> bool {
    line.retry_on()
        .matches_response(&response(status, &[(header, "1")]))
}

#[test]
fn each_word_tries_again_on_its_own_and_on_nothing_else() {
    let words = [
        ("5xx", ANY_FAILURE, "5xx"),
        ("gateway-error", ANY_FAILURE, "502-504"),
        ("reset", ANY_FAILURE, ""),
        ("reset-before-request", CONNECT_FAILURE, ""),
        ("connect-failure", CONNECT_FAILURE, ""),
        ("envoy-ratelimited", "", ""),
        ("retriable-4xx", "", "409"),
        ("refused-stream", "refused-stream goaway", ""),
        ("retriable-status-codes", "", "404,503"),
        ("retriable-headers", "", ""),
    ];
    let known = words::envoy::WORDS.iter().map(|(word, _)| *word);
    let known = known.filter(|word| *word != "http3-post-connect-failure");
    assert_eq!(
        words.map(|(word, ..)| word).to_vec(),
        known.collect::<Vec<_>>()
    );
    for (word, failures, statuses) in words {
        let line = with_lists(word).line().unwrap();
        check(word, &line, failures, statuses, "");
        let by_header = word == "retriable-headers";
        assert_eq!(answers(&line, 200, "x-retry"), by_header, "{word}");
        assert_eq!(line.max_attempts(), 2, "{word}");
    }
}

#[test]
fn each_grpc_word_tries_again_on_its_code_and_on_no_other() {
    let words = [
        ("cancelled", "1"),
        ("deadline-exceeded", "4"),
        ("internal", "13"),
        ("resource-exhausted", "8"),
        ("unavailable", "14"),
    ];
    let known: Vec<_> = words::envoy::GRPC_WORDS
        .iter()
        .map(|(word, _)| *word)
        .collect();
    assert_eq!(words.map(|(word, _)| word).to_vec(), known);
    for (word, code) in words {
        check(word, &RetryLine::envoy(word).unwrap(), "", "", code);
        let apart = Envoy::new().retry_grpc_on(word).line().unwrap();
        check(word, &apart, "", "", code);
    }
    let both = Envoy::new()
        .retry_on("retriable-4xx")
        .retry_grpc_on("internal, cancelled");
    check("both", &both.line().unwrap(), "", "409", "1 13");
}

#[test]
fn limited_response_is_tried_again_only_if_the_line_says_so() {
    const LIMITED: &str = "x-envoy-ratelimited";
    let line = |line: &str| with_lists(line).line().unwrap();
    for words in [
        "5xx",
        "gateway-error",
        "retriable-status-codes,5xx,retriable-headers",
    ] {
        assert!(answers(&line(words), 503, "x"), "{words}");
        assert!(!answers(&line(words), 503, LIMITED), "{words}");
        let said_so = format!("{words},envoy-ratelimited");
        assert!(answers(&line(&said_so), 503, LIMITED), "{words}");
        assert!(answers(&line(&said_so), 429, LIMITED), "{words}");
        assert!(!answers(&line(&said_so), 429, "x"), "{words}");
    }
}

#[test]
fn lists_count_only_with_their_words() {
    let line = with_lists("connect-failure").line().unwrap();
    check("neither", &line, CONNECT_FAILURE, "", "");
    assert!(!answers(&line, 200, "x-retry"));
}

#[test]
fn one_retry_is_the_default_and_none_is_possible() {
    let attempts = |retries| {
        let line = Envoy::new().retry_on("5xx").num_retries(retries).line();
        line.unwrap().max_attempts()
    };
    for (retries, most) in [("", 2), ("0", 1), ("1", 2), ("3", 4), (" 3 ", 4)] {
        assert_eq!(attempts(retries), most, "{retries}");
    }
    assert_eq!(attempts("num_retries: 3"), 4);
    assert_eq!(attempts("4294967295"), u32::MAX);
    for line in ["", "retry_on: \"\"", "retry_on:", ", ,"] {
        let line = Envoy::new().retry_on(line).num_retries("5").line().unwrap();
        assert!(line.retry_on().is_none());
        assert_eq!(line.max_attempts(), 1);
    }
}

#[test]
fn line_is_read_as_it_is_written() {
    let meant = RetryLine::envoy("5xx,reset").unwrap();
    for line in [
        "reset,5xx",
        " 5xx , reset ",
        "5xx,,reset,",
        "retry_on: 5xx,reset",
        "retry_on: \"5xx,reset\"  # both",
        "'5xx,reset'",
        "\"retry_on\": \"5xx,reset\",",
        "retryOn: 5xx,reset",
        "x-envoy-retry-on: 5xx,reset",
        "5xx,reset,5xx",
    ] {
        assert_eq!(
            RetryLine::envoy(line).unwrap().retry_on(),
            meant.retry_on(),
            "{line}"
        );
    }
    let codes = Envoy::new().retry_on("retriable-status-codes");
    for list in [
        "503,429",
        "[503, 429]",
        "retriable_status_codes: [429, 503]",
    ] {
        let line = codes.clone().retriable_status_codes(list).line().unwrap();
        check(list, &line, "", "429,503", "");
    }
}

#[test]
fn wrong_line_is_told_what_is_wrong() {
    let grpc = "cancelled, deadline-exceeded, internal, resource-exhausted, unavailable";
    let all = format!(
        "the words are 5xx, gateway-error, reset, reset-before-request, connect-failure, \
         envoy-ratelimited, retriable-4xx, refused-stream, retriable-status-codes, \
         retriable-headers, http3-post-connect-failure, {grpc}"
    );
    let wrong = [
        ("gateway_error", ", word 1: `gateway_error` is no condition; did you mean `gateway-error`?".to_owned()),
        ("5xx,Reset", ", word 2: `Reset` is no condition; did you mean `reset`?".to_owned()),
        ("5xx,,rest", ", word 3: `rest` is no condition; did you mean `reset`?".to_owned()),
        ("http_503", ", word 1: `http_503` is a word of nginx's; statuses stand in retriable_status_codes".to_owned()),
        ("5xx,503", ", word 2: `503` is a word of HAProxy's; statuses stand in retriable_status_codes".to_owned()),
        ("409", ", word 1: `409` is no condition; statuses stand in retriable_status_codes".to_owned()),
        ("conn-failure", ", word 1: `conn-failure` is a word of HAProxy's; did you mean `connect-failure`?".to_owned()),
        ("timeout", format!(", word 1: `timeout` is a word of nginx's; {all}")),
        ("4xx", format!(", word 1: `4xx` is no condition; {all}")),
        ("5xx reset", ", word 1: `5xx reset` is no word; words are set apart by commas".to_owned()),
        ("retriable-status-codes", ", word 1: `retriable-status-codes` means nothing without retriable_status_codes".to_owned()),
        ("5xx,retriable-headers", ", word 2: `retriable-headers` means nothing without retriable_header_names".to_owned()),
        ("http3-post-connect-failure", ", word 1: `http3-post-connect-failure` cannot be honoured: nothing is sent over HTTP/3".to_owned()),
    ];
    for (line, why) in wrong {
        assert_eq!(
            said(RetryLine::envoy(line)),
            format!("Envoy retry_on{why}"),
            "{line}"
        );
    }
    let envoy = || Envoy::new().retry_on("retriable-status-codes,retriable-headers");
    let lists = [
        (
            envoy().retriable_status_codes("503,5xx"),
            "retriable_status_codes, word 2: `5xx` is no status from 100 to 999".to_owned(),
        ),
        (
            envoy().retriable_status_codes("42"),
            "retriable_status_codes, word 1: `42` is no status from 100 to 999".to_owned(),
        ),
        (
            with_lists("retriable-headers").retriable_header_names("x,a b"),
            "retriable_header_names, word 2: `a b` names no header".to_owned(),
        ),
        (
            Envoy::new().num_retries("+1"),
            "num_retries, word 1: `+1` is no number of retries".to_owned(),
        ),
        (
            Envoy::new().num_retries("4294967296"),
            "num_retries, word 1: `4294967296` is no number of retries".to_owned(),
        ),
        (
            Envoy::new().retry_grpc_on("5xx"),
            format!("retry_grpc_on, word 1: `5xx` is no condition; the words are {grpc}"),
        ),
    ];
    for (envoy, why) in lists {
        assert_eq!(said(envoy.line()), format!("Envoy {why}"));
    }
}

#[test]
fn line_that_was_pasted_along_is_told_where_it_goes() {
    let lines = [
        (
            "retry_on: 5xx\nnum_retries: 3",
            1,
            "num_retries:",
            "Envoy::num_retries",
        ),
        (
            "\"retry_on\": \"5xx\", \"num_retries\": 3",
            2,
            "\"num_retries\":",
            "Envoy::num_retries",
        ),
        (
            "retry_on: 5xx\nper_try_timeout: 1s",
            1,
            "per_try_timeout:",
            "FailoverLayer::per_try_timeout",
        ),
        (
            "5xx,reset\nretry_back_off: {base_interval: 1s}",
            2,
            "retry_back_off:",
            "Standard::backoff",
        ),
        (
            "attempts: 3\nretryOn: 5xx\nperTryTimeout: 1s",
            1,
            "attempts:",
            "Envoy::num_retries",
        ),
    ];
    for (line, position, word, to) in lines {
        let meant =
            format!("Envoy retry_on, word {position}: `{word}` is a line of its own: `{to}`");
        assert_eq!(said(RetryLine::envoy(line)), meant, "{line}");
    }
}

fn from_request(headers: &[(&'static str, &'static str)]) -> Result<Option<RetryLine>, String> {
    let pairs = headers
        .iter()
        .map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_static(value)));
    let line = RetryLine::from_envoy_headers(&pairs.collect());
    line.map_err(|error| error.to_string())
}

#[test]
fn request_asks_with_its_headers() {
    let asked = from_request(&[
        (
            "x-envoy-retry-on",
            "retriable-status-codes,retriable-headers",
        ),
        ("x-envoy-retry-on", "connect-failure"),
        ("x-envoy-retry-grpc-on", "unavailable"),
        ("x-envoy-max-retries", "4"),
        ("x-envoy-retriable-status-codes", "404"),
        ("x-envoy-retriable-status-codes", "429"),
        ("x-envoy-retriable-header-names", "X-Retry"),
    ]);
    let line = asked.unwrap().unwrap();
    check("all", &line, CONNECT_FAILURE, "404,429", "14");
    assert!(answers(&line, 200, "x-retry"));
    assert_eq!(line.max_attempts(), 5);
    let line = from_request(&[("x-envoy-retry-grpc-on", "internal")])
        .unwrap()
        .unwrap();
    check("gRPC alone", &line, "", "", "13");
}

#[test]
fn request_that_names_no_condition_asks_for_nothing() {
    for headers in [
        vec![],
        vec![("x-envoy-max-retries", "5")],
        vec![("x-envoy-retriable-status-codes", "nonsense")],
    ] {
        assert!(from_request(&headers).unwrap().is_none());
    }
    let empty = from_request(&[("x-envoy-retry-on", ""), ("x-envoy-max-retries", "5")]);
    assert_eq!(empty.unwrap().unwrap().max_attempts(), 1);
}

#[test]
fn header_that_is_wrong_is_named() {
    let wrong = [
        (
            ("x-envoy-retry-on", "rest"),
            "x-envoy-retry-on, word 1: `rest` is no condition; did you mean `reset`?",
        ),
        (
            ("x-envoy-max-retries", "many"),
            "x-envoy-max-retries, word 1: `many` is no number of retries",
        ),
        (
            ("x-envoy-max-retries", "3,4"),
            "x-envoy-max-retries, word 1: `3,4` is no number of retries",
        ),
        (
            ("x-envoy-retry-on", "503"),
            "x-envoy-retry-on, word 1: `503` is a word of HAProxy's; statuses stand in x-envoy-retriable-status-codes",
        ),
    ];
    for (header, why) in wrong {
        let said = from_request(&[header, ("x-envoy-retry-grpc-on", "internal")]).unwrap_err();
        assert_eq!(said, format!("Envoy {why}"));
    }
    assert!(from_request(&[("x-envoy-retry-on", "unavailable")]).is_err());
    let mut headers = HeaderMap::new();
    headers.insert(
        "x-envoy-retry-on",
        HeaderValue::from_bytes(b"5xx\xff").unwrap(),
    );
    let said = RetryLine::from_envoy_headers(&headers)
        .unwrap_err()
        .to_string();
    assert_eq!(said, "Envoy x-envoy-retry-on: the value is no text");
}
