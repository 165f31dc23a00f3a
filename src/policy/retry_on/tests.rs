use proptest::prelude::*;

use super::samples::{failures_tried, grpc_tried, response, statuses_tried};
use super::*;

fn read(list: &str) -> RetryOn {
    list.parse().unwrap()
}

fn answers(list: &str, status: u16, headers: &[(&str, &str)]) -> bool {
    read(list).matches_response(&response(status, headers))
}

#[test]
fn statuses_match_exactly() {
    for (list, statuses) in [
        ("503", "503"),
        ("404, 429", "404,429"),
        ("5xx", "5xx"),
        ("4xx,503", "4xx,503"),
        ("500-504", "500-504"),
        ("gateway-error", "502-504"),
        ("connect-failure,reset", ""),
    ] {
        assert_eq!(statuses_tried(&read(list)), statuses, "{list}");
    }
}

#[test]
fn headers_match_by_name_or_by_value() {
    assert!(answers("header:X-Retry", 200, &[("x-retry", "no")]));
    assert!(answers("header:x-retry=yes", 200, &[("x-retry", "yes")]));
    assert!(answers(
        "header:x-retry=yes",
        200,
        &[("x-retry", "no"), ("x-retry", "yes")]
    ));
    assert!(answers("header:x-retry=a%2Cb", 200, &[("x-retry", "a,b")]));
    assert!(!answers("header:x-retry=yes", 200, &[("x-retry", "no")]));
    assert!(!answers("header:x-retry=yes", 200, &[("x-retry", "Yes")]));
    assert!(!answers("header:x-retry=", 200, &[("x-retry", "yes")]));
    assert!(!answers("header:x-retry", 200, &[("x-other", "yes")]));
}

#[test]
fn header_that_forbids_it_wins_over_all_that_ask_for_it() {
    let list = "5xx,header:x-retry,grpc:14,unless-header:x-limited,unless-header:x-final=1";
    for asks in [
        (503, "x", "y"),
        (200, "x-retry", ""),
        (200, "grpc-status", "14"),
    ] {
        let (status, name, value) = asks;
        assert!(answers(list, status, &[(name, value)]));
        assert!(answers(list, status, &[(name, value), ("x-final", "0")]));
        assert!(!answers(list, status, &[(name, value), ("x-limited", "")]));
        assert!(!answers(list, status, &[(name, value), ("x-final", "1")]));
    }
    assert!(!answers("unless-header:x-limited", 503, &[]));
    let failures = "reset,unless-header:x-limited";
    assert_eq!(
        failures_tried(&read(failures)),
        failures_tried(&read("reset"))
    );
}

#[test]
fn grpc_status_matches_by_number() {
    assert_eq!(grpc_tried(&read("grpc:14")), "14");
    assert_eq!(
        grpc_tried(&read("grpc:unavailable, grpc:8,grpc:ok")),
        "0 8 14"
    );
    assert_eq!(grpc_tried(&read("503")), "");
    assert!(!answers("grpc:2", 200, &[("grpc-status", "99")]));
    assert!(!answers(
        "grpc:14",
        200,
        &[("grpc-status", "14"), ("grpc-status", "14")]
    ));
}

#[test]
fn setters_build_what_the_words_do() {
    const FAILURES: RetryOn = RetryOn::none()
        .connect_error()
        .connect_timeout()
        .refused_stream()
        .reset()
        .reset_reused()
        .timeout()
        .junk_response();
    assert_eq!(FAILURES.connect_failure(), FAILURES);
    let name = || HeaderName::from_static("x-retry");
    let yes = || Some(HeaderValue::from_static("yes"));
    let setters = FAILURES
        .status(StatusCode::NOT_FOUND)
        .statuses(500..=504)
        .gateway_error()
        .header(name(), None)
        .header(name(), yes())
        .grpc(GrpcCode::Unavailable)
        .unless_header(name(), yes());
    let words = "connect-failure,refused-stream,reset,reset-reused,timeout,junk-response,404,\
                 500-504,header:x-retry,header:x-retry=yes,grpc:unavailable,\
                 unless-header:x-retry=yes";
    assert_eq!(setters.to_string(), words);
    assert_eq!(setters, read(words));
    assert_eq!(format!("{setters:?}"), format!("RetryOn({words})"));
}

