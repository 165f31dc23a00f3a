use std::sync::Mutex;

use http::HeaderMap;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::{support::scripted::Scripted, *};

#[tokio::test]
async fn hop_by_hop_fields_stay_on_their_hop_and_the_rest_passes() {
    let seen = Arc::<Mutex<HeaderMap>>::default();
    let sink = Arc::clone(&seen);
    let (upstream, _) = server(move |request: Request<Incoming>| {
        *sink.lock().unwrap() = request.headers().clone();
        async {
            let response = Response::builder()
                .header("connection", "x-hop")
                .header("x-hop", "1")
                .header("keep-alive", "timeout=9")
                .header("x-end", "2");
            response.body(Full::default()).unwrap()
        }
    })
    .await;
    let proxy = Proxy::before(&[upstream], &[]).await;
    let request = Request::get(proxy.url("/"))
        .header("host", "asked.test")
        .header("connection", "x-mine")
        .header("x-mine", "1")
        .header("te", "trailers, gzip")
        .header("x-kept", "2");
    let request = request.body(Full::<Bytes>::default()).unwrap();
    let response = client().request(request).await.unwrap();
    assert!(!response.headers().contains_key("x-hop"));
    assert!(!response.headers().contains_key("keep-alive"));
    assert_eq!(response.headers()["x-end"], "2");
    let seen = seen.lock().unwrap().clone();
    assert_eq!(seen["host"], "asked.test");
    assert_eq!(seen["te"], "trailers");
    assert_eq!(seen["x-kept"], "2");
    assert_eq!(seen["x-forwarded-for"], "127.0.0.1");
    assert!(!seen.contains_key("x-mine") && !seen.contains_key("connection"));
}

#[tokio::test]
async fn http2_clients_are_served_and_their_authority_becomes_the_host() {
    let (upstream, _) = server(|request: Request<Incoming>| async move {
        let host = request.headers()["host"].clone();
        Response::new(Full::from(host.as_bytes().to_vec()))
    })
    .await;
    let proxy = Proxy::before(&[upstream], &[]).await;
    let client: Client<_, Full<Bytes>> = Client::builder(TokioExecutor::new())
        .http2_only(true)
        .build_http();
    let request = Request::get(proxy.url("/")).body(Full::default()).unwrap();
    let response = client.request(request).await.unwrap();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(body, proxy.addr.to_string());
}

#[tokio::test]
async fn http2_upstream_is_told_the_host_that_was_asked_for() {
    let (upstream, _) = server(|request: Request<Incoming>| async move {
        assert_eq!(request.version(), http::Version::HTTP_2);
        assert!(!request.headers().contains_key("host"));
        let host = request.headers()["x-forwarded-host"].clone();
        Response::new(Full::from(host.as_bytes().to_vec()))
    })
    .await;
    let proxy = Proxy::before(&[upstream], &["--http2"]).await;
    let request = Request::get(proxy.url("/")).header("host", "asked.test");
    let (status, body) = proxy.send(request, b"").await;
    assert_eq!((status, &body[..]), (200, &b"asked.test"[..]));
}

#[tokio::test]
async fn path_and_query_reach_the_upstream_behind_its_own_path() {
    let (upstream, _) = server(|request: Request<Incoming>| async move {
        Response::new(Full::from(request.uri().to_string()))
    })
    .await;
    let url = format!("http://{upstream}/base/");
    let proxy = Proxy::start(&["--upstream", &url]).await;
    let (_, body) = proxy.get("/a%20b?c=d").await;
    assert_eq!(body, "/base/a%20b?c=d");
}

#[tokio::test]
async fn response_streams_through_before_it_is_complete() {
    let script = vec!["head_then_hang:200".parse().unwrap()];
    let hanging = Scripted::start("hanging", script, false).await;
    let proxy = Proxy::before(&[hanging.addr()], &[]).await;
    hanging.begin_attempt().await;
    let request = Request::get(proxy.url("/"))
        .body(Full::<Bytes>::default())
        .unwrap();
    let response = timeout(PATIENCE, client().request(request))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(response.status(), 200);
}

#[tokio::test]
async fn response_that_breaks_off_is_seen_to_break_off() {
    let script = vec!["body_cut:200:100:5".parse().unwrap()];
    let cutting = Scripted::start("cutting", script, false).await;
    let (well, requests) = server(echo).await;
    let proxy = Proxy::before(&[cutting.addr(), well], &[]).await;
    cutting.begin_attempt().await;
    let request = Request::get(proxy.url("/"))
        .body(Full::<Bytes>::default())
        .unwrap();
    let response = client().request(request).await.unwrap();
    assert_eq!(response.status(), 200);
    assert!(response.into_body().collect().await.is_err());
    assert_eq!(requests.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn upgraded_connection_is_bridged_both_ways() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let upstream = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.unwrap());
        }
        let head = String::from_utf8(head).unwrap().to_lowercase();
        assert!(
            head.contains("connection: upgrade") && head.contains("upgrade: echo"),
            "{head}"
        );
        let answer = "HTTP/1.1 101 Switching Protocols\r\n\
                      connection: upgrade\r\nupgrade: echo\r\n\r\n";
        stream.write_all(answer.as_bytes()).await.unwrap();
        let (mut read, mut write) = stream.split();
        tokio::io::copy(&mut read, &mut write).await.unwrap();
    });
    let (_port, dead) = refusing();
    let proxy = Proxy::before(&[dead, upstream], &[]).await;
    let request = Request::get(proxy.url("/"))
        .header("connection", "upgrade")
        .header("upgrade", "echo")
        .body(Full::<Bytes>::default())
        .unwrap();
    let response = client().request(request).await.unwrap();
    assert_eq!(response.status(), 101);
    assert_eq!(response.headers()["upgrade"], "echo");
    let mut stream = TokioIo::new(hyper::upgrade::on(response).await.unwrap());
    stream.write_all(b"another protocol").await.unwrap();
    let mut got = [0; 16];
    timeout(PATIENCE, stream.read_exact(&mut got))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(&got, b"another protocol");
}

