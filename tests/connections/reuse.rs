//! Which connections serve another request.

use http::{HeaderValue, header::HOST};
use http_body::Body as _;

use super::super::*;

#[tokio::test]
async fn requests_one_after_the_other_share_a_connection() {
    let server = Server::bind().await;
    let upstream = server.upstream();
    let answers = [
        "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\no\r\n1\r\nk\r\n0\r\n\r\n",
        "HTTP/1.1 204 No Content\r\n\r\n",
        "HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n",
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok",
    ];
    let serve = async {
        let mut end = server.accept().await;
        for answer in answers {
            end.head().await;
            end.write(answer).await;
            end.head().await;
            let mut body = [0; 4];
            end.0.read_exact(&mut body).await.unwrap();
            end.write(answer).await;
        }
    };
    let ask = async {
        for _ in answers {
            read(&upstream, get()).await;
            read(&upstream, post(full("body"))).await;
        }
    };
    tokio::join!(serve, ask);
}

#[tokio::test]
async fn response_that_comes_in_pieces_gives_its_connection_back_at_its_end() {
    let server = Server::bind().await;
    let upstream = server.upstream();
    let (response, mut end) = tokio::join!(send(&upstream, get()), async {
        let mut end = server.accept().await;
        end.head().await;
        end.write("HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\n")
            .await;
        end
    });
    let mut body = response.unwrap().into_body();
    for piece in ["ab", "cd"] {
        end.write(piece).await;
        let frame = in_time(body.frame()).await.unwrap().unwrap();
        assert_eq!(frame.into_data().unwrap(), piece);
    }
    // Whoever knows the length does not ask for the end.
    assert!(body.is_end_stream());
    tokio::join!(read(&upstream, get()), end.answer());
}

#[tokio::test]
async fn connection_that_must_not_be_reused_is_closed() {
    let answers = [
        "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok",
        "HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nok",
        // What follows would be in HTTP/1.0, which has no chunks: an upload would be lost.
        "HTTP/1.0 200 OK\r\nconnection: keep-alive\r\ncontent-length: 2\r\n\r\nok",
    ];
    for answer in answers {
        let server = Server::bind().await;
        let upstream = server.upstream();
        let serve = async {
            let mut end = server.accept().await;
            end.head().await;
            end.write(answer).await;
            assert_eq!(end.rest().await, b"");
            server.accept().await.answer().await;
        };
        let ask = async {
            read(&upstream, get()).await;
            read(&upstream, get()).await;
        };
        tokio::join!(serve, ask);
    }
}

#[tokio::test]
async fn response_that_ends_with_its_connection_is_whole() {
    let server = Server::bind().await;
    let upstream = server.upstream();
    let serve = async {
        let mut end = server.accept().await;
        end.head().await;
        end.write("HTTP/1.1 200 OK\r\n\r\nall of it").await;
        drop(end);
        server.accept().await.answer().await;
    };
    let ask = async {
        assert_eq!(read(&upstream, get()).await, "all of it");
        read(&upstream, get()).await;
    };
    tokio::join!(serve, ask);
}

#[tokio::test]
async fn request_that_is_dropped_closes_its_connection() {
    let server = Server::bind().await;
    let upstream = server.upstream();
    let mut sent = Box::pin(send(&upstream, get()));
    let mut end = tokio::select! {
        _ = &mut sent => unreachable!("nobody answers"),
        end = async {
            let mut end = server.accept().await;
            end.head().await;
            end
        } => end,
    };
    drop(sent);
    end.rest().await;
}

#[tokio::test]
async fn response_that_is_dropped_before_its_end_closes_its_connection() {
    for (head, part) in [
        ("content-length: 9", "part"),
        ("transfer-encoding: chunked", "4\r\npart\r\n"),
    ] {
        let server = Server::bind().await;
        let upstream = server.upstream();
        let serve = async {
            let mut end = server.accept().await;
            end.head().await;
            let answer = format!("HTTP/1.1 200 OK\r\n{head}\r\n\r\n{part}");
            end.write(&answer).await;
            end.rest().await;
        };
        let ask = async {
            let response = send(&upstream, get()).await.unwrap();
            let mut body = response.into_body();
            let frame = in_time(body.frame()).await.unwrap().unwrap();
            assert_eq!(frame.into_data().unwrap(), "part");
        };
        tokio::join!(serve, ask);
    }
}

#[tokio::test(start_paused = true)]
async fn connection_that_was_used_last_is_taken_first() {
    let (upstream, mut ends) = wired(PoolOptions::new());
    let ask = async { tokio::join!(send(&upstream, get()), send(&upstream, get())) };
    let serve = async { [ends.accept().await, ends.accept().await] };
    let (_, [mut first, mut second]) = tokio::join!(ask, async {
        let [mut first, mut second] = serve.await;
        second.answer().await;
        settle().await;
        first.answer().await;
        [first, second]
    });
    tokio::join!(read(&upstream, get()), first.answer());
    tokio::join!(read(&upstream, get()), first.answer());
    let both = async { tokio::join!(read(&upstream, get()), read(&upstream, get())) };
    tokio::join!(both, first.answer(), second.answer());
}

