//! A request body that fails is the sender's fault, whatever it failed with.

use std::{error::Error as _, io};

use bytes::Bytes;
use futures_util::stream;
use http::Request;
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use tokio::io::AsyncReadExt;
use tower_failover::{
    failure::FailureKind,
    replay::{Replay, ReplayError},
};

use super::layers::Wrapper;
use super::support::{
    Body, BoxError, Closed, Peer, beside, classify, full, get, h1, h2, maybe_processed, not_sent,
    post, read_head,
};

/// Yields a frame, and then fails.
fn failing(error: impl Into<BoxError>) -> Body {
    body([Ok("hello"), Err(error.into())])
}

fn body<const N: usize>(frames: [Result<&'static str, BoxError>; N]) -> Body {
    let frames = frames.map(|frame| Ok(Frame::data(Bytes::from(frame?))));
    StreamBody::new(stream::iter(frames)).boxed_unsync()
}

/// Errors that would prove something if they were the exchange's own.
async fn tempting() -> Vec<BoxError> {
    let closed = Closed::bind();
    let connect = h1().error(get(&closed.uri)).await;
    assert_eq!(classify(&connect), not_sent(FailureKind::Connect));
    vec![
        Box::new(io::Error::from(io::ErrorKind::ConnectionRefused)),
        Box::new(connect),
        Box::new(h2::Error::from(h2::Reason::REFUSED_STREAM)),
        Box::new(tower::load_shed::error::Overloaded::new()),
        Box::new(revoked().await),
    ]
}

#[tokio::test]
async fn a_failed_body_proves_nothing_on_http1() {
    let peer = Peer::bind().await;
    for error in tempting().await {
        let client = h1();
        let evidence = beside(client.fails(post(&peer.uri, failing(error))), async {
            let mut stream = peer.accept().await;
            let _ = stream.read_to_end(&mut Vec::new()).await;
        })
        .await;
        assert_eq!(evidence, maybe_processed(FailureKind::RequestBody));
    }
}

#[tokio::test]
async fn a_failed_body_proves_nothing_on_http2() {
    let peer = Peer::bind().await;
    for error in tempting().await {
        let client = h2();
        let evidence = beside(client.fails(post(&peer.uri, failing(error))), async {
            let stream = peer.accept().await;
            let mut connection = h2::server::handshake(stream).await.expect("a client");
            while let Some(Ok(_)) = connection.accept().await {}
        })
        .await;
        assert_eq!(evidence, maybe_processed(FailureKind::RequestBody));
    }
}

/// What a replayed body fails with once another attempt has taken its place.
async fn revoked() -> ReplayError {
    let replay = Replay::new(String::from("hello"), 1024);
    let handle = replay.start().expect("untouched");
    replay.revoke_all();
    handle.collect().await.expect_err("revoked")
}

#[tokio::test]
async fn a_revoked_body_proves_nothing() {
    let error = revoked().await;
    assert!(error.is_revoked());
    let expected = maybe_processed(FailureKind::RequestBody);
    assert_eq!(classify(&error), expected);
    assert_eq!(classify(&io::Error::other(error.clone())), expected);
    assert_eq!(classify(&Wrapper(Wrapper(error))), expected);
}

#[tokio::test]
async fn a_revoked_body_gives_hyper_no_reason_to_reset_its_stream_with() {
    assert!(revoked().await.source().is_none());
}

#[tokio::test]
async fn a_body_short_of_its_length_is_the_senders_fault() {
    let peer = Peer::bind().await;
    let client = h1();
    let short = Request::post(&peer.uri)
        .header("content-length", "10")
        .body(body([Ok("hello")]))
        .expect("a request");
    let evidence = beside(client.fails(short), async {
        let mut stream = peer.accept().await;
        let _ = stream.read_to_end(&mut Vec::new()).await;
    })
    .await;
    assert_eq!(evidence, maybe_processed(FailureKind::RequestBody));
}

#[tokio::test]
async fn a_peer_that_closes_is_not_the_bodys_fault() {
    let peer = Peer::bind().await;
    let client = h1();
    let evidence = beside(client.fails(post(&peer.uri, full("hello"))), async {
        read_head(&mut peer.accept().await).await;
    })
    .await;
    assert_eq!(evidence, maybe_processed(FailureKind::Reset));
}
