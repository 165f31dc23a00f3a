//! HTTP/1.1 by hyper.

use std::{error::Error as _, future::Future, io, net::SocketAddr};

use http::{
    Request, Version,
    header::{CONTENT_LENGTH, HOST, TE, TRAILER, TRANSFER_ENCODING},
};
use http_body_util::BodyExt;
use tokio::{io::AsyncReadExt, net::TcpListener};
use tower_failover::replay::Replay;

use crate::{
    ROOMY, assert_body_failed, data, exchange, idle, piped, request, send, server, sized,
    support::scripted_body::{ScriptedBody, Step},
    trailers, twice, unsized_,
};

const HTTP1: Version = Version::HTTP_11;
const FRAME: usize = 16 << 10;
/// What hyper buffers of a body before its connection takes it.
const HYPER_BUFFER: usize = 8192 + 100 * 4096;

#[tokio::test]
async fn replay_keeps_content_length() {
    let (replay, _script) = sized([data("one "), data("two"), Step::End], 7);
    for seen in twice(&replay, HTTP1).await {
        assert_eq!(seen.header(CONTENT_LENGTH), Some("7"));
        assert_eq!(seen.header(TRANSFER_ENCODING), None);
        assert_eq!(seen.body, "one two");
    }
}

#[tokio::test]
async fn replay_of_an_empty_body_is_empty() {
    let (body, script) = ScriptedBody::new([Step::End]);
    let replay = Replay::new(body.telling_its_end(), ROOMY);
    for seen in twice(&replay, HTTP1).await {
        assert_eq!(seen.header(TRANSFER_ENCODING), None);
        assert_eq!(seen.length, Some(0));
    }
    assert_eq!(script.polls(), 0);
}

#[tokio::test]
async fn length_is_told_once_the_source_has_told_it() {
    let (replay, _script) = unsized_([data("one "), data("two"), Step::End]);
    let [first, second] = twice(&replay, HTTP1).await;
    assert_eq!(first.header(TRANSFER_ENCODING), Some("chunked"));
    assert_eq!(first.header(CONTENT_LENGTH), None);
    assert_eq!(second.header(CONTENT_LENGTH), Some("7"));
    assert_eq!(second.header(TRANSFER_ENCODING), None);
    assert_eq!([first.body, second.body], ["one two", "one two"]);
}

#[tokio::test]
async fn chunked_stays_chunked_while_the_length_is_unknown() {
    let (replay, script) = unsized_([data("one ")]);
    let (gone, cut) = cut_after_head().await;
    let first = send(gone, request(&replay, HTTP1)).await;
    first.await.unwrap().unwrap_err();
    cut.await;
    replay.revoke_all();
    let (addr, mut told) = server(HTTP1).await;
    let second = send(addr, request(&replay, HTTP1)).await;
    let arrived = told.recv().await.unwrap();
    script.push(data("two"));
    script.push(Step::End);
    let seen = arrived.read().await;
    second.await.unwrap().unwrap();
    assert_eq!(seen.header(TRANSFER_ENCODING), Some("chunked"));
    assert_eq!(seen.header(CONTENT_LENGTH), None);
    assert_eq!(seen.body, "one two");
}

#[tokio::test]
async fn replay_of_a_cut_upload_is_whole() {
    let (replay, script) = sized([data("one ")], 7);
    let (gone, cut) = cut_after_head().await;
    let first = send(gone, request(&replay, HTTP1)).await;
    first.await.unwrap().unwrap_err();
    cut.await;
    assert!(!replay.is_sent_in_full());
    replay.revoke_all();
    script.push(data("two"));
    script.push(Step::End);
    let (addr, mut told) = server(HTTP1).await;
    let second = send(addr, request(&replay, HTTP1)).await;
    let seen = told.recv().await.unwrap().read().await;
    second.await.unwrap().unwrap();
    assert_eq!(seen.header(CONTENT_LENGTH), Some("7"));
    assert_eq!(seen.body, "one two");
}

/// A server that closes its connection at the first byte that it reads.
async fn cut_after_head() -> (SocketAddr, impl Future<Output = ()>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let addr = listener.local_addr().unwrap();
    let task = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.read_u8().await.unwrap();
    });
    (addr, async { task.await.unwrap() })
}

#[tokio::test]
async fn replay_has_its_trailers() {
    let (replay, _script) = unsized_([data("one"), Step::Trailers(trailers()), Step::End]);
    for seen in twice(&replay, HTTP1).await {
        assert_eq!(seen.header(TRANSFER_ENCODING), Some("chunked"));
        assert_eq!(seen.header(TRAILER), Some("checksum"));
        assert_eq!(seen.trailers, Some(trailers()));
        assert_eq!(seen.body, "one");
    }
}

#[tokio::test]
async fn replay_has_its_trailers_though_the_length_is_known_by_then() {
    let (replay, _script) = unsized_([data("one"), Step::Trailers(trailers()), Step::End]);
    replay.start().unwrap().collect().await.unwrap();
    for seen in twice(&replay, HTTP1).await {
        assert_eq!(seen.trailers, Some(trailers()));
        assert_eq!(seen.body, "one");
    }
}

