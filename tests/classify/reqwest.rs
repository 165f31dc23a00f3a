//! reqwest's errors, read where they stand and not through the whole chain.

use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use http_body::Frame;
use http_body_util::StreamBody;
use reqwest::redirect::Policy;
use reqwest::{Body, Client, ClientBuilder, Error};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tower::timeout::TimeoutLayer;
use tower_failover::failure::FailureKind;

use super::support::{
    Closed, Deaf, Peer, beside, classify, maybe_processed, not_sent, read_head, read_until,
};

fn client(set: impl FnOnce(ClientBuilder) -> ClientBuilder) -> Client {
    let builder = Client::builder().no_proxy().redirect(Policy::none());
    set(builder).build().expect("a client")
}

async fn get(client: &Client, uri: &str) -> Error {
    client.get(uri).send().await.expect_err("it fails")
}

#[tokio::test]
async fn refused_is_not_sent() {
    let closed = Closed::bind();
    let error = get(&client(|builder| builder), &closed.uri).await;
    assert_eq!(classify(&error), not_sent(FailureKind::Connect));
}

#[tokio::test(start_paused = true)]
async fn out_of_time_while_connecting_is_a_connect_timeout() {
    let deaf = Deaf::bind().await;
    let client = client(|builder| builder.connect_timeout(Duration::from_secs(1)));
    let error = get(&client, &deaf.uri).await;
    assert_eq!(classify(&error), not_sent(FailureKind::ConnectTimeout));
}

/// reqwest turns the layer's error into one of a private type.
#[tokio::test(start_paused = true)]
async fn out_of_time_in_a_connector_layer_is_a_connect_timeout() {
    let deaf = Deaf::bind().await;
    let limit = TimeoutLayer::new(Duration::from_secs(1));
    let client = client(|builder| builder.connector_layer(limit));
    let error = get(&client, &deaf.uri).await;
    assert_eq!(classify(&error), not_sent(FailureKind::ConnectTimeout));
}

/// The timer covers connecting too, and does not say how far it got.
#[tokio::test(start_paused = true)]
async fn out_of_time_may_be_processed() {
    let deaf = Deaf::bind().await;
    let client = client(|builder| builder.timeout(Duration::from_secs(1)));
    let error = get(&client, &deaf.uri).await;
    assert_eq!(classify(&error), maybe_processed(FailureKind::Timeout));
}

#[tokio::test]
async fn closed_after_the_request_may_be_processed() {
    let peer = Peer::bind().await;
    let client = client(|builder| builder);
    let error = beside(get(&client, &peer.uri), async {
        read_head(&mut peer.accept().await).await;
    })
    .await;
    assert_eq!(classify(&error), maybe_processed(FailureKind::Reset));
}

#[tokio::test]
async fn garbage_is_junk() {
    let peer = Peer::bind().await;
    let client = client(|builder| builder);
    let error = beside(get(&client, &peer.uri), async {
        let mut stream = peer.accept().await;
        read_head(&mut stream).await;
        stream.write_all(b"SSH-2.0-x\r\n\r\n").await.unwrap();
    })
    .await;
    assert_eq!(classify(&error), maybe_processed(FailureKind::Junk));
}

/// Here `reqwest::Error::is_connect` is true, and wrong.
#[tokio::test]
async fn a_body_that_cannot_connect_proves_nothing() {
    let closed = Closed::bind();
    let peer = Peer::bind().await;
    let client = client(|builder| builder);
    let other = get(&client, &closed.uri).await;
    let hello = Frame::data(Bytes::from_static(b"hello"));
    let body = Body::wrap(StreamBody::new(stream::iter([Ok(hello), Err(other)])));
    let sent = async { client.post(&peer.uri).body(body).send().await };
    let error = beside(sent, async {
        let _ = peer.accept().await.read_to_end(&mut Vec::new()).await;
    })
    .await
    .expect_err("its body fails");
    assert!(error.is_connect());
    assert_eq!(classify(&error), maybe_processed(FailureKind::RequestBody));
}

#[tokio::test]
async fn a_response_body_that_fails_is_unknown() {
    let peer = Peer::bind().await;
    let client = client(|builder| builder);
    let read = async {
        let response = client.get(&peer.uri).send().await.expect("a head");
        response.bytes().await.expect_err("half a body")
    };
    let error = beside(read, async {
        let mut stream = peer.accept().await;
        read_head(&mut stream).await;
        let half = b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhello";
        stream.write_all(half).await.unwrap();
    })
    .await;
    assert_eq!(classify(&error), None);
}

#[tokio::test]
async fn a_request_that_cannot_be_built_is_the_senders_fault() {
    let error = get(&client(|builder| builder), "no uri").await;
    assert_eq!(classify(&error), maybe_processed(FailureKind::Request));
}

/// Has a peer process a POST and redirect it to a port that refuses.
async fn redirected(client: Client) -> Result<reqwest::Response, Error> {
    let closed = Closed::bind();
    let peer = Peer::bind().await;
    let sent = async { client.post(&peer.uri).body("hello").send().await };
    beside(sent, async {
        let mut stream = peer.accept().await;
        read_until(&mut stream, "\r\n\r\nhello").await;
        let head = format!(
            "HTTP/1.1 303 See Other\r\nlocation: {}\r\ncontent-length: 0\r\n\r\n",
            closed.uri
        );
        stream.write_all(head.as_bytes()).await.unwrap();
    })
    .await
}

#[tokio::test]
async fn a_client_that_follows_no_redirects_reports_the_one_attempt() {
    let response = redirected(client(|builder| builder)).await.expect("a head");
    assert_eq!(response.status(), 303);
}

/// Why `KnownErrors` asks for that: the error is the last hop's, and no part of it tells.
#[tokio::test]
async fn a_client_that_follows_redirects_reports_only_its_last_hop() {
    let following = client(|builder| builder.redirect(Policy::limited(1)));
    let error = redirected(following).await.expect_err("refused");
    assert_eq!(classify(&error), not_sent(FailureKind::Connect));
}
