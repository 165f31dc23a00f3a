//! No connection: nothing was sent.

use std::convert::Infallible;
use std::future::{pending, ready};
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use http::Uri;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tower::timeout::Timeout;
use tower_failover::failure::{FailureKind, Stage};

use super::support::{Closed, Deaf, Peer, beside, full, get, h1, h2, not_sent, over, post};

#[tokio::test]
async fn refused_is_not_sent() {
    let closed = Closed::bind();
    let connect = not_sent(FailureKind::Connect);
    assert_eq!(h1().fails(get(&closed.uri)).await, connect);
    assert_eq!(h1().fails(post(&closed.uri, full("hello"))).await, connect);
    assert_eq!(h2().fails(get(&closed.uri)).await, connect);
}

#[tokio::test]
async fn name_not_resolved_is_not_sent() {
    let nowhere = tower::service_fn(|_| {
        ready(Err::<std::vec::IntoIter<SocketAddr>, _>(io::Error::other(
            "no such name",
        )))
    });
    let client = over(HttpConnector::new_with_resolver(nowhere), |_| ());
    assert_eq!(
        client.fails(get("http://nowhere.invalid/")).await,
        not_sent(FailureKind::Connect)
    );
}

#[tokio::test(start_paused = true)]
async fn out_of_time_while_connecting_is_a_connect_timeout() {
    let deaf = Deaf::bind().await;
    let mut connector = HttpConnector::new();
    connector.set_connect_timeout(Some(Duration::from_secs(1)));
    let client = over(connector, |_| ());
    assert_eq!(
        client.fails(get(&deaf.uri)).await,
        not_sent(FailureKind::ConnectTimeout)
    );
}

#[tokio::test(start_paused = true)]
async fn a_timeout_around_the_connector_is_a_connect_timeout() {
    let never = tower::service_fn(|_: Uri| pending::<Result<TokioIo<TcpStream>, Infallible>>());
    let client = over(Timeout::new(never, Duration::from_secs(1)), |_| ());
    assert_eq!(
        client.fails(get("http://127.0.0.1/")).await,
        not_sent(FailureKind::ConnectTimeout)
    );
}

/// Hands over a connection only when the peer has closed it.
async fn closed_by_the_peer(uri: Uri) -> io::Result<TokioIo<TcpStream>> {
    let address = uri.authority().expect("an authority").as_str();
    let stream = TcpStream::connect(address).await?;
    assert_eq!(stream.peek(&mut [0]).await?, 0);
    Ok(TokioIo::new(stream))
}

#[tokio::test]
async fn closed_before_the_request_is_not_sent() {
    let peer = Peer::bind().await;
    let client = over(tower::service_fn(closed_by_the_peer), |_| ());
    let evidence = beside(client.fails(get(&peer.uri)), async {
        drop(peer.accept().await);
    })
    .await;
    assert_eq!(evidence, not_sent(FailureKind::Reset));
}

/// Who is first, the request or the close, is left to chance: the record tells whether a proof was one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn closed_on_accept_is_never_a_false_proof() {
    let peer = Peer::bind().await;
    for _ in 0..200 {
        let client = h1();
        let evidence = beside(client.fails(post(&peer.uri, full("hello"))), async {
            loop {
                drop(peer.accept().await);
            }
        })
        .await;
        let evidence = evidence.expect("known");
        assert_ne!(evidence.stage, Stage::Refused);
    }
}

#[tokio::test]
async fn misuse_is_unknown() {
    assert_eq!(h1().fails(get("/no-authority")).await, None);
}
