//! What those who run the proxy are shown.

use http::{HeaderMap, StatusCode};
use serde_json::Value;

use crate::*;

/// A proxy that shows its upstreams, and where.
pub(super) async fn shown(arguments: &[&str]) -> (Proxy, SocketAddr) {
    let arguments = [&["--admin=127.0.0.1:0"], arguments].concat();
    let mut proxy = Proxy::start(&arguments).await;
    let line = timeout(PATIENCE, proxy.stdout.next_line()).await.unwrap();
    let line = line.unwrap().unwrap();
    let admin = line.strip_prefix("admin on http://").unwrap();
    (proxy, admin.parse().unwrap())
}

async fn ask(admin: SocketAddr, method: &str, path: &str) -> (StatusCode, HeaderMap, Bytes) {
    ask_as(admin, method, path, &admin.to_string()).await
}

async fn ask_as(
    admin: SocketAddr,
    method: &str,
    path: &str,
    host: &str,
) -> (StatusCode, HeaderMap, Bytes) {
    let uri = format!("http://{admin}{path}");
    let request = Request::builder()
        .method(method)
        .uri(uri)
        .header("host", host);
    let request = request.body(Full::<Bytes>::default()).unwrap();
    let response = timeout(PATIENCE, client().request(request)).await.unwrap();
    let (head, body) = response.unwrap().into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    (head.status, head.headers, body)
}

pub(super) async fn peers(admin: SocketAddr) -> Vec<Value> {
    let (status, _, body) = ask(admin, "GET", "/").await;
    assert_eq!(status, 200);
    let shown: Value = serde_json::from_slice(&body).unwrap();
    assert!(shown["discovery_error"].is_null());
    shown["peers"].as_array().unwrap().clone()
}

#[tokio::test]
async fn upstreams_are_shown_as_they_are() {
    let (_port, dead) = refusing();
    let (well, _) = server(echo).await;
    let upstream = format!("--upstream=http://{dead};weight=2;zone=eu");
    let backup = format!("--backup=http://{well}");
    let flags = ["--eject-after=2", "--eject-for=1h", "--max-ejected=1"];
    let (proxy, admin) = shown(&[&[&*upstream, &backup], &flags[..]].concat()).await;

    let [dead_now, well_now] = <[Value; 2]>::try_from(peers(admin).await).unwrap();
    assert_eq!(dead_now["peer"], format!("http://{dead}"));
    assert_eq!(well_now["peer"], format!("http://{well}"));
    assert_eq!([&dead_now["tier"], &well_now["tier"]], [0, 1]);
    assert_eq!([&dead_now["weight"], &well_now["weight"]], [2, 1]);
    assert_eq!(dead_now["zone"], "eu");
    for nothing in ["out_for_ms", "last_failure", "latency_ms"] {
        assert!(dead_now[nothing].is_null(), "{nothing}");
    }
    assert!(well_now["zone"].is_null());

    for _ in 0..2 {
        assert_eq!(proxy.get("/").await.0, 200);
    }
    let [dead_now, well_now] = <[Value; 2]>::try_from(peers(admin).await).unwrap();
    assert_eq!([&dead_now["state"], &well_now["state"]], ["open", "closed"]);
    assert_eq!([&dead_now["failures"], &well_now["failures"]], [2, 0]);
    assert_eq!([&dead_now["ejections"], &well_now["ejections"]], [1, 0]);
    assert_eq!(dead_now["last_failure"]["fault"], "connect failure");
    assert!(dead_now["last_failure"]["ago_ms"].is_u64());
    let out_for = dead_now["out_for_ms"].as_u64().unwrap();
    assert!((1..=3_600_000).contains(&out_for), "{out_for}");
    assert!(well_now["last_failure"].is_null() && well_now["out_for_ms"].is_null());
    assert!(well_now["latency_ms"].as_f64().unwrap() > 0.0);
}