#[test]
fn default_is_what_it_says() {
    let words = "connect-failure,refused-stream,reset,timeout,gateway-error";
    assert_eq!(RetryOn::default().to_string(), words);
    assert_eq!(RetryOn::default(), read(words));
}

#[test]
fn list_without_a_condition_is_none() {
    for list in ["", " ", "unless-header:x-limited"] {
        assert!(read(list).is_none(), "{list}");
    }
    for list in ["reset", "503", "header:x", "grpc:14"] {
        assert!(!read(list).is_none(), "{list}");
    }
}

#[test]
fn text_is_the_shortest_that_says_the_same() {
    let texts = [
        (" reset , reset,reset ", "reset"),
        ("connect-timeout,connect-error", "connect-failure"),
        ("connect-failure,connect-timeout", "connect-failure"),
        ("connect-timeout", "connect-timeout"),
        ("504,502,503", "gateway-error"),
        ("gateway-error,500-501", "500-504"),
        ("gateway-error,5xx", "5xx"),
        ("503,timeout", "timeout,503"),
        (
            "grpc:14,grpc:4,grpc: unavailable",
            "grpc:deadline-exceeded,grpc:unavailable",
        ),
        (
            "header:B,header:a=1,header:A",
            "header:a,header:a=1,header:b",
        ),
        ("unless-header: x,503", "503,unless-header:x"),
    ];
    for (text, short) in texts {
        assert_eq!(read(text).to_string(), short, "{text}");
        assert_eq!(read(short), read(text), "{text}");
    }
}

#[test]
fn wrong_entry_is_named_with_its_position_and_what_was_meant() {
    let wrong = [
        (
            "503,conect-failure",
            "entry 2, `conect-failure`, is no condition; did you mean `connect-failure`?",
        ),
        (
            "Connect-Failure",
            "entry 1, `Connect-Failure`, is no condition; did you mean `connect-failure`?",
        ),
        (
            "connect_failure",
            "entry 1, `connect_failure`, is no condition; did you mean `connect-failure`?",
        ),
        (
            "reset,rest",
            "entry 2, `rest`, is no condition; did you mean `reset`?",
        ),
        (
            "5XX",
            "entry 1, `5XX`, is no condition; did you mean `5xx`?",
        ),
        (
            "heder:x-retry",
            "entry 1, `heder:x-retry`, is no condition; did you mean `header:x-retry`?",
        ),
        (
            "GRPC:14",
            "entry 1, `GRPC:14`, is no condition; did you mean `grpc:14`?",
        ),
        (
            "header",
            "entry 1, `header`, is no condition; did you mean `header:` and what to look for?",
        ),
        (
            "reset 503",
            "entry 1, `reset 503`, is no condition; entries are set apart by commas",
        ),
        ("reset,,503", "entry 2 is empty"),
        ("reset,", "entry 2 is empty"),
        (",", "entry 1 is empty"),
        ("99", "entry 1, `99`, is no status: they are 100 to 999"),
        (
            "5xx,1000",
            "entry 2, `1000`, is no status: they are 100 to 999",
        ),
        ("504-500", "entry 1, `504-500`, ends before it begins"),
        ("header:", "entry 1, `header:`, names no header"),
        ("header:a b", "entry 1, `header:a b`, names no header"),
        (
            "unless-header:=x",
            "entry 1, `unless-header:=x`, names no header",
        ),
        (
            "header:x=100%",
            "entry 1, `header:x=100%`, has no header value: `%` is written `%25`, and a comma `%2C`",
        ),
        (
            "grpc:unavailabel",
            "entry 1, `grpc:unavailabel`, is no gRPC code; did you mean `grpc:unavailable`?",
        ),
        (
            "grpc:DATA_LOSS",
            "entry 1, `grpc:DATA_LOSS`, is no gRPC code; did you mean `grpc:data-loss`?",
        ),
    ];
    for (list, said) in wrong {
        let error = list.parse::<RetryOn>().unwrap_err();
        assert_eq!(error.to_string(), said);
    }
    let error = "5xx, status:503".parse::<RetryOn>().unwrap_err();
    assert_eq!((error.position(), error.word()), (2, "status:503"));
}

