//! The scripted upstream and the cases' file keep their promises.

mod scripted_upstream {
    mod answers;
    mod data;
}

mod support {
    pub(crate) mod cases;
    pub(crate) mod scripted;
}

use std::{io, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use support::scripted::{Behaviour, Scripted};

const GET: &str = "GET /a HTTP/1.1\r\nhost: t\r\n\r\n";
const POST: &str = "POST /b HTTP/1.1\r\nhost: t\r\ncontent-length: 5\r\n\r\nhello";
const CHUNKED: &str = "PUT /c HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n\
    3;x=y\r\nhel\r\n2\r\nlo\r\n0\r\nsome: trailer\r\n\r\n";

/// Ends a test that would hang; nothing is synchronised by it.
const BOUND: Duration = Duration::from_secs(10);

async fn upstream(script: &[&str]) -> Scripted {
    let script = script.iter().map(|text| text.parse().unwrap()).collect();
    Scripted::start("u1", script, false).await
}

/// A client that sees bytes.
struct Client(TcpStream);

impl Client {
    async fn connect(upstream: &Scripted) -> Self {
        Self(TcpStream::connect(upstream.addr()).await.unwrap())
    }

    async fn send(&mut self, text: &str) {
        self.0.write_all(text.as_bytes()).await.unwrap();
    }

    /// Reads until `end` has arrived.
    async fn until(&mut self, end: &str) -> String {
        let mut text = String::new();
        while !text.ends_with(end) {
            let byte = timeout(BOUND, self.0.read_u8()).await.unwrap();
            text.push(char::from(byte.unwrap_or_else(|e| panic!("{text:?}: {e}"))));
        }
        text
    }

    /// What arrives before the end, and how it ended.
    async fn rest(&mut self) -> (String, Result<(), io::ErrorKind>) {
        let mut bytes = Vec::new();
        let end = timeout(BOUND, self.0.read_to_end(&mut bytes)).await;
        let end = end.unwrap().map(drop).map_err(|error| error.kind());
        (String::from_utf8(bytes).unwrap(), end)
    }
}

/// Plays one attempt on a fresh connection until the upstream closes it.
async fn attempt(upstream: &Scripted, request: &str) -> (String, Result<(), io::ErrorKind>) {
    upstream.begin_attempt().await;
    let mut client = Client::connect(upstream).await;
    client.send(request).await;
    client.rest().await
}

const RESET: Result<(), io::ErrorKind> = Err(io::ErrorKind::ConnectionReset);

#[tokio::test]
async fn refuses_until_the_script_says_otherwise() {
    let upstream = upstream(&["refuse", "refuse", "status:200"]).await;
    for _ in 0..2 {
        upstream.begin_attempt().await;
        let error = TcpStream::connect(upstream.addr()).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
    }
    upstream.begin_attempt().await;
    let mut client = Client::connect(&upstream).await;
    client.send(GET).await;
    client.until("content-length: 0\r\n\r\n").await;
    assert_eq!((upstream.attempts(), upstream.seen().len()), (3, 1));
}

#[tokio::test]
async fn a_blackhole_completes_no_connect() {
    let upstream = upstream(&["blackhole"]).await;
    upstream.begin_attempt().await;
    let connect = TcpStream::connect(upstream.addr());
    let connect = timeout(Duration::from_millis(300), connect).await;
    assert!(connect.is_err(), "{connect:?}");
    assert_eq!(upstream.attempts(), 1);
}

#[tokio::test]
async fn scripts_that_a_port_cannot_play_are_refused() {
    for (script, cycle) in [
        (&[][..], false),
        (&["status:200", "refuse"], false),
        (&["refuse", "status:200"], true),
        (&["status:200", "blackhole"], false),
        (&["blackhole", "status:200"], false),
    ] {
        let script: Vec<_> = script.iter().map(|text| text.parse().unwrap()).collect();
        let start = tokio::spawn(async move { Scripted::start("u1", script, cycle).await });
        assert!(start.await.unwrap_err().is_panic());
    }
}

#[tokio::test]
async fn accept_close_closes_unread() {
    let upstream = upstream(&["status:200", "accept_close", "status:200"]).await;
    upstream.begin_attempt().await;
    let mut idle = Client::connect(&upstream).await;
    idle.send(GET).await;
    idle.until("content-length: 0\r\n\r\n").await;

    upstream.begin_attempt().await;
    let mut fresh = Client::connect(&upstream).await;
    assert_eq!(fresh.rest().await, (String::new(), Ok(())));
    // Closing over unread bytes is a reset.
    idle.send(GET).await;
    assert_eq!(idle.rest().await, (String::new(), RESET));

    upstream.begin_attempt().await;
    let mut last = Client::connect(&upstream).await;
    last.send(GET).await;
    last.until("content-length: 0\r\n\r\n").await;
    let attempts: Vec<_> = upstream.seen().iter().map(|seen| seen.attempt).collect();
    assert_eq!(attempts, [Some(1), Some(3)]);
}

#[tokio::test]
async fn an_unattended_upstream_counts_what_arrives() {
    let script = ["status:503", "accept_close", "status:200"];
    let script = script.iter().map(|text| text.parse().unwrap()).collect();
    let upstream = Scripted::unattended("u1", script).await;
    let mut client = Client::connect(&upstream).await;
    // A connection that brings no request is no attempt.
    let _idle = Client::connect(&upstream).await;
    client.send(GET).await;
    client.until("content-length: 0\r\n\r\n").await;
    assert_eq!(upstream.attempts(), 1);

    let mut unread = Client::connect(&upstream).await;
    assert_eq!(unread.rest().await, (String::new(), Ok(())));
    assert_eq!(upstream.attempts(), 2);
    client.send(GET).await;
    let answer = client.until("content-length: 0\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let attempts: Vec<_> = upstream.seen().iter().map(|seen| seen.attempt).collect();
    assert_eq!(attempts, [Some(1), Some(3)]);
}

#[tokio::test]
async fn closes_with_and_without_a_reset() {
    let ok = "HTTP/1.1 200 OK\r\nx-served-by: u1\r\n";
    let cut = format!("{ok}content-length: 100\r\n\r\n");
    let cut_chunk = format!("{ok}transfer-encoding: chunked\r\n\r\n5\r\nxxxxx\r\n");
    for (script, answer, end) in [
        ("reset_after_headers_read", "", RESET),
        ("reset_after_first_data", "", RESET),
        ("read_close", "", Ok(())),
        ("partial_headers", "HTTP/1.1 200 OK\r\ncontent-le", Ok(())),
        ("garbage", "\x00\x01 no http here\r\n\r\n", Ok(())),
        ("body_cut:200:100:0", &cut, Ok(())),
        ("body_cut:200:chunked:5", &cut_chunk, Ok(())),
        (
            "informational:103;read_close",
            "HTTP/1.1 103 Interim\r\n\r\n",
            Ok(()),
        ),
        ("slow:20:read_close", "", Ok(())),
    ] {
        let upstream = upstream(&[script]).await;
        assert_eq!(
            attempt(&upstream, POST).await,
            (answer.to_owned(), end),
            "{script}"
        );
        let seen = &upstream.seen()[0];
        assert_eq!(seen.complete, !script.starts_with("reset"), "{script}");
        if script == "reset_after_first_data" {
            assert!(!seen.body.is_empty());
        }
    }
}

#[tokio::test]
async fn a_reset_waits_for_the_first_byte_of_the_body() {
    let upstream = upstream(&["reset_after_first_data"]).await;
    upstream.begin_attempt().await;
    let mut client = Client::connect(&upstream).await;
    let (head, body) = POST.split_at(POST.len() - 5);
    client.send(head).await;
    upstream.seen_when(|seen| seen.len() == 1).await;
    client.send(&body[..1]).await;
    assert_eq!(client.rest().await, (String::new(), RESET));
    assert_eq!(upstream.seen()[0].body, b"h");
}

#[tokio::test]
async fn attempts_can_be_waited_for() {
    let upstream = upstream(&["status:200"]).await;
    let mut second = tokio_test::task::spawn(upstream.attempt_started(2));
    assert!(second.poll().is_pending());
    upstream.begin_attempt().await;
    assert!(second.poll().is_pending());
    upstream.begin_attempt().await;
    assert!(second.poll().is_ready());
}

#[tokio::test]
async fn a_request_that_nobody_began_is_no_attempt() {
    let upstream = upstream(&["status:200"]).await;
    let mut client = Client::connect(&upstream).await;
    client.send(GET).await;
    assert!(client.rest().await.0.starts_with("HTTP/1.1 500 "));
    assert_eq!((upstream.attempts(), upstream.seen()[0].attempt), (0, None));
}

#[tokio::test]
async fn a_cancelled_attempt_does_not_shift_the_next() {
    let upstream = upstream(&["status:500", "status:200"]).await;
    upstream.begin_attempt().await;
    upstream.begin_attempt().await;
    let mut client = Client::connect(&upstream).await;
    client.send(GET).await;
    assert!(client.until("\r\n").await.contains("200"));
}

#[tokio::test]
async fn stopping_closes_everything() {
    let upstream = upstream(&["hang"]).await;
    upstream.begin_attempt().await;
    let mut client = Client::connect(&upstream).await;
    client.send(GET).await;
    upstream
        .seen_when(|seen| seen.iter().any(|s| s.complete))
        .await;
    upstream.stop().await;
    assert_eq!(client.rest().await, (String::new(), Ok(())));
    let error = TcpStream::connect(upstream.addr()).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);

    let dropped = Scripted::start("u2", vec![Behaviour::Hang], false).await;
    let mut client = Client::connect(&dropped).await;
    drop(dropped);
    client.rest().await.1.ok();
}
