//! HTTP/1: once a byte was written, nothing is proved.

use futures_util::stream;
use http_body_util::{BodyExt, StreamBody};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tower_failover::failure::FailureKind;

use super::layers::Wrapper;
use super::support::{
    Body, Peer, answer, beside, classify, full, get, h1, maybe_processed, not_sent, post,
    read_head, read_until,
};

#[tokio::test]
async fn closed_after_the_request_may_be_processed() {
    let peer = Peer::bind().await;
    let evidence = beside(h1().fails(get(&peer.uri)), async {
        read_head(&mut peer.accept().await).await;
    })
    .await;
    assert_eq!(evidence, maybe_processed(FailureKind::Reset));
    let evidence = beside(h1().fails(post(&peer.uri, full("hello"))), async {
        read_until(&mut peer.accept().await, "\r\n\r\nhello").await;
    })
    .await;
    assert_eq!(evidence, maybe_processed(FailureKind::Reset));
}

#[tokio::test]
async fn reset_after_the_head_may_be_processed() {
    let peer = Peer::bind().await;
    let evidence = beside(h1().fails(get(&peer.uri)), async {
        let mut stream = peer.accept().await;
        read_head(&mut stream).await;
        stream.set_zero_linger().expect("a socket option");
    })
    .await;
    assert_eq!(evidence, maybe_processed(FailureKind::Reset));
}

#[tokio::test]
async fn half_a_head_may_be_processed() {
    let peer = Peer::bind().await;
    let evidence = beside(h1().fails(get(&peer.uri)), async {
        let mut stream = peer.accept().await;
        read_head(&mut stream).await;
        stream.write_all(b"HTTP/1.1 200 OK\r\ncont").await.unwrap();
    })
    .await;
    assert_eq!(evidence, maybe_processed(FailureKind::Reset));
}

#[tokio::test]
async fn garbage_is_junk() {
    let peer = Peer::bind().await;
    let evidence = beside(h1().fails(get(&peer.uri)), async {
        let mut stream = peer.accept().await;
        read_head(&mut stream).await;
        stream.write_all(b"SSH-2.0-x\r\n\r\n").await.unwrap();
    })
    .await;
    assert_eq!(evidence, maybe_processed(FailureKind::Junk));
}

#[tokio::test]
async fn a_reused_connection_that_closes_proves_nothing() {
    let peer = Peer::bind().await;
    let client = h1();
    let second = async {
        client.client.request(get(&peer.uri)).await.expect("served");
        client.error(post(&peer.uri, full("hello"))).await
    };
    let error = beside(second, async {
        let mut stream = peer.accept().await;
        read_head(&mut stream).await;
        answer(&mut stream).await;
        read_until(&mut stream, "\r\n\r\nhello").await;
    })
    .await;
    assert_eq!(classify(&error), maybe_processed(FailureKind::Reset));
    assert_eq!(client.wire.connections(), 1);
}

/// The client itself goes on with a new connection: no error comes out to be classified.
#[tokio::test]
async fn a_connection_closed_while_idle_is_replaced_by_the_client() {
    let peer = Peer::bind().await;
    let client = h1();
    let (closed, wait) = tokio::sync::oneshot::channel();
    let both = async {
        client.client.request(get(&peer.uri)).await.expect("served");
        wait.await.expect("the peer closes");
        let second = post(&peer.uri, full("hello"));
        client.client.request(second).await.expect("served again");
    };
    beside(both, async {
        let mut stream = peer.accept().await;
        read_head(&mut stream).await;
        answer(&mut stream).await;
        drop(stream);
        closed.send(()).expect("the client waits");
        let mut stream = peer.accept().await;
        read_until(&mut stream, "\r\n\r\nhello").await;
        answer(&mut stream).await;
    })
    .await;
    assert_eq!(client.wire.connections(), 2);
}

async fn connect(peer: &Peer) -> TokioIo<TcpStream> {
    let address = peer.uri.trim_start_matches("http://").trim_end_matches('/');
    TokioIo::new(TcpStream::connect(address).await.expect("a listener"))
}

#[tokio::test]
async fn a_request_that_never_left_the_queue_is_not_sent() {
    let peer = Peer::bind().await;
    let (mut sender, connection) = http1::handshake::<_, Body>(connect(&peer).await)
        .await
        .expect("no bytes needed");
    let queued = sender.send_request(get("/"));
    drop(connection);
    let error = queued.await.expect_err("nobody took it");
    assert_eq!(classify(&error), not_sent(FailureKind::Reset));
    let error = sender.send_request(get("/")).await;
    let error = error.expect_err("nobody is there to take it");
    assert_eq!(classify(&error), not_sent(FailureKind::Reset));
    assert_eq!(
        classify(&Wrapper(error)),
        maybe_processed(FailureKind::Reset)
    );
}

/// It is a canceled error too.
#[tokio::test]
async fn an_upgrade_that_never_came_proves_nothing() {
    let peer = Peer::bind().await;
    let (mut sender, mut connection) = http1::handshake::<_, Body>(connect(&peer).await)
        .await
        .expect("no bytes needed");
    // The connection is not handed over before the body is at its end.
    let endless = StreamBody::new(stream::pending()).boxed_unsync();
    let upgrade = async {
        let response = tokio::select! {
            response = sender.send_request(post("/", endless)) => response.expect("a head"),
            _ = &mut connection => unreachable!("the body has no end"),
        };
        drop(connection);
        hyper::upgrade::on(response).await
    };
    let error = beside(upgrade, async {
        let mut stream = peer.accept().await;
        read_head(&mut stream).await;
        let head = b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n";
        stream.write_all(head).await.unwrap();
        std::future::pending().await
    })
    .await
    .expect_err("the connection is gone");
    assert!(error.is_canceled());
    assert_eq!(classify(&error), None);
}
