use super::super::words;
use super::*;

#[test]
fn each_word_tries_again_on_its_own_and_on_nothing_else() {
    let words = [
        (
            "error",
            "refused handed-back overloaded no-peer junk-unsent refused-stream goaway reset \
             reset-reused refused-unproved other",
            "",
        ),
        (
            "timeout",
            "connect-timeout waited timeout deadline connect-timeout-unproved",
            "",
        ),
        (
            "invalid_header",
            "junk-unsent refused-stream goaway junk",
            "",
        ),
        ("http_500", "", "500"),
        ("http_502", "", "502"),
        ("http_503", "", "503"),
        ("http_504", "", "504"),
        ("http_403", "", "403"),
        ("http_404", "", "404"),
        ("http_429", "", "429"),
        ("non_idempotent", "", ""),
        ("off", "", ""),
        ("updating", "", ""),
    ];
    let known: Vec<_> = words::nginx::WORDS.iter().map(|(word, _)| *word).collect();
    assert_eq!(words.map(|(word, ..)| word).to_vec(), known);
    for (word, failures, statuses) in words {
        check(
            word,
            &RetryLine::nginx(word).unwrap(),
            failures,
            statuses,
            "",
        );
    }
}

#[test]
fn words_add_up() {
    let line = RetryLine::nginx("error timeout invalid_header http_502 http_504").unwrap();
    check("all failures", &line, ANY_FAILURE, "502,504", "");
}

#[test]
fn off_wins_over_all_others_wherever_it_stands() {
    for line in [
        "off",
        "off error",
        "error timeout off http_503",
        "error off non_idempotent",
    ] {
        let read = RetryLine::nginx(line).unwrap();
        assert_eq!(read.retry_on(), &RetryOn::none(), "{line}");
        assert_eq!(read.max_attempts(), 1, "{line}");
    }
}

#[test]
fn tries_have_no_bound_but_the_peers() {
    assert_eq!(RetryLine::nginx("error").unwrap().max_attempts(), 0);
    assert_eq!(
        RetryLine::nginx("non_idempotent").unwrap().max_attempts(),
        1
    );
}

#[test]
fn directive_is_read_as_it_is_written() {
    let meant = RetryLine::nginx("error timeout http_503").unwrap();
    let lines = [
        "proxy_next_upstream error timeout http_503;",
        "proxy_next_upstream error timeout http_503",
        "error timeout http_503;",
        "  proxy_next_upstream\terror\r\n    timeout # and\n    http_503 ;  # so\n",
        "proxy_next_upstream 'error' \"timeout\" http_503;",
        "proxy_next_upstream ERROR Timeout HTTP_503;",
        "proxy_next_upstream http_503 timeout error error;",
        "grpc_next_upstream error timeout http_503;",
        "fastcgi_next_upstream error timeout http_503;",
        "uwsgi_next_upstream error timeout http_503;",
        "scgi_next_upstream error timeout http_503;",
    ];
    for line in lines {
        assert_eq!(
            RetryLine::nginx(line).unwrap().retry_on(),
            meant.retry_on(),
            "{line}"
        );
    }
}

#[test]
fn wrong_line_is_told_what_is_wrong() {
    let all = "error, timeout, invalid_header, http_500, http_502, http_503, http_504, http_403, \
               http_404, http_429, non_idempotent, off";
    let wrong = [
        ("", "proxy_next_upstream: no condition; the one for never is `off`".to_owned()),
        (" # error", "proxy_next_upstream: no condition; the one for never is `off`".to_owned()),
        ("grpc_next_upstream;", "grpc_next_upstream: no condition; the one for never is `off`".to_owned()),
        ("eror", "proxy_next_upstream, word 1: `eror` is no condition; did you mean `error`?".to_owned()),
        ("error invalid-header", "proxy_next_upstream, word 2: `invalid-header` is no condition; did you mean `invalid_header`?".to_owned()),
        ("proxy_next_upstream error 503;", "proxy_next_upstream, word 2: `503` is a word of HAProxy's; did you mean `http_503`?".to_owned()),
        ("connect-failure", format!("proxy_next_upstream, word 1: `connect-failure` is a word of Envoy's; the words are {all}, updating")),
        ("http_505", format!("proxy_next_upstream, word 1: `http_505` is no condition; the words are {all}, updating")),
        ("error $on_what", format!("proxy_next_upstream, word 2: `$on_what` is no condition; the words are {all}, updating")),
        ("grpc_next_upstream updating", format!("grpc_next_upstream, word 1: `updating` is no condition; the words are {all}")),
        ("fastcgi_next_upstream http_404 http_502", format!(
            "fastcgi_next_upstream, word 2: `http_502` is no condition; the words are {}, updating",
            all.replace("http_502, ", "").replace("http_504, ", ""),
        )),
        ("error,timeout", "proxy_next_upstream, word 1: `error,timeout` is no word; words are set apart by space".to_owned()),
        ("error; timeout;", "proxy_next_upstream, word 2: `timeout` stands after its end".to_owned()),
        ("location / { grpc_next_upstream error; }", format!("proxy_next_upstream, word 1: `location` is no condition; the words are {all}, updating")),
        ("grpc_next_upstream error timeout; }", "grpc_next_upstream, word 3: `}` stands after its end".to_owned()),
        ("proxy_next_upstream_tries 3;", "proxy_next_upstream, word 1: `proxy_next_upstream_tries` is a line of its own: `FailoverLayer::max_attempts`".to_owned()),
        ("proxy_next_upstream error;\nproxy_next_upstream_tries 3;", "proxy_next_upstream, word 2: `proxy_next_upstream_tries` is a line of its own: `FailoverLayer::max_attempts`".to_owned()),
        ("error fastcgi_next_upstream_timeout", "proxy_next_upstream, word 2: `fastcgi_next_upstream_timeout` is a line of its own: `FailoverLayer::retry_window`".to_owned()),
        ("'error timeout", "proxy_next_upstream: a quote is not closed".to_owned()),
    ];
    for (line, why) in wrong {
        assert_eq!(
            said(RetryLine::nginx(line)),
            format!("nginx {why}"),
            "{line}"
        );
    }
    for line in ["stream_next_upstream on;", "Proxy_next_upstream error"] {
        assert!(RetryLine::nginx(line).is_err(), "{line}");
    }
}
