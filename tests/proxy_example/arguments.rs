use crate::*;

#[tokio::test]
async fn wrong_value_names_itself_and_the_form_that_is_accepted() {
    let wrong = [
        (["--listen", "here"], "here", "--listen"),
        (
            ["--upstream", "localhost:80"],
            "`localhost:80`",
            "http://host:port",
        ),
        (["--upstream", "https://a"], "https://a", "no TLS"),
        (["--backup", "HTTPS://a"], "HTTPS://a", "no TLS"),
        (["--backup", "ftp://a"], "`ftp://a`", "http://host:port"),
        (
            ["--upstream", "http://me:secret@a"],
            "user information",
            "http://host:port",
        ),
        (
            ["--upstream", "http://a;wieght=2"],
            "`wieght=2`",
            "did you mean `weight=`?",
        ),
        (["--upstream", "http://a/b;c=d"], "`c=d`", "`%3B`"),
        (["--upstream", "http://a;"], "``", "weight=, tier=, zone="),
        (["--upstream", "http://a;weight=x"], "`x`", "`weight=2`"),
        (
            ["--upstream", "http://a;weight"],
            "weight: ``",
            "`weight=2`",
        ),
        (
            ["--upstream", "http://a;weight=0"],
            "weight: 0",
            "from 1 to 256",
        ),
        (
            ["--upstream", "http://a;zone=eu;zone=us"],
            "`zone` is given twice",
            "zone=us",
        ),
        (["--upstream", "http://a;zone="], "zone=", "has a name"),
        (["--backup", "http://a;tier=-1"], "`-1`", "`tier=1`"),
        (["--backup", "https://a;tier=1"], "https://a", "no TLS"),
        (["--balance", "best"], "best", "in-order, round-robin"),
        (["--balance", "randon"], "`randon`", "`random`"),
        (["--balance", "hash"], "`hash`", "`hash:HEADER`"),
        (["--balance", "hash:"], "``", "names no header"),
        (["--balance", "hash:a b"], "`a b`", "names no header"),
        (["--balance", "hash:path"], "`hash:path`", "`hash-path`"),
        (
            ["--balance", "hash:cookie:id"],
            "`hash:cookie:id`",
            "`hash-cookie:id`",
        ),
        (
            ["--balance", "hash-coookie:id"],
            "`hash-coookie:id`",
            "`hash-cookie:id`",
        ),
        (["--balance", "hash-cookie:a=b"], "`a=b`", "names no cookie"),
        (["--balance", "random:2"], "`random:2`", "hash:HEADER"),
        (["--zone", ""], "--zone", "has a name"),
        (["--spill-over", "2"], "2", "a share from 0 to 1"),
        (["--spill-over", "NaN"], "NaN", "a share from 0 to 1"),
        (["--panic-threshold", "50%"], "50%", "`0.5`"),
        (["--max-ejected", "-0.1"], "-0.1", "a share from 0 to 1"),
        (["--slow-start", "x"], "x", "`500ms`"),
        (["--eject-within", "0s"], "--eject-within", "longer than 0s"),
        (["--unhealthy-on", "5000"], "`5000`", "--unhealthy-on"),
        (["--health-path", "health"], "health", "starts with \"/\""),
        (
            ["--health-interval", "0s"],
            "--health-interval",
            "longer than 0s",
        ),
        (["--health-timeout", "x"], "x", "`500ms`"),
        (["--health-timeout", "1s"], "required", "--health-path"),
        (["--admin", "8081"], "8081", "--admin"),
        (
            ["--retry-on", "5xx,sometimes"],
            "entry 2, `sometimes`",
            "connect-failure",
        ),
        (
            ["--retry-on", "conect-failure"],
            "entry 1, `conect-failure`",
            "did you mean `connect-failure`?",
        ),
        (
            ["--proxy-next-upstream", "error http_505"],
            "`http_505`",
            "nginx",
        ),
        (["--haproxy-retry-on", "none 503"], "`none`", "HAProxy"),
        (
            ["--envoy-retry-on", "http3-post-connect-failure"],
            "`http3-post-connect-failure`",
            "Envoy",
        ),
        (["--refused-on", "503,99"], "`99`", "--refused-on"),
        (["--retry-after", "soon"], "soon", "`500ms`"),
        (["--retries-per-peer", "-1"], "-1", "--retries-per-peer"),
        (["--deadline-from", "a b"], "a b", "--deadline-from"),
        (["--attempt-header", ""], "--attempt-header", "invalid"),
        (
            ["--attempt-header", "content-length"],
            "content-length",
            "frames or routes",
        ),
        (
            ["--attempts-header", "Transfer-Encoding"],
            "transfer-encoding",
            "frames or routes",
        ),
        (["--proxy-status", ""], "proxy_status", "printable ASCII"),
        (
            ["--config", "/nowhere.toml"],
            "/nowhere.toml",
            "No such file",
        ),
        (["--max-attempts", "-1"], "-1", "--max-attempts"),
        (["--non-idempotent", "yes"], "yes", "never, reused, always"),
        (["--timeout", "5"], "5", "`500ms`"),
        (["--timeout", "none"], "none", "`off`"),
        (["--timeout", "0"], "must be longer than 0s", "`off`"),
        (["--retry-window", "0s"], "must be longer than 0s", "`off`"),
        (
            ["--per-try-timeout", "0ms"],
            "must be longer than 0s",
            "`off`",
        ),
        (["--retry-window", "x"], "x", "`500ms`"),
        (["--per-try-timeout", "1 parsec"], "1 parsec", "`500ms`"),
        (["--connect-timeout", ""], "--connect-timeout", "`500ms`"),
        (["--replay-cap", "1MB"], "1MB", "--replay-cap"),
        (["--backoff", "25ms"], "25ms", "`25ms..250ms`"),
        (["--backoff", "2s..1s"], "1s", "at least the base"),
        (["--budget", "lots"], "lots", "`off`"),
        (["--budget", "-1"], "-1", "ratio from 0 to 10"),
        (["--eject-after", "x"], "x", "--eject-after"),
        (["--eject-for", "x"], "x", "`500ms`"),
    ];
    for (arguments, value, form) in wrong {
        let [flag, text] = arguments;
        let argument = format!("{flag}={text}");
        let output = command(&[&argument]).output().await.unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{argument}: {said}");
        assert!(
            said.contains(value) && said.contains(form),
            "{argument}: {said}"
        );
        assert!(output.stdout.is_empty(), "{argument}");
    }
}

