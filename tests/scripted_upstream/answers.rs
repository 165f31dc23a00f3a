//! What is answered, when, and on which connection.

use std::{
    io,
    time::{Duration, Instant},
};

use tokio::time::timeout;

use crate::{
    BOUND, CHUNKED, Client, GET, POST, RESET, attempt, support::scripted::Scripted, upstream,
};

#[tokio::test]
async fn statuses_keep_the_connection_and_name_the_upstream() {
    let upstream = upstream(&["status:404:no;a=b;c=d=e", "status:200:512B", "status:204"]).await;
    let mut client = Client::connect(&upstream).await;
    for (request, expected) in [
        (
            GET,
            "HTTP/1.1 404 Not Found\r\nx-served-by: u1\r\na: b\r\nc: d=e\r\n\
             content-length: 2\r\n\r\nno"
                .to_owned(),
        ),
        (
            POST,
            format!(
                "HTTP/1.1 200 OK\r\nx-served-by: u1\r\ncontent-length: 512\r\n\r\n{}",
                "x".repeat(512)
            ),
        ),
        (
            CHUNKED,
            "HTTP/1.1 204 No Content\r\nx-served-by: u1\r\n\r\n".to_owned(),
        ),
    ] {
        upstream.begin_attempt().await;
        client.send(request).await;
        assert_eq!(client.until(&expected).await, expected);
    }

    let [get, post, put] = &upstream.seen()[..] else {
        panic!("{:?}", upstream.seen());
    };
    assert_eq!((upstream.attempts(), upstream.name()), (3, "u1"));
    assert_eq!((get.method.as_str(), get.target.as_str()), ("GET", "/a"));
    assert_eq!(get.headers, [("host".to_owned(), "t".to_owned())]);
    assert!(get.complete && get.body.is_empty());
    assert_eq!((post.attempt, post.connection), (Some(2), 0));
    assert_eq!(post.body, b"hello");
    assert_eq!((put.attempt, put.connection), (Some(3), 0));
    assert_eq!(put.body, b"hello");
    assert_eq!(put.trailers, [("some".to_owned(), "trailer".to_owned())]);
    assert!(put.complete);
}

#[tokio::test]
async fn the_last_behaviour_repeats_unless_cycled() {
    for (cycle, statuses) in [(false, [503, 200, 200]), (true, [503, 200, 503])] {
        let script = ["status:503", "status:200"].map(|text| text.parse().unwrap());
        let upstream = Scripted::start("u1", script.into(), cycle).await;
        for status in statuses {
            upstream.begin_attempt().await;
            let mut client = Client::connect(&upstream).await;
            client.send(GET).await;
            let head = client.until("\r\n").await;
            assert!(head.contains(&status.to_string()), "{head}");
        }
    }
}

#[tokio::test]
async fn the_body_is_seen_as_it_arrives() {
    let upstream = upstream(&["echo"]).await;
    let mut client = Client::connect(&upstream).await;
    upstream.begin_attempt().await;
    let (start, end) = POST.split_at(POST.len() - 3);
    client.send(start).await;
    let seen = upstream.seen_when(|seen| seen.iter().any(|s| s.body == b"he"));
    assert!(!timeout(BOUND, seen).await.unwrap()[0].complete);
    client.send(end).await;
    client.until("\r\n\r\nhello").await;
    assert!(upstream.seen()[0].complete);
}

#[tokio::test]
async fn the_warm_up_is_not_counted() {
    let upstream = upstream(&["reused_read_close", "status:200"]).await;
    let mut warm = Client::connect(&upstream).await;
    warm.send(GET).await;
    warm.until("content-length: 0\r\n\r\n").await;
    assert_eq!(upstream.attempts(), 0);

    upstream.begin_attempt().await;
    warm.send(POST).await;
    assert_eq!(warm.rest().await, (String::new(), Ok(())));
    upstream.begin_attempt().await;
    let mut fresh = Client::connect(&upstream).await;
    fresh.send(GET).await;
    fresh.until("content-length: 0\r\n\r\n").await;

    let seen = upstream.seen();
    let seen: Vec<_> = seen.iter().map(|s| (s.attempt, s.connection)).collect();
    assert_eq!(seen, [(None, 0), (Some(1), 0), (Some(2), 1)]);
}

#[tokio::test]
async fn a_begun_warm_up_is_not_counted_either() {
    let upstream = upstream(&["reused_read_close"]).await;
    upstream.begin_attempt().await;
    let mut warm = Client::connect(&upstream).await;
    warm.send(GET).await;
    warm.until("content-length: 0\r\n\r\n").await;
    assert_eq!(upstream.attempts(), 0);
    // On a fresh connection, since the warm-up was served on another one.
    assert_eq!(attempt(&upstream, POST).await, (String::new(), Ok(())));
    assert_eq!(
        (upstream.attempts(), upstream.seen()[1].complete),
        (1, true)
    );
}