#[tokio::test]
async fn requests_in_flight_are_counted() {
    let Holding {
        addr: holding,
        begun,
        finish,
        ..
    } = Holding::start().await;
    let upstream = format!("--upstream=http://{holding}");
    let (proxy, admin) = shown(&[&upstream]).await;
    assert_eq!(peers(admin).await[0]["in_flight"], 0);
    let looking = async {
        begun.notified().await;
        assert_eq!(peers(admin).await[0]["in_flight"], 1);
        finish.notify_one();
    };
    let (held, ()) = futures_util::future::join(proxy.get("/"), looking).await;
    assert_eq!(held.0, 200);
}

#[tokio::test]
async fn what_is_shown_is_json_that_nobody_keeps() {
    let (_proxy, admin) = shown(&["--upstream=http://127.0.0.1:1"]).await;
    let (status, headers, body) = ask(admin, "GET", "/?a").await;
    assert_eq!(status, 200);
    assert_eq!(headers["content-type"], "application/json");
    assert_eq!(headers["cache-control"], "no-store");
    let (status, head, nothing) = ask(admin, "HEAD", "/").await;
    assert_eq!((status, nothing.len()), (StatusCode::OK, 0));
    assert_eq!(head["content-length"], body.len().to_string());
    assert_eq!(head["content-type"], "application/json");
}

#[tokio::test]
async fn nothing_else_is_there() {
    let (_proxy, admin) = shown(&["--upstream=http://127.0.0.1:1"]).await;
    for path in ["/peers", "//", "/favicon.ico"] {
        for method in ["GET", "POST"] {
            let (status, headers, body) = ask(admin, method, path).await;
            assert_eq!(status, 404, "{method} {path}");
            assert_eq!(headers["cache-control"], "no-store");
            assert!(!body.starts_with(b"{"));
        }
    }
    for method in ["POST", "PUT", "DELETE", "OPTIONS", "get"] {
        let (status, headers, _) = ask(admin, method, "/").await;
        assert_eq!(status, 405, "{method}");
        assert_eq!(headers["allow"], "GET, HEAD");
    }
}

#[tokio::test]
async fn it_is_not_among_what_the_proxy_serves_and_ends_with_it() {
    let (upstream, requests) = server(echo).await;
    let upstream = format!("--upstream=http://{upstream}");
    let (mut proxy, admin) = shown(&[&upstream]).await;
    assert_eq!(proxy.get("/").await.0, 200);
    peers(admin).await;
    assert_eq!(requests.load(Ordering::Relaxed), 1);
    // One that asks nothing does not hold the end up.
    let idle = tokio::net::TcpStream::connect(admin).await.unwrap();
    let pid = proxy.child.id().unwrap().to_string();
    let kill = Command::new("kill").args(["-INT", &pid]).status();
    assert!(kill.await.unwrap().success());
    let ended = timeout(PATIENCE, proxy.child.wait()).await.unwrap();
    assert!(ended.unwrap().success());
    assert!(tokio::net::TcpStream::connect(admin).await.is_err());
    drop(idle);
    let rest = timeout(PATIENCE, proxy.stdout.next_line()).await.unwrap();
    assert_eq!(rest.unwrap(), None);
}

#[tokio::test]
async fn page_of_somebody_elses_is_shown_nothing() {
    let (well, _) = server(echo).await;
    let (_proxy, admin) = shown(&[&format!("--upstream=http://{well}")]).await;
    for (host, status) in [
        ("127.0.0.1:1", 200),
        ("[::1]:8081", 200),
        ("localhost", 200),
        ("evil.test", 421),
        ("127.0.0.1.evil.test", 421),
        ("localhost.evil.test:80", 421),
    ] {
        let (answer, _, body) = ask_as(admin, "GET", "/", host).await;
        assert_eq!(answer.as_u16(), status, "{host}");
        let shows = String::from_utf8_lossy(&body).contains("peers");
        assert_eq!(shows, status == 200, "{host}");
    }
}
