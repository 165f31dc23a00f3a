//! HTTP/2 by hyper.

use std::{error::Error as _, io, time::Duration};

use bytes::Bytes;
use h2::Reason;
use http::{Request, Version, header::CONTENT_LENGTH};
use http_body::Body as _;
use http_body_util::channel::Channel;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tower::{Layer, ServiceExt, service_fn};
use tower_failover::{
    FailoverLayer,
    replay::{Replay, Unreplayable},
};

use crate::{
    Arrived, ROOMY, WINDOW, assert_body_failed, data, exchange, idle, piped, request, send, server,
    sized,
    support::scripted_body::{ScriptedBody, Step},
    trailers, twice, unsized_,
};

const HTTP2: Version = Version::HTTP_2;
const FRAME: usize = 16 << 10;

#[tokio::test]
async fn replay_keeps_content_length_and_trailers() {
    let steps = [data("one"), Step::Trailers(trailers()), Step::End];
    let (replay, _script) = sized(steps, 3);
    for seen in twice(&replay, HTTP2).await {
        assert_eq!(seen.header(CONTENT_LENGTH), Some("3"));
        assert_eq!(seen.length, Some(3));
        assert_eq!(seen.trailers, Some(trailers()));
        assert_eq!(seen.body, "one");
    }
}

#[tokio::test]
async fn replay_has_its_trailers_and_no_length_before_them() {
    let (replay, _script) = unsized_([data("one"), Step::Trailers(trailers()), Step::End]);
    for seen in twice(&replay, HTTP2).await {
        assert_eq!(seen.header(CONTENT_LENGTH), None);
        assert_eq!(seen.trailers, Some(trailers()));
        assert_eq!(seen.body, "one");
    }
}

#[tokio::test]
async fn length_is_told_once_the_source_has_told_it() {
    let (replay, _script) = unsized_([data("one "), data("two"), Step::End]);
    let [first, second] = twice(&replay, HTTP2).await;
    assert_eq!([first.length, second.length], [None, Some(7)]);
    assert_eq!([first.body, second.body], ["one two", "one two"]);
}

#[tokio::test]
async fn headers_of_an_empty_body_end_the_stream() {
    let (body, script) = ScriptedBody::new([Step::End]);
    let replay = Replay::new(body.telling_its_end(), ROOMY);
    let (addr, mut told) = server(HTTP2).await;
    for _ in 0..2 {
        let exchange = send(addr, request(&replay, HTTP2)).await;
        let arrived = told.recv().await.unwrap();
        assert!(arrived.body.is_end_stream());
        assert!(arrived.read().await.body.is_empty());
        exchange.await.unwrap().unwrap();
        replay.revoke_all();
    }
    assert_eq!(script.polls(), 0);
}

#[tokio::test]
async fn headers_do_not_end_the_stream_before_the_end_is_known() {
    let (replay, script) = unsized_([]);
    let (addr, mut told) = server(HTTP2).await;
    let exchange = send(addr, request(&replay, HTTP2)).await;
    let arrived = told.recv().await.unwrap();
    assert!(!arrived.body.is_end_stream());
    script.push(Step::End);
    assert!(arrived.read().await.body.is_empty());
    exchange.await.unwrap().unwrap();
    replay.revoke_all();

    let exchange = send(addr, request(&replay, HTTP2)).await;
    let arrived = told.recv().await.unwrap();
    assert!(arrived.body.is_end_stream());
    arrived.read().await;
    exchange.await.unwrap().unwrap();
}

#[tokio::test]
async fn last_data_frame_ends_the_stream() {
    let (body, _script) = ScriptedBody::new([data("one"), Step::End]);
    let replay = Replay::new(body.telling_its_end(), ROOMY);
    let (addr, mut told) = server(HTTP2).await;
    for _ in 0..2 {
        let exchange = send(addr, request(&replay, HTTP2)).await;
        let mut arrived = told.recv().await.unwrap();
        assert!(!arrived.body.is_end_stream());
        arrived.takes("one").await;
        assert!(arrived.body.is_end_stream());
        arrived.read().await;
        exchange.await.unwrap().unwrap();
        replay.revoke_all();
    }
}