#[tokio::test]
async fn upstreams_at_one_authority_share_connections_and_others_do_not() {
    let server = Server::bind().await;
    let addr = server.0.local_addr().unwrap();
    let pool = Pool::new();
    let upstream = |base: String| pool.upstream(&base).unwrap();
    let one = upstream(format!("http://{addr}/a"));
    let same = upstream(format!("http://{addr}/b/"));
    let other = upstream(format!("http://localhost:{}", addr.port()));
    let serve = async {
        let mut end = server.accept().await;
        assert!(end.answer().await.starts_with("GET /a/ HTTP/1.1\r\n"));
        assert!(end.answer().await.starts_with("GET /b/ HTTP/1.1\r\n"));
        server.accept().await.answer().await;
    };
    let ask = async {
        read(&one, get()).await;
        read(&same, get()).await;
        read(&other, get()).await;
    };
    tokio::join!(serve, ask);
}

#[tokio::test]
async fn upstream_that_is_made_for_one_request_leaves_its_connection_to_the_next() {
    let server = Server::bind().await;
    let base = format!("http://{}", server.0.local_addr().unwrap());
    let pool = Pool::new();
    let serve = async {
        let mut end = server.accept().await;
        end.answer().await;
        end.answer().await;
    };
    let ask = async {
        for _ in 0..2 {
            read(&pool.upstream(&base).unwrap(), get()).await;
        }
    };
    tokio::join!(serve, ask);
}

#[tokio::test(start_paused = true)]
async fn so_many_connections_as_requests_at_once_and_no_more() {
    let (upstream, mut ends) = wired(PoolOptions::new());
    let serve = async {
        let mut served = Vec::new();
        while served.len() < 1_000 {
            let mut end = ends.accept().await;
            served.push(tokio::spawn(async move {
                for _ in 0..3 {
                    end.answer().await;
                }
            }));
        }
        (served, ends)
    };
    let ask = async {
        for _ in 0..3 {
            let sent = (0..1_000).map(|_| read(&upstream, get()));
            futures_util::future::join_all(sent).await;
        }
    };
    let ((served, mut ends), ()) = tokio::join!(serve, ask);
    for served in served {
        in_time(served).await.unwrap();
    }
    assert_eq!(ends.count(), 0);
}

#[tokio::test(start_paused = true)]
async fn proxy_is_told_the_whole_uri_and_an_origin_is_not() {
    let proxied: fn(Connected) -> Connected = |it| it.proxy(true);
    let cases = [
        (
            "http",
            proxied,
            "GET http://upstream.test:8080/a?b HTTP/1.1",
        ),
        // TLS is spoken with the origin, at the end of a tunnel.
        ("https", proxied, "GET /a?b HTTP/1.1"),
        ("http", |it| it, "GET /a?b HTTP/1.1"),
    ];
    for (scheme, says, line) in cases {
        let (wires, mut ends) = wires(says);
        let pool = PoolOptions::new().build_with(wires);
        let upstream = pool.upstream(&format!("{scheme}://upstream.test:8080"));
        let request = Request::get("/a?b").body(full("")).unwrap();
        let (_, head) = tokio::join!(read(upstream.as_ref().unwrap(), request), async {
            ends.accept().await.answer().await
        });
        assert!(head.starts_with(line), "{head}");
    }
}

#[tokio::test(start_paused = true)]
async fn host_is_the_upstreams_own_where_nobody_asked_for_another() {
    let hosts = [
        ("http://upstream.test", "upstream.test"),
        ("http://upstream.test:80", "upstream.test"),
        ("http://upstream.test:443", "upstream.test:443"),
        ("https://upstream.test:443/", "upstream.test"),
        ("http://[::1]:8080", "[::1]:8080"),
    ];
    for (base, host) in hosts {
        let (wires, mut ends) = wires(|it| it);
        let pool = PoolOptions::new().build_with(wires);
        let upstream = pool.upstream(base).unwrap();
        for asked in [None, Some("asked.test")] {
            let mut request = get();
            if let Some(asked) = asked {
                let asked = HeaderValue::from_static(asked);
                request.headers_mut().append(HOST, asked);
            }
            let response = send(&upstream, request);
            let serve = async {
                let mut end = ends.accept().await;
                let head = end.head().await;
                end.write("HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n")
                    .await;
                head
            };
            let (_, head) = tokio::join!(response, serve);
            let line = format!("host: {}\r\n", asked.unwrap_or(host));
            assert_eq!(head.matches("host: ").count(), 1, "{head}");
            assert!(head.contains(&line), "{head}");
        }
    }
}

#[test]
fn futures_and_bodies_go_from_thread_to_thread() {
    fn is<T: Send + Sync + Unpin>() {}
    is::<<Upstream<Body> as Service<Request<Body>>>::Future>();
    is::<UpstreamBody>();
    is::<Upstream<Body>>();
    is::<Pool<Body>>();
}
