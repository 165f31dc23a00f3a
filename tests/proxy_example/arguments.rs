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
        (["--backup", "ftp://a"], "`ftp://a`", "http://host:port"),
        (["--balance", "best"], "best", "in-order, round-robin"),
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
        (["--proxy-status", ""], "proxy_status", "printable ASCII"),
        (
            ["--config", "/nowhere.toml"],
            "/nowhere.toml",
            "No such file",
        ),
        (["--max-attempts", "-1"], "-1", "--max-attempts"),
        (["--non-idempotent", "yes"], "yes", "never, reused, always"),
        (["--timeout", "5"], "5", "`500ms`"),
        (["--retry-window", "x"], "x", "`500ms`"),
        (["--per-try-timeout", "1 parsec"], "1 parsec", "`500ms`"),
        (["--connect-timeout", ""], "--connect-timeout", "`500ms`"),
        (["--replay-cap", "1MB"], "1MB", "--replay-cap"),
        (["--backoff", "25ms"], "25ms", "`25ms..250ms`"),
        (["--backoff", "2s..1s"], "1s", "at least the base"),
        (["--budget", "lots"], "lots", "`off`"),
        (["--budget", "-1"], "-1", "ratio from 0 to 100"),
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
                 eject-after eject-for http2 help config proxy-next-upstream haproxy-retry-on \
                 envoy-retry-on refused-on retries-per-peer retry-after lift-on-last deadline-from \
                 send-deadline attempt-header attempts-header proxy-status";
    for flag in flags.split(' ') {
        assert!(help.contains(&format!("--{flag}")), "{flag}");
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
    let output = command(&["--listen", &addr]).output().await.unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(said.contains(&format!("cannot listen on {addr}")), "{said}");
}
