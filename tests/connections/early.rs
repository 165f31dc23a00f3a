//! Responses that come before the request was sent.

use http_body_util::channel::{Channel, Sender};

use super::super::*;

const CHUNK: usize = 64 * 1024;

fn upload() -> (Sender<Bytes, BoxError>, Request<Body>) {
    let (sender, body) = Channel::new(1);
    (sender, post(body.boxed()))
}

/// A response, to a request whose upload goes on, that is not at its end.
async fn early(server: &Server, upstream: &Upstream<Body>) -> (Exchange, End<TcpStream>) {
    let (sender, request) = upload();
    let (response, end) = tokio::join!(send(upstream, request), async {
        let mut end = server.accept().await;
        end.head().await;
        end.write("HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nha")
            .await;
        end
    });
    let response = response.unwrap();
    (Exchange { sender, response }, end)
}

struct Exchange {
    sender: Sender<Bytes, BoxError>,
    response: Response<UpstreamBody>,
}

#[tokio::test]
async fn upload_goes_on_while_nobody_reads_the_response() {
    let server = Server::bind().await;
    let upstream = server.upstream();
    let (mut exchange, mut end) = early(&server, &upstream).await;
    let uploads = async {
        for _ in 0..64 {
            let chunk = Bytes::from(vec![b'x'; CHUNK]);
            in_time(exchange.sender.send_data(chunk)).await.unwrap();
        }
        drop(exchange.sender);
    };
    let serve = async {
        let mut read = Vec::new();
        while !read.ends_with(b"\r\n0\r\n\r\n") {
            assert_ne!(in_time(end.0.read_buf(&mut read)).await.unwrap(), 0);
        }
        end.write("lf").await;
        read.len()
    };
    let ((), read) = tokio::join!(uploads, serve);
    assert!(read > 64 * CHUNK);
    let body = in_time(exchange.response.into_body().collect()).await;
    assert_eq!(body.unwrap().to_bytes(), "half");
}

#[tokio::test]
async fn connection_serves_another_when_the_upload_has_ended_and_not_before() {
    let server = Server::bind().await;
    let upstream = server.upstream();
    let (exchange, mut end) = early(&server, &upstream).await;
    end.write("lf").await;
    let body = in_time(exchange.response.into_body().collect()).await;
    assert_eq!(body.unwrap().to_bytes(), "half");
    let serve = async {
        let mut other = server.accept().await;
        other.head().await;
        other
            .write("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n")
            .await;
    };
    tokio::join!(read(&upstream, get()), serve);
    drop(exchange.sender);
    let mut ending = [0; 5];
    in_time(end.0.read_exact(&mut ending)).await.unwrap();
    assert_eq!(&ending, b"0\r\n\r\n");
    settle().await;
    tokio::join!(read(&upstream, get()), end.answer());
}

#[tokio::test]
async fn response_that_is_dropped_ends_the_upload() {
    let server = Server::bind().await;
    let upstream = server.upstream();
    let (mut exchange, mut end) = early(&server, &upstream).await;
    drop(exchange.response);
    let uploads = async {
        let chunk = || Bytes::from(vec![b'x'; CHUNK]);
        while exchange.sender.send_data(chunk()).await.is_ok() {}
    };
    tokio::join!(in_time(uploads), end.rest());
}

#[tokio::test]
async fn upload_that_has_ended_needs_no_task() {
    let server = Server::bind().await;
    let upstream = server.upstream();
    let tasks = || {
        tokio::runtime::Handle::current()
            .metrics()
            .num_alive_tasks()
    };
    let (response, mut end) = tokio::join!(send(&upstream, post(full("body"))), async {
        let mut end = server.accept().await;
        end.head().await;
        let mut body = [0; 4];
        end.0.read_exact(&mut body).await.unwrap();
        end.write("HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nha")
            .await;
        end
    });
    assert_eq!(tasks(), 0);
    end.write("lf").await;
    let body = in_time(response.unwrap().into_body().collect()).await;
    assert_eq!(body.unwrap().to_bytes(), "half");
    tokio::join!(read(&upstream, get()), end.answer());
}

#[tokio::test(start_paused = true)]
async fn upload_that_hyper_has_taken_is_written_although_the_response_was_read() {
    for idle_timeout in [90, 0].map(Duration::from_secs) {
        let (upstream, mut ends) = wired(PoolOptions::new().idle_timeout(idle_timeout));
        // More than a wire holds.
        let large = || Full::from(vec![b'x'; 4 * CHUNK]);
        let body = large().map_err(|never| match never {}).boxed();
        let begun = tokio::time::Instant::now();
        let (_, mut end) = tokio::join!(read(&upstream, post(body)), async {
            let mut end = ends.accept().await;
            end.answer().await;
            end
        });
        let mut sent = vec![0; 4 * CHUNK];
        in_time(end.0.read_exact(&mut sent)).await.unwrap();
        assert_eq!(begun.elapsed(), Duration::ZERO);
        if !idle_timeout.is_zero() {
            settle().await;
            tokio::join!(read(&upstream, get()), end.answer());
        }
    }
}
