use http_body_util::channel::Channel;

use crate::{support::scripted::Scripted, *};

#[tokio::test]
async fn demo_serves_without_a_failure_and_explains_itself() {
    let mut proxy = Proxy::start(&[]).await;
    for _ in 0..30 {
        assert_eq!(proxy.get("/").await.0, 200);
    }
    let mut explained = String::new();
    while let Some(line) = proxy.stdout.next_line().await.unwrap() {
        explained.push_str(&line);
        if line.contains("curl") {
            break;
        }
    }
    assert!(
        explained.contains("503") && explained.contains(&proxy.url("/")),
        "{explained}"
    );
}

#[tokio::test]
async fn post_to_a_refusing_upstream_reaches_the_next_with_nothing_kept() {
    let (_port, dead) = refusing();
    let (alive, _) = server(echo).await;
    let proxy = Proxy::before(&[dead, alive], &["--replay-cap", "0"]).await;
    let (status, body) = proxy
        .send(Request::post(proxy.url("/")), b"whole body")
        .await;
    assert_eq!((status, &body[..]), (200, &b"whole body"[..]));
}

#[tokio::test]
async fn post_that_an_upstream_read_is_not_sent_again_and_a_put_is() {
    let script = vec!["read_close".parse().unwrap()];
    let closing = Scripted::start("closing", script, false).await;
    let (alive, requests) = server(echo).await;
    let proxy = Proxy::before(&[closing.addr(), alive], &[]).await;
    closing.begin_attempt().await;
    let (status, _) = proxy.send(Request::post(proxy.url("/")), b"pay").await;
    assert_eq!((status, requests.load(Ordering::Relaxed)), (502, 0));
    assert_eq!(closing.seen()[0].body, b"pay");
    closing.begin_attempt().await;
    let (status, body) = proxy.send(Request::put(proxy.url("/")), b"pay").await;
    assert_eq!((status, &body[..]), (200, &b"pay"[..]));
}

#[tokio::test]
async fn not_found_is_relayed_when_no_other_upstream_can_be_tried() {
    let not_found = |_| async {
        let response = Response::builder().status(404);
        response.body(Full::from("nothing here")).unwrap()
    };
    let (first, _) = server(not_found).await;
    let (_port, dead) = refusing();
    let proxy = Proxy::before(&[first, dead], &["--retry-on", "404,connect-failure"]).await;
    let (status, body) = proxy.get("/").await;
    assert_eq!((status, &body[..]), (404, &b"nothing here"[..]));
}

#[tokio::test]
async fn backup_is_used_when_no_other_is_left() {
    let (_port, dead) = refusing();
    let (backup, requests) = server(echo).await;
    let backup = format!("http://{backup}");
    let proxy = Proxy::before(&[dead], &["--backup", &backup]).await;
    assert_eq!(proxy.get("/").await.0, 200);
    assert_eq!(requests.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn all_dead_is_502_and_too_slow_is_504() {
    let (_port, dead) = refusing();
    let proxy = Proxy::before(&[dead], &[]).await;
    let (status, body) = proxy.get("/").await;
    assert_eq!((status, &body[..]), (502, &b"Bad Gateway\n"[..]));

    let (hanging, requests) = server(|_| std::future::pending()).await;
    let proxy = Proxy::before(&[hanging], &["--timeout", "200ms"]).await;
    assert_eq!(proxy.get("/").await.0, 504);
    assert_eq!(requests.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn ejected_upstream_gets_no_more_requests_and_one_that_is_never_ejected_does() {
    let unavailable = |_| async {
        let response = Response::builder().status(503);
        response.body(Full::default()).unwrap()
    };
    let (sick, requests) = server(unavailable).await;
    let (well, _) = server(echo).await;
    let proxy = Proxy::before(&[sick, well], &["--eject-after", "2", "--budget", "off"]).await;
    for _ in 0..20 {
        assert_eq!(proxy.get("/").await.0, 200);
    }
    assert_eq!(requests.load(Ordering::Relaxed), 2);
    let proxy = Proxy::before(&[sick, well], &["--eject-after", "0", "--budget", "off"]).await;
    for _ in 0..20 {
        assert_eq!(proxy.get("/").await.0, 200);
    }
    assert_eq!(requests.load(Ordering::Relaxed), 22);
}

/// The client sends what it has got left only after the second upstream was reached, so that the
/// 503 comes in the middle of the upload for certain.
async fn early_503(http2: bool) {
    let chunk = Bytes::from(vec![b'x'; 64 * 1024]);
    let reached = Arc::new(tokio::sync::Notify::new());
    let early = |_: Request<Incoming>| async {
        let response = Response::builder().status(503);
        response.body(Full::from("draining")).unwrap()
    };
    let (early, requests) = server(early).await;
    let arrived = Arc::clone(&reached);
    let (well, _) = server(move |request| {
        let arrived = Arc::clone(&arrived);
        async move {
            arrived.notify_one();
            echo(request).await
        }
    })
    .await;
    let mut arguments = vec!["--replay-cap", "1048576"];
    if http2 {
        arguments.push("--http2");
    }
    let proxy = Proxy::before(&[early, well], &arguments).await;
    let (mut upload, body) = Channel::<Bytes, std::io::Error>::new(1);
    let request = Request::put(proxy.url("/")).body(body).unwrap();
    let uploading = async {
        upload.send_data(chunk.clone()).await.unwrap();
        reached.notified().await;
        upload.send_data(chunk.clone()).await.unwrap();
        drop(upload);
    };
    let client = client();
    let both = futures_util::future::join(client.request(request), uploading);
    let (response, ()) = timeout(PATIENCE, both).await.unwrap();
    let response = response.unwrap();
    assert_eq!(response.status(), 200);
    let body = response.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(body.len(), 2 * chunk.len());
    assert_eq!(requests.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn early_503_in_an_http1_upload_fails_over_without_losing_a_byte() {
    early_503(false).await;
}

#[tokio::test]
async fn early_503_in_an_http2_upload_fails_over_without_losing_a_byte() {
    early_503(true).await;
}

/// The response that is held stands on its own: its body is whole when the next attempt has failed.
async fn held_response(http2: bool) {
    let body = Bytes::from(vec![b'y'; 300_000]);
    let answer = body.clone();
    let (first, _) = server(move |request: Request<Incoming>| {
        let answer = answer.clone();
        async move {
            echo(request).await;
            let response = Response::builder().status(503);
            response.body(Full::from(answer)).unwrap()
        }
    })
    .await;
    let (_port, dead) = refusing();
    let arguments: &[&str] = if http2 { &["--http2"] } else { &[] };
    let proxy = Proxy::before(&[first, dead], arguments).await;
    let (status, got) = proxy
        .send(Request::put(proxy.url("/")), b"whole request")
        .await;
    assert_eq!((status, got.len()), (503, body.len()));
}

#[tokio::test]
async fn held_http1_response_is_delivered_whole() {
    held_response(false).await;
}

#[tokio::test]
async fn held_http2_response_is_delivered_whole() {
    held_response(true).await;
}