#[tokio::test]
async fn an_early_status_leaves_the_body_unread() {
    let endless = "POST / HTTP/1.1\r\ncontent-length: 9\r\n\r\n";
    let answer = "HTTP/1.1 404 Not Found\r\nx-served-by: u1\r\ncontent-length: 0\r\n\r\n";
    let early = upstream(&["early_status:404"]).await;
    let begun = Instant::now();
    assert_eq!(attempt(&early, endless).await, (answer.to_owned(), Ok(())));
    assert!(begun.elapsed() >= Duration::from_millis(200));
    let seen = early.seen();
    assert!(!seen[0].complete && seen[0].body.is_empty());

    let reset = upstream(&["early_status:404;reset"]).await;
    reset.begin_attempt().await;
    let mut client = Client::connect(&reset).await;
    client.send(endless).await;
    assert_eq!(client.until(answer).await, answer);
    assert_eq!(client.rest().await, (String::new(), RESET));
}

#[tokio::test]
async fn slow_answers_are_late_and_hanging_ones_never_come() {
    let late = upstream(&["slow:50:status:200:late", "head_then_slow_body:201:50"]).await;
    let mut client = Client::connect(&late).await;
    for end in [
        "content-length: 4\r\n\r\nlate",
        "content-length: 9\r\n\r\nslow body",
    ] {
        let begun = Instant::now();
        late.begin_attempt().await;
        client.send(GET).await;
        client.until(end).await;
        assert!(begun.elapsed() >= Duration::from_millis(50));
    }

    for (script, head) in [
        ("hang", ""),
        ("head_then_hang:200", "content-length: 16\r\n\r\n"),
        ("slow:60000:status:200", ""),
    ] {
        let upstream = upstream(&[script]).await;
        upstream.begin_attempt().await;
        let mut client = Client::connect(&upstream).await;
        client.send(POST).await;
        client.until(head).await;
        upstream
            .seen_when(|seen| seen.iter().any(|s| s.complete))
            .await;
        drop(client);
        let gone = upstream.seen_when(|seen| seen[0].abandoned);
        timeout(BOUND, gone).await.expect(script);
    }
}

#[tokio::test]
async fn a_release_lets_all_answer() {
    let upstream = upstream(&["hang_until_released"]).await;
    let mut clients = Vec::new();
    for _ in 0..3 {
        upstream.begin_attempt().await;
        let mut client = Client::connect(&upstream).await;
        client.send(GET).await;
        clients.push(client);
    }
    upstream
        .seen_when(|seen| seen.iter().filter(|s| s.complete).count() == 3)
        .await;
    let unanswered = clients[0].0.try_read(&mut [0]).unwrap_err();
    assert_eq!(unanswered.kind(), io::ErrorKind::WouldBlock);
    upstream.release();
    for client in &mut clients {
        client.until("content-length: 0\r\n\r\n").await;
    }
}

#[tokio::test]
async fn frames_are_chunks_and_trailers() {
    let upstream = upstream(&[
        "frames:hello,world;grpc-status=0",
        "trailers_only:grpc-status=14",
    ]);
    let upstream = upstream.await;
    let mut client = Client::connect(&upstream).await;
    for end in [
        "transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n5\r\nworld\r\n0\r\ngrpc-status: 0\r\n\r\n",
        "transfer-encoding: chunked\r\n\r\n0\r\ngrpc-status: 14\r\n\r\n",
    ] {
        upstream.begin_attempt().await;
        client.send(GET).await;
        client.until(end).await;
    }
}

#[tokio::test]
async fn malformed_requests_are_answered_with_400() {
    for request in [
        "GET /\r\n\r\n",
        "GET / HTTP/2.0\r\n\r\n",
        "GET / HTTP/1.1\r\nno colon\r\n\r\n",
        "GET / HTTP/1.1\r\na : b\r\n\r\n",
        "GET / HTTP/1.1\r\na: b\r\n folded\r\n\r\n",
        "GET / HTTP/1.1\r\ncontent-length: +1\r\n\r\n",
        "GET / HTTP/1.1\r\ncontent-length: 1\r\ncontent-length: 1\r\n\r\n",
        "GET / HTTP/1.1\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n",
        "GET / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n+1\r\n",
        "GET / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n1\r\nab\r\n",
    ] {
        let upstream = upstream(&["echo"]).await;
        let answer = attempt(&upstream, request).await.0;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{request:?}: {answer}");
    }
}