#[tokio::test]
async fn trailers_are_not_sent_behind_a_content_length() {
    let (replay, _script) = sized([data("one"), Step::Trailers(trailers()), Step::End], 3);
    for seen in twice(&replay, HTTP1).await {
        assert_eq!(seen.header(CONTENT_LENGTH), Some("3"));
        assert_eq!(seen.trailers, None);
        assert_eq!(seen.body, "one");
    }
}

#[tokio::test]
async fn trailers_are_not_sent_undeclared() {
    let (replay, _script) = unsized_([data("one"), Step::Trailers(trailers()), Step::End]);
    for _ in 0..2 {
        let (addr, mut told) = server(HTTP1).await;
        let undeclared = Request::post("/")
            .header(HOST, "upstream.test")
            .header(TE, "trailers")
            .body(replay.start().unwrap())
            .unwrap();
        let exchange = send(addr, undeclared).await;
        let seen = told.recv().await.unwrap().read().await;
        exchange.await.unwrap().unwrap();
        assert_eq!(seen.header(TRANSFER_ENCODING), Some("chunked"));
        assert_eq!(seen.trailers, None);
        replay.revoke_all();
    }
}

#[tokio::test]
async fn revoked_upload_is_incomplete_and_the_replay_is_whole() {
    for (length, framing) in [(Some(11), CONTENT_LENGTH), (None, TRANSFER_ENCODING)] {
        let (replay, script) = match length {
            Some(length) => sized([data("one ")], length),
            None => unsized_([data("one ")]),
        };
        let (addr, mut told) = server(HTTP1).await;
        let first = send(addr, request(&replay, HTTP1)).await;
        let mut old = told.recv().await.unwrap();
        assert!(old.header(framing.clone()).is_some());
        old.takes("one ").await;

        replay.revoke_all();
        let second = send(addr, request(&replay, HTTP1)).await;
        script.push(data("two "));
        let (read, error) = old.fails().await;
        assert_eq!(read, 0);
        assert_incomplete(&error);
        assert_body_failed(first).await;

        let mut new = told.recv().await.unwrap();
        assert!(new.header(framing).is_some());
        new.takes("one two ").await;
        script.push(data("six"));
        script.push(Step::End);
        assert_eq!(new.read().await.body, "six");
        second.await.unwrap().unwrap();
    }
}

#[track_caller]
fn assert_incomplete(error: &hyper::Error) {
    let io = error.source().and_then(|error| error.downcast_ref());
    let kind = io.map(io::Error::kind);
    assert_eq!(kind, Some(io::ErrorKind::UnexpectedEof), "{error:?}");
}

#[tokio::test]
async fn revoked_upload_is_whole_if_it_was_sent() {
    let (replay, _script) = sized([data("one"), Step::End], 3);
    let (addr, mut told) = server(HTTP1).await;
    let first = send(addr, request(&replay, HTTP1)).await;
    let mut arrived = told.recv().await.unwrap();
    arrived.takes("one").await;
    replay.revoke_all();
    assert!(arrived.read().await.body.is_empty());
    assert!(first.await.unwrap().is_ok());
}

#[tokio::test]
async fn failed_source_leaves_an_incomplete_upload() {
    for length in [Some(7), None] {
        let (replay, script) = match length {
            Some(length) => sized([data("one ")], length),
            None => unsized_([data("one ")]),
        };
        let (addr, mut told) = server(HTTP1).await;
        let first = send(addr, request(&replay, HTTP1)).await;
        let mut arrived = told.recv().await.unwrap();
        arrived.takes("one ").await;
        script.push(Step::Fail("gone"));
        let (read, error) = arrived.fails().await;
        assert_eq!(read, 0);
        assert_incomplete(&error);
        assert_body_failed(first).await;
        assert!(replay.has_source_failed());
    }
}

/// More than hyper buffers.
const LARGE: usize = 1 << 20;

#[tokio::test(start_paused = true)]
async fn stalled_upload_is_held_back_and_its_replay_is_whole() {
    let frames = (0..LARGE / FRAME).map(|_| data(vec![1; FRAME]));
    let (replay, script) = sized(frames.chain([Step::End]), LARGE as u64);
    let (io, mut told) = piped(HTTP1);
    let mut first = exchange(io, request(&replay, HTTP1));
    let mut stalled = told.recv().await.unwrap();
    idle(&mut first).await;
    let taken = script.polls() * FRAME;
    assert!(taken <= HYPER_BUFFER + FRAME, "{taken} bytes taken");
    assert_eq!(replay.bytes_held(), taken as u64);

    replay.revoke_all();
    idle(&mut first).await;
    let (io, mut told) = piped(HTTP1);
    let second = exchange(io, request(&replay, HTTP1));
    let seen = told.recv().await.unwrap().read().await;
    assert_eq!(seen.length, Some(LARGE as u64));
    assert_eq!(seen.body, vec![1; LARGE]);
    second.await.unwrap().unwrap();

    // hyper asks the body again once there is room, and finds it revoked.
    let (read, error) = stalled.fails().await;
    assert!(read <= taken, "{read} of {taken} bytes");
    assert_incomplete(&error);
    assert_body_failed(first).await;
}