#[tokio::test]
async fn help_names_every_flag() {
    let output = command(&["--help"]).output().await.unwrap();
    let help = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0));
    let flags = "listen upstream backup balance retry-on max-attempts reuse-tried non-idempotent \
                 timeout retry-window per-try-timeout connect-timeout replay-cap backoff budget \
                 eject-after eject-within eject-for max-ejected unhealthy-on panic-threshold zone \
                 spill-over slow-start admin health-path health-interval health-timeout http2 help config proxy-next-upstream haproxy-retry-on \
                 envoy-retry-on envoy-retriable-status-codes envoy-retriable-headers refused-on retries-per-peer retry-after lift-on-last deadline-from \
                 send-deadline attempt-header attempts-header proxy-status";
    for flag in flags.split(' ') {
        assert!(help.contains(&format!("--{flag}")), "{flag}");
    }
}

#[tokio::test]
async fn help_names_every_strategy_and_every_option_of_an_upstream() {
    let output = command(&["--help"]).output().await.unwrap();
    let help = String::from_utf8(output.stdout).unwrap();
    let words = "in-order round-robin random least-loaded hash:HEADER hash-cookie:NAME hash-path \
                 weight= tier= zone= %3B";
    for word in words.split(' ') {
        assert!(help.contains(word), "{word}");
    }
}

#[tokio::test]
async fn help_names_every_word_of_the_list() {
    let output = command(&["--help"]).output().await.unwrap();
    let help = String::from_utf8(output.stdout).unwrap();
    let words = "connect-failure connect-error connect-timeout reset reset-reused timeout \
                 junk-response refused-stream gateway-error 5xx 500-504 header: unless-header: grpc:";
    for word in words.split(' ') {
        assert!(help.contains(word), "{word}");
    }
}

#[tokio::test]
async fn envoys_lists_stand_beside_envoys_line() {
    for (arguments, told) in [
        (
            &["--envoy-retriable-status-codes=503"][..],
            "--envoy-retry-on",
        ),
        (&["--envoy-retriable-headers=x-retry"], "--envoy-retry-on"),
        (
            &["--envoy-retry-on=retriable-headers"],
            "means nothing without retriable_header_names",
        ),
        (
            &[
                "--envoy-retry-on=retriable-status-codes",
                "--envoy-retriable-status-codes=5xx",
            ],
            "`5xx` is no status",
        ),
    ] {
        let output = command(arguments).output().await.unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {said}");
        assert!(said.contains(told), "{arguments:?}: {said}");
    }
}

#[tokio::test]
async fn only_one_list_says_what_is_tried_again() {
    let lists = [
        "--retry-on=503",
        "--proxy-next-upstream=error",
        "--haproxy-retry-on=503",
        "--envoy-retry-on=5xx",
    ];
    for (index, one) in lists.iter().enumerate() {
        for other in &lists[index + 1..] {
            let output = command(&[one, other]).output().await.unwrap();
            let said = String::from_utf8(output.stderr).unwrap();
            assert_eq!(output.status.code(), Some(2), "{one} {other}: {said}");
            assert!(said.contains("cannot be used with"), "{said}");
        }
    }
}

#[tokio::test]
async fn port_in_use_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = taken.local_addr().unwrap().to_string();
    for flags in [
        &["--listen", &addr][..],
        &["--listen", "127.0.0.1:0", "--admin", &addr],
    ] {
        let output = command(flags).output().await.unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1));
        assert!(output.stdout.is_empty());
        assert!(said.contains(&format!("cannot listen on {addr}")), "{said}");
    }
}
