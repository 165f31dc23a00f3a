//! What the flags and the configuration file ask for is done.

use std::{path::PathBuf, sync::Mutex};

use crate::*;

/// A configuration file that is removed when it is dropped.
struct File(PathBuf);

impl File {
    fn write(text: &str) -> Self {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("tower-failover-{}-{number}.toml", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::write(&path, text).unwrap();
        Self(path)
    }

    fn flag(&self) -> String {
        format!("--config={}", self.0.display())
    }
}

impl Drop for File {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// An upstream that always answers with this status; how often it was asked.
async fn answering(status: u16) -> (SocketAddr, Arc<AtomicUsize>) {
    server(move |_| async move {
        let response = Response::builder().status(status);
        response.body(Full::default()).unwrap()
    })
    .await
}

/// The status of a request of this method before upstreams that answer with 503 and with 200.
async fn status(method: &str, flags: &[&str]) -> u16 {
    let (busy, _) = answering(503).await;
    let (well, _) = answering(200).await;
    let proxy = Proxy::before(&[busy, well], flags).await;
    let request = Request::builder().method(method).uri(proxy.url("/"));
    proxy.send(request, b"").await.0
}

#[tokio::test]
async fn lines_of_other_proxies_do_as_there() {
    for (flags, get, post) in [
        ("--proxy-next-upstream=error timeout", 503, 503),
        ("--proxy-next-upstream=error http_503", 200, 503),
        ("--proxy-next-upstream=http_503 non_idempotent", 200, 200),
        ("--proxy-next-upstream=off", 503, 503),
        ("--haproxy-retry-on=conn-failure", 503, 503),
        ("--haproxy-retry-on=503", 200, 200),
        ("--envoy-retry-on=connect-failure", 503, 503),
        ("--envoy-retry-on=5xx", 200, 200),
    ] {
        assert_eq!(status("GET", &[flags]).await, get, "{flags}");
        assert_eq!(status("POST", &[flags]).await, post, "{flags}");
    }
}

#[tokio::test]
async fn envoys_line_has_its_lists() {
    let codes = "--envoy-retry-on=retriable-status-codes";
    let list = "--envoy-retriable-status-codes=429,503";
    assert_eq!(status("GET", &[codes, list]).await, 200);
    let other = "--envoy-retriable-status-codes=429";
    assert_eq!(status("GET", &[codes, other]).await, 503);
    for (list, expected) in [("x-retry", 200), ("x-other", 404)] {
        let (asking, _) = server(|_| async {
            let response = Response::builder().status(404).header("x-retry", "1");
            response.body(Full::default()).unwrap()
        })
        .await;
        let (well, _) = answering(200).await;
        let list = format!("--envoy-retriable-headers={list}");
        let flags = ["--envoy-retry-on=retriable-headers", &list];
        let proxy = Proxy::before(&[asking, well], &flags).await;
        assert_eq!(proxy.get("/").await.0, expected, "{list}");
    }
}

#[tokio::test]
async fn line_stands_over_what_the_file_says_of_the_same_and_no_more() {
    let file = File::write("retry_on = 404\nrefused_on = 503");
    let line = "--proxy-next-upstream=error";
    assert_eq!(status("GET", &[&file.flag(), line]).await, 200);
    assert_eq!(status("POST", &[&file.flag(), line]).await, 200);
    let flags = [&file.flag(), line, "--refused-on="];
    assert_eq!(status("GET", &flags).await, 503);
    let file = File::write("retry_on = 503\nmax_retries = 5");
    assert_eq!(status("GET", &[&file.flag()]).await, 200);
    assert_eq!(status("GET", &[&file.flag(), line]).await, 503);
    let file = File::write("max_attempts = 1");
    let line = "--haproxy-retry-on=503";
    assert_eq!(status("GET", &[&file.flag(), line]).await, 200);
}

#[tokio::test]
async fn line_may_stand_in_the_file() {
    let file = File::write("nginx = \"error http_503\"");
    assert_eq!(status("GET", &[&file.flag()]).await, 200);
    assert_eq!(status("POST", &[&file.flag()]).await, 503);
    let always = "--non-idempotent=always";
    assert_eq!(status("POST", &[&file.flag(), always]).await, 200);
}

#[tokio::test]
async fn flags_stand_over_a_line() {
    let line = "--proxy-next-upstream=error http_503";
    assert_eq!(status("POST", &[line, "--refused-on=503"]).await, 200);
    let always = "--non-idempotent=always";
    assert_eq!(status("POST", &[line, always]).await, 200);
    assert_eq!(status("GET", &[line, "--max-attempts=1"]).await, 503);
}

#[tokio::test]
async fn flags_stand_over_the_file_and_the_file_over_what_is_usual() {
    let file = File::write("retry_on = [404]\nrefused_on = [503]\nmax_retries = 1");
    let file = file.flag();
    assert_eq!(status("GET", &[&file]).await, 200);
    assert_eq!(status("POST", &[&file]).await, 200);
    assert_eq!(status("POST", &[&file, "--refused-on="]).await, 503);
    assert_eq!(status("GET", &[&file, "--max-attempts=1"]).await, 503);
    let empty = File::write("");
    assert_eq!(status("GET", &[&empty.flag()]).await, 200);
    assert_eq!(status("POST", &[&empty.flag()]).await, 503);
}

#[tokio::test]
async fn wrong_file_is_named_with_the_place() {
    for (text, told) in [
        ("max_atempts = 3", "unknown field `max_atempts`"),
        ("\n\nretry_on = \"conect-failure\"", "line 3"),
        (
            "backoff = { base = \"2s\", max = \"1s\" }",
            "backoff max: 1s",
        ),
        ("max_attempts = 3\nmax_retries = 3", "max_attempts: 3"),
        ("per_try_timeout = \"0s\"", "per_try_timeout: 0s"),
        ("retry_on = 503\nenvoy = \"5xx\"", "`retry_on` and `envoy`"),
    ] {
        let file = File::write(text);
        let output = command(&[&file.flag()]).output().await.unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{text}: {said}");
        assert!(said.contains(told), "{text}: {said}");
        let name = file.0.display().to_string();
        assert!(said.contains(&name), "{text}: {said}");
    }
}

#[tokio::test]
async fn attempts_are_told_and_counted_when_asked_for() {
    let seen: Arc<Mutex<Vec<Option<String>>>> = Arc::default();
    let log = Arc::clone(&seen);
    let (upstream, _) = server(move |request: Request<Incoming>| {
        let header = |name| {
            let value: Option<&http::HeaderValue> = request.headers().get(name);
            value.map(|value| value.to_str().unwrap().to_owned())
        };
        let attempt = header("x-attempt");
        let left = header("grpc-timeout");
        assert!(left.is_some_and(|left| left.ends_with('u')), "a minute");
        log.lock().unwrap().push(attempt);
        async {
            let response = Response::builder().status(503);
            response.body(Full::default()).unwrap()
        }
    })
    .await;
    let flags = [
        "--attempt-header=x-attempt",
        "--attempts-header=x-attempts",
        "--send-deadline=grpc-timeout",
        "--reuse-tried",
    ];
    let proxy = Proxy::before(&[upstream], &flags).await;
    let request = Request::get(proxy.url("/"));
    let response = client()
        .request(request.body(Full::<Bytes>::default()).unwrap())
        .await
        .unwrap();
    assert_eq!(response.headers()["x-attempts"], "3");
    let seen = seen.lock().unwrap().clone();
    let numbers = ["1", "2", "3"].map(|number| Some(number.to_owned()));
    assert_eq!(seen, numbers);
}

#[tokio::test]
async fn proxy_status_says_what_went_wrong_when_asked_for() {
    for (flags, expected) in [(&["--proxy-status=edge"][..], true), (&[], false)] {
        let (_port, dead) = refusing();
        let proxy = Proxy::before(&[dead], flags).await;
        let request = Request::get(proxy.url("/"))
            .body(Full::<Bytes>::default())
            .unwrap();
        let response = client().request(request).await.unwrap();
        let told = response.headers().get("proxy-status");
        assert_eq!(told.is_some(), expected);
        if let Some(told) = told {
            let told = told.to_str().unwrap();
            assert!(
                told.starts_with("edge; error=connection_refused;"),
                "{told}"
            );
        }
    }
}

#[tokio::test]
async fn client_may_shorten_the_time_when_it_is_believed() {
    for (flags, expected) in [(&["--deadline-from=grpc-timeout"][..], 504), (&[], 200)] {
        let (well, requests) = answering(200).await;
        let proxy = Proxy::before(&[well], flags).await;
        let request = Request::get(proxy.url("/")).header("grpc-timeout", "0n");
        assert_eq!(proxy.send(request, b"").await.0, expected);
        // A request whose time is over is not sent.
        let sent = usize::from(expected == 200);
        assert_eq!(requests.load(Ordering::Relaxed), sent);
    }
}