#[test]
fn wrong_entry_that_is_near_to_none_is_told_what_there_is() {
    let all = "the conditions are connect-failure, connect-error, connect-timeout, refused-stream, reset, \
               reset-reused, timeout, junk-response, gateway-error, a status (503), a class (5xx), \
               a range (500-504), header:NAME, header:NAME=VALUE, unless-header:NAME, \
               unless-header:NAME=VALUE, grpc:CODE";
    for word in [
        "sometimes",
        "status:503",
        "http_503",
        "ｒｅｓｅｔ",
        "-",
        "+503",
    ] {
        let error = word.parse::<RetryOn>().unwrap_err().to_string();
        assert_eq!(error, format!("entry 1, `{word}`, is no condition; {all}"));
    }
    let codes = "a number from 0 to 16, or ok, cancelled, unknown,";
    for word in ["grpc:", "grpc:17", "grpc:xyz", "grpc:-1"] {
        let error = word.parse::<RetryOn>().unwrap_err().to_string();
        let start = format!("entry 1, `{word}`, is no gRPC code: {codes}");
        assert!(error.starts_with(&start), "{error}");
    }
}

#[test]
fn message_is_bounded_and_harmless() {
    for word in [
        "x",
        "header:",
        "grpc:",
        "9",
        "header:x=%",
        "reset ",
        "é",
        "\u{1b}[2J",
    ] {
        let error = word.repeat(100_000).parse::<RetryOn>().unwrap_err();
        let said = error.to_string();
        assert!(said.len() < 1_000, "{said}");
        assert!(!said.contains(char::is_control), "{said:?}");
    }
}

fn header() -> impl Strategy<Value = (String, Option<Vec<u8>>)> {
    let byte = prop_oneof![
        0x20..=0x7e_u8,
        0x80..=0xff_u8,
        Just(b'\t'),
        Just(b','),
        Just(b'%')
    ];
    let value = prop::option::of(prop::collection::vec(byte, 0..9));
    ("[a-zA-Z0-9!#$%&'*+.^_`|~-]{1,9}", value)
}

fn any_list() -> impl Strategy<Value = RetryOn> {
    let headers = || prop::collection::vec(header(), 0..3);
    let failures = prop::collection::vec(prop::sample::select(&Failures::WORDS[..]), 0..5);
    let statuses = prop::collection::vec((100..=999_u16, 0..150_u16), 0..4);
    let codes = prop::collection::vec(prop::sample::select(&GrpcCode::ALL[..]), 0..4);
    (failures, statuses, headers(), codes, headers()).prop_map(
        |(failures, statuses, headers, codes, unless)| {
            let split = |(name, value): (String, Option<Vec<u8>>)| {
                let value = value.map(|value| HeaderValue::from_bytes(&value).unwrap());
                (name.parse::<HeaderName>().unwrap(), value)
            };
            let list = RetryOn::none();
            let list = failures
                .iter()
                .fold(list, |list, (_, set)| list.and_failures(*set));
            let list = statuses.into_iter().fold(list, |list, (first, length)| {
                list.statuses(first..=first + length)
            });
            let list = headers
                .into_iter()
                .map(split)
                .fold(list, |list, (name, value)| list.header(name, value));
            let list = codes.into_iter().fold(list, RetryOn::grpc);
            unless
                .into_iter()
                .map(split)
                .fold(list, |list, (name, value)| list.unless_header(name, value))
        },
    )
}

proptest! {
    #[test]
    fn every_list_reads_back(list in any_list()) {
        let text = list.to_string();
        prop_assert_eq!(read(&text), list, "{}", text);
    }

    #[test]
    fn no_text_is_too_strange(
        text in "((reset|timeout|5xx|503|500-504|header:|grpc:|unless-header:|x=|%|,| |[a-z0-9]){0,9})|.*"
    ) {
        match text.parse::<RetryOn>() {
            Ok(list) => prop_assert_eq!(read(&list.to_string()), list),
            Err(error) => {
                let said = error.to_string();
                prop_assert!(said.len() < 1_000 && !said.contains(char::is_control), "{:?}", said);
            }
        }
    }
}
