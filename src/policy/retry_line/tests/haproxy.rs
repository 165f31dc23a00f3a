use super::super::words;
use super::*;

const CONN_FAILURE: &str =
    "refused connect-timeout handed-back overloaded no-peer waited junk-unsent";

#[test]
fn each_word_tries_again_on_its_own_and_on_nothing_else() {
    let words = [
        ("none", "", ""),
        ("conn-failure", CONN_FAILURE, ""),
        (
            "empty-response",
            "handed-back refused-stream goaway reset reset-reused refused-unproved other",
            "",
        ),
        ("junk-response", "junk-unsent junk", ""),
        (
            "response-timeout",
            "waited timeout deadline connect-timeout-unproved",
            "",
        ),
        ("0rtt-rejected", "", ""),
        ("401", "", "401"),
        ("403", "", "403"),
        ("404", "", "404"),
        ("408", "", "408"),
        ("421", "", "421"),
        ("425", "", "425"),
        ("429", "", "429"),
        ("500", "", "500"),
        ("501", "", "501"),
        ("502", "", "502"),
        ("503", "", "503"),
        ("504", "", "504"),
        ("all-retryable-errors", ANY_FAILURE, "500,502-504"),
    ];
    let known: Vec<_> = words::haproxy::WORDS
        .iter()
        .map(|(word, _)| *word)
        .collect();
    assert_eq!(words.map(|(word, ..)| word).to_vec(), known);
    for (word, failures, statuses) in words {
        check(
            word,
            &RetryLine::haproxy(word).unwrap(),
            failures,
            statuses,
            "",
        );
    }
}

#[test]
fn words_add_up() {
    let line = RetryLine::haproxy("conn-failure 503 404 425").unwrap();
    check("three statuses", &line, CONN_FAILURE, "404,425,503", "");
    let same = RetryLine::haproxy("425 404 503 503 conn-failure").unwrap();
    assert_eq!(same.retry_on(), line.retry_on());
}

#[test]
fn three_retries_are_four_attempts_and_none_is_one() {
    assert_eq!(RetryLine::haproxy("503").unwrap().max_attempts(), 4);
    assert_eq!(RetryLine::haproxy("none").unwrap().max_attempts(), 1);
    assert_eq!(
        RetryLine::haproxy("0rtt-rejected").unwrap().max_attempts(),
        1
    );
}

#[test]
fn line_is_read_as_it_is_written() {
    let meant = RetryLine::haproxy("conn-failure 503").unwrap();
    for line in [
        "retry-on conn-failure 503",
        "    retry-on  conn-failure\t503  # 504\n",
        "retry-on 'conn-failure' \"503\"",
        "503 conn-failure",
    ] {
        assert_eq!(
            RetryLine::haproxy(line).unwrap().retry_on(),
            meant.retry_on(),
            "{line}"
        );
    }
}

#[test]
fn wrong_line_is_told_what_is_wrong() {
    let all = "the words are none, conn-failure, empty-response, junk-response, response-timeout, \
               0rtt-rejected, 401, 403, 404, 408, 421, 425, 429, 500, 501, 502, 503, 504, \
               all-retryable-errors";
    let wrong = [
        ("", ": no condition; the one for never is `none`".to_owned()),
        (
            "retry-on",
            ": no condition; the one for never is `none`".to_owned(),
        ),
        ("none 503", ", word 1: `none` must stand alone".to_owned()),
        ("503 none", ", word 2: `none` must stand alone".to_owned()),
        (
            "503 Conn-Failure",
            ", word 2: `Conn-Failure` is no condition; did you mean `conn-failure`?".to_owned(),
        ),
        (
            "connect-failure",
            ", word 1: `connect-failure` is a word of Envoy's; did you mean `conn-failure`?"
                .to_owned(),
        ),
        (
            "http_503",
            ", word 1: `http_503` is a word of nginx's; did you mean `503`?".to_owned(),
        ),
        (
            "retry-on 0rtt_rejected",
            ", word 1: `0rtt_rejected` is no condition; did you mean `0rtt-rejected`?".to_owned(),
        ),
        ("409", format!(", word 1: `409` is no condition; {all}")),
        (
            "5xx",
            format!(", word 1: `5xx` is a word of Envoy's; {all}"),
        ),
        (
            "503 retry-on",
            format!(", word 2: `retry-on` is no condition; {all}"),
        ),
        (
            "503,504",
            ", word 1: `503,504` is no word; words are set apart by space".to_owned(),
        ),
        ("503 '", ": a quote is not closed".to_owned()),
        (
            "retry-on 503\n    retries 2",
            ", word 2: `retries` is a line of its own: `FailoverLayer::max_attempts`, one more than \
             the retries"
                .to_owned(),
        ),
        (
            "option redispatch\n retry-on 503",
            ", word 1: `option` is a line of its own: `option redispatch` is how it is here; \
             without it, `Standard::retries_per_peer`"
                .to_owned(),
        ),
    ];
    for (line, why) in wrong {
        assert_eq!(
            said(RetryLine::haproxy(line)),
            format!("HAProxy retry-on{why}"),
            "{line}"
        );
    }
}