#[tokio::test]
async fn replay_goes_on_while_the_client_sends() {
    let (replay, script) = unsized_([data("one ")]);
    let (addr, mut told) = server(HTTP2).await;
    let first = send(addr, request(&replay, HTTP2)).await;
    let mut old = told.recv().await.unwrap();
    old.takes("one ").await;
    replay.revoke_all();
    let second = send(addr, request(&replay, HTTP2)).await;
    script.push(data("two "));
    assert_eq!(reset(&mut old).await, (0, Reason::INTERNAL_ERROR));
    assert_body_failed(first).await;

    let mut new = told.recv().await.unwrap();
    new.takes("one two ").await;
    script.push(data("six"));
    script.push(Step::Trailers(trailers()));
    script.push(Step::End);
    let seen = new.read().await;
    assert_eq!(seen.body, "six");
    assert_eq!(seen.trailers, Some(trailers()));
    second.await.unwrap().unwrap();
}

#[tokio::test]
async fn revoked_upload_is_whole_if_it_was_sent() {
    let (replay, _script) = unsized_([data("one"), Step::End]);
    let (addr, mut told) = server(HTTP2).await;
    let first = send(addr, request(&replay, HTTP2)).await;
    let mut arrived = told.recv().await.unwrap();
    arrived.takes("one").await;
    replay.revoke_all();
    assert!(arrived.read().await.body.is_empty());
    assert!(first.await.unwrap().is_ok());
}

/// Reads a body to its reset: what was read before it, and the reason.
async fn reset(arrived: &mut Arrived) -> (usize, Reason) {
    let (read, error) = arrived.fails().await;
    let source = error.source().unwrap();
    let reset: &h2::Error = source.downcast_ref().unwrap();
    assert!(reset.is_reset() && reset.is_remote(), "{reset:?}");
    (read, reset.reason().unwrap())
}

const LARGE: usize = 1 << 20;

#[tokio::test(start_paused = true)]
async fn stalled_upload_is_held_back_and_its_replay_is_whole() {
    let frames = (0..LARGE / FRAME).map(|_| data(vec![1; FRAME]));
    let (replay, script) = unsized_(frames.chain([Step::End]));
    let (io, mut told) = piped(HTTP2);
    let mut first = exchange(io, request(&replay, HTTP2));
    let mut stalled = told.recv().await.unwrap();
    idle(&mut first).await;
    // A frame that has room for its first byte is given to h2, and hyper has the next one at hand.
    let most = WINDOW as usize / FRAME + 2;
    assert!(script.polls() <= most, "{} polls", script.polls());
    let taken = script.polls() * FRAME;
    assert_eq!(replay.bytes_held(), taken as u64);

    replay.revoke_all();
    idle(&mut first).await;
    let (io, mut told) = piped(HTTP2);
    let second = exchange(io, request(&replay, HTTP2));
    assert_eq!(told.recv().await.unwrap().read().await.body, vec![1; LARGE]);
    second.await.unwrap().unwrap();

    // hyper asks the body again once there is room, and finds it revoked.
    let (read, reason) = reset(&mut stalled).await;
    assert!(read <= taken, "{read} of {taken} bytes");
    assert_eq!(reason, Reason::INTERNAL_ERROR);
    assert_body_failed(first).await;
}

#[tokio::test(start_paused = true)]
async fn stalled_upload_is_reset_when_its_response_is_dropped() {
    let frames = (0..LARGE / FRAME).map(|_| data(vec![1; FRAME]));
    let (replay, _script) = unsized_(frames);
    let (io, mut told) = piped(HTTP2);
    let mut first = exchange(io, request(&replay, HTTP2));
    let mut stalled = told.recv().await.unwrap();
    idle(&mut first).await;
    first.abort();
    assert!(first.await.unwrap_err().is_cancelled());
    let (read, reason) = reset(&mut stalled).await;
    assert!(read <= WINDOW as usize, "{read} bytes");
    assert_eq!(reason, Reason::CANCEL);
}

#[tokio::test]
async fn failed_source_resets_the_stream_with_an_internal_error() {
    let (replay, script) = unsized_([data("one ")]);
    let (addr, mut told) = server(HTTP2).await;
    let first = send(addr, request(&replay, HTTP2)).await;
    let mut arrived = told.recv().await.unwrap();
    arrived.takes("one ").await;
    script.push(Step::Fail("gone"));
    assert_eq!(reset(&mut arrived).await, (0, Reason::INTERNAL_ERROR));
    assert_body_failed(first).await;
}