#[tokio::test]
async fn trailers_pass_in_both_directions() {
    use http_body::Frame;
    use http_body_util::channel::Channel;
    // Both ends speak HTTP/2, which needs no announcement of trailers.
    let (upstream, _) = server(|request: Request<Incoming>| async move {
        let trailers = request.into_body().collect().await.unwrap();
        let trailer = trailers.trailers().unwrap()["x-sum"].clone();
        Response::new(Full::from(trailer.as_bytes().to_vec()))
    })
    .await;
    let proxy = Proxy::before(&[upstream], &["--http2"]).await;
    let (mut upload, body) = Channel::<Bytes, std::io::Error>::new(2);
    upload.send_data(Bytes::from_static(b"data")).await.unwrap();
    let mut trailers = HeaderMap::new();
    trailers.insert("x-sum", "42".parse().unwrap());
    upload.send(Frame::trailers(trailers)).await.unwrap();
    drop(upload);
    let client: Client<_, Channel<Bytes, std::io::Error>> = Client::builder(TokioExecutor::new())
        .http2_only(true)
        .build_http();
    let request = Request::post(proxy.url("/")).body(body).unwrap();
    let response = client.request(request).await.unwrap();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(body, "42");
}

/// An upstream that answers its first request with these bytes and closes, or resets.
async fn raw(answer: &'static [u8], reset: bool) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                let Ok(byte) = stream.read_u8().await else {
                    break;
                };
                head.push(byte);
            }
            let _ = stream.write_all(answer).await;
            if reset {
                // Dropping it is a reset then, and no orderly close.
                let _ = stream.set_zero_linger();
            }
        }
    });
    addr
}

/// What a client sees that reads until the end: the whole of it, as text.
async fn seen(proxy: &Proxy, request: &str) -> String {
    let mut stream = tokio::net::TcpStream::connect(proxy.addr).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut seen = Vec::new();
    let read = timeout(PATIENCE, stream.read_to_end(&mut seen))
        .await
        .unwrap();
    let _ = read;
    String::from_utf8_lossy(&seen).to_lowercase()
}

const CLOSING: &str = "GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";

#[tokio::test]
async fn length_beside_chunks_does_not_cut_a_response() {
    let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n\
                   a\r\n0123456789\r\n0\r\n\r\n";
    let proxy = Proxy::before(&[raw(answer, false).await], &[]).await;
    let seen = seen(&proxy, CLOSING).await;
    assert!(
        seen.contains("0123456789") && !seen.contains("content-length"),
        "{seen}"
    );
}

#[tokio::test]
async fn response_in_a_coding_of_its_own_is_refused() {
    let answer = b"HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n";
    let proxy = Proxy::before(&[raw(answer, false).await], &[]).await;
    let seen = seen(&proxy, CLOSING).await;
    assert!(seen.starts_with("http/1.1 502"), "{seen}");
}

#[tokio::test]
async fn http10_response_that_is_reset_does_not_look_whole() {
    let answer = b"HTTP/1.0 200 OK\r\n\r\nhello";
    let whole = Proxy::before(&[raw(answer, false).await], &[]).await;
    let text = seen(&whole, CLOSING).await;
    assert!(
        text.starts_with("http/1.1 200") && text.ends_with("0\r\n\r\n"),
        "{text}"
    );
    let broken = Proxy::before(&[raw(answer, true).await], &["--retry-on", ""]).await;
    let text = seen(&broken, CLOSING).await;
    // Either the head is lost with the rest, or the last chunk is.
    assert!(
        text.starts_with("http/1.1 502") || !text.ends_with("0\r\n\r\n"),
        "{text}"
    );
}

#[tokio::test]
async fn switch_that_nobody_asked_for_is_refused() {
    let answer =
        b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: echo\r\n\r\n";
    let proxy = Proxy::before(&[raw(answer, false).await], &[]).await;
    let unasked = seen(&proxy, CLOSING).await;
    assert!(unasked.starts_with("http/1.1 502"), "{unasked}");
    let other = "GET / HTTP/1.1\r\nhost: a\r\nconnection: upgrade, close\r\nupgrade: chat\r\n\r\n";
    let other = seen(&proxy, other).await;
    assert!(other.starts_with("http/1.1 502"), "{other}");
}