/// What an upstream's stream is reset with when a client resets its own in mid-upload.
async fn passed_on(reason: Reason, length: Option<&str>) -> Reason {
    let (mut client, body) = Channel::new(1);
    client.send_data(Bytes::from("one ")).await.unwrap();
    let (front, mut told) = server(HTTP2).await;
    let mut post = Request::post("http://upstream.test/").version(HTTP2);
    if let Some(length) = length {
        post = post.header(CONTENT_LENGTH, length);
    }
    let sent = send(front, post.body(body).unwrap()).await;
    let Arrived { body, answer, .. } = told.recv().await.unwrap();
    let replay = Replay::new(body, ROOMY);
    let (upstream, mut told) = server(HTTP2).await;
    let first = send(upstream, request(&replay, HTTP2)).await;
    let mut arrived = told.recv().await.unwrap();
    arrived.takes("one ").await;

    client.abort(h2::Error::from(reason));
    let (read, passed_on) = reset(&mut arrived).await;
    assert_eq!(read, 0);
    assert_body_failed(first).await;
    assert!(sent.await.unwrap().is_err());
    assert_eq!(replay.check(), Err(Unreplayable::SourceFailed));
    drop(answer);
    passed_on
}

#[tokio::test]
async fn reset_by_the_client_is_passed_on_with_its_reason() {
    let reason = Reason::ENHANCE_YOUR_CALM;
    assert_eq!(passed_on(reason, None).await, reason);
}

/// hyper's servers before 1.10 take CANCEL for the end of a whole body.
#[tokio::test]
async fn cancelled_upload_is_not_passed_on_as_cancelled() {
    assert_eq!(
        passed_on(Reason::CANCEL, None).await,
        Reason::INTERNAL_ERROR
    );
}

/// hyper takes RST_STREAM with NO_ERROR for the end of a body.
#[tokio::test]
async fn upload_that_its_client_stopped_is_not_whole() {
    assert_eq!(
        passed_on(Reason::NO_ERROR, Some("7")).await,
        Reason::INTERNAL_ERROR
    );
}

/// A body from elsewhere than hyper can fail with NO_ERROR.
#[tokio::test]
async fn source_that_failed_for_no_error_is_not_whole() {
    let (mut client, body) = Channel::new(1);
    client.send_data(Bytes::from("one ")).await.unwrap();
    let replay = Replay::new(body, ROOMY);
    let (upstream, mut told) = server(HTTP2).await;
    let first = send(upstream, request(&replay, HTTP2)).await;
    let mut arrived = told.recv().await.unwrap();
    arrived.takes("one ").await;
    client.abort(h2::Error::from(Reason::NO_ERROR));
    assert_eq!(reset(&mut arrived).await, (0, Reason::INTERNAL_ERROR));
    assert_body_failed(first).await;
}

/// hyper resets the stream of a response that nobody waits for with CANCEL, which its servers before
/// 1.10 take for the end of a whole body: the body is revoked before that.
async fn reset_when_given_up(deadline: Duration, gone: bool) -> Reason {
    let (io, mut told) = piped(HTTP2);
    let (sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(io))
        .await
        .unwrap();
    tokio::spawn(connection);
    let (mut client, body) = Channel::<Bytes, io::Error>::new(1);
    let service = service_fn(move |request| sender.clone().send_request(request));
    let layer = FailoverLayer::default().deadline(deadline);
    let post = Request::post("http://upstream.test/").version(HTTP2);
    let sent = tokio::spawn(layer.layer(service).oneshot(post.body(body).unwrap()));
    client.send_data(Bytes::from("one ")).await.unwrap();
    let mut arrived = told.recv().await.unwrap();
    arrived.takes("one ").await;
    if gone {
        sent.abort();
    }
    let (read, reason) = reset(&mut arrived).await;
    assert_eq!(read, 0);
    assert!(!matches!(sent.await, Ok(Ok(_))));
    reason
}

#[tokio::test(start_paused = true)]
async fn upload_whose_time_is_over_is_not_cancelled() {
    let reason = reset_when_given_up(Duration::from_secs(1), false).await;
    assert_eq!(reason, Reason::INTERNAL_ERROR);
}

#[tokio::test(start_paused = true)]
async fn upload_whose_client_is_gone_is_not_cancelled() {
    let reason = reset_when_given_up(Duration::from_secs(3600), true).await;
    assert_eq!(reason, Reason::INTERNAL_ERROR);
}
