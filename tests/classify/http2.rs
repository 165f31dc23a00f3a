//! HTTP/2: what RST_STREAM and GOAWAY prove, and what they do not.

use std::future::poll_fn;

use h2::Reason;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tower_failover::failure::{Evidence, FailureKind};

use super::layers::Wrapper;
use super::support::{
    Body, Peer, beside, classify, full, get, h2, maybe_processed, post, refused_stream,
};

/// Has a peer reset the stream of a request that it read whole.
async fn reset_with(reason: Reason) -> Option<Evidence> {
    let peer = Peer::bind().await;
    let client = h2();
    beside(client.fails(post(&peer.uri, full("hello"))), async {
        let stream = peer.accept().await;
        let mut connection = h2::server::handshake(stream).await.expect("a client");
        let (request, mut respond) = connection.accept().await.expect("a stream").expect("one");
        let mut body = request.into_body();
        let read = async { while body.data().await.is_some() {} };
        let closed = poll_fn(|cx| connection.poll_closed(cx));
        tokio::pin!(closed);
        tokio::select! {
            () = read => respond.send_reset(reason),
            _ = &mut closed => panic!("the client waits"),
        }
        closed.await.expect("the client waits");
    })
    .await
}

#[tokio::test]
async fn refused_stream_is_refused() {
    assert_eq!(reset_with(Reason::REFUSED_STREAM).await, refused_stream());
}

#[tokio::test]
async fn other_resets_may_be_processed() {
    for reason in [
        Reason::NO_ERROR,
        Reason::INTERNAL_ERROR,
        Reason::CANCEL,
        Reason::ENHANCE_YOUR_CALM,
        Reason::HTTP_1_1_REQUIRED,
    ] {
        assert_eq!(
            reset_with(reason).await,
            maybe_processed(FailureKind::Reset),
            "{reason:?}"
        );
    }
}

const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const HEADERS: u8 = 1;
const ACK: u8 = 1;

/// A peer that speaks frames by hand.
struct Frames(TcpStream);

impl Frames {
    async fn handshake(mut stream: TcpStream, settings: &[u8]) -> Self {
        let mut preface = [0; 24];
        stream.read_exact(&mut preface).await.expect("a preface");
        assert_eq!(&preface, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
        let mut frames = Self(stream);
        frames.write(SETTINGS, settings).await;
        frames
    }

    async fn write(&mut self, kind: u8, payload: &[u8]) {
        let length = u8::try_from(payload.len()).expect("short");
        let mut frame = vec![0, 0, length, kind, 0, 0, 0, 0, 0];
        frame.extend_from_slice(payload);
        self.0.write_all(&frame).await.expect("the client reads");
    }

    async fn go_away(&mut self, last: u32, reason: Reason) {
        let payload = [last.to_be_bytes(), u32::from(reason).to_be_bytes()].concat();
        self.write(GOAWAY, &payload).await;
    }

    /// Reads until frames of all these types came, each with its flags among others.
    async fn read<const N: usize>(&mut self, wanted: [(u8, u8); N]) {
        let mut wanted = Vec::from(wanted);
        while !wanted.is_empty() {
            let mut head = [0; 9];
            self.0.read_exact(&mut head).await.expect("a frame");
            let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
            let mut payload = vec![0; length as usize];
            self.0.read_exact(&mut payload).await.expect("a payload");
            wanted.retain(|&(kind, flags)| head[3] != kind || head[4] & flags != flags);
        }
    }
}

/// Has a peer say GOAWAY once it read the head of the only stream, which is 1, and then close.
async fn go_away_with(last: u32, reason: Reason) -> Option<Evidence> {
    let peer = Peer::bind().await;
    let client = h2();
    beside(client.fails(get(&peer.uri)), async {
        let mut frames = Frames::handshake(peer.accept().await, &[]).await;
        frames.read([(HEADERS, 0)]).await;
        frames.go_away(last, reason).await;
        frames.0.shutdown().await.expect("open until then");
        // The end comes by FIN: unread bytes would make it a reset that overtakes the frame.
        let mut rest = Vec::new();
        let _ = frames.0.read_to_end(&mut rest).await;
    })
    .await
}

/// hyper has the same error for a stream that GOAWAY covers, if GOAWAY comes while it is being opened.
#[tokio::test]
async fn a_stream_above_the_last_one_says_so_and_proves_nothing() {
    for reason in [Reason::NO_ERROR, Reason::ENHANCE_YOUR_CALM] {
        assert_eq!(
            go_away_with(0, reason).await,
            maybe_processed(FailureKind::RefusedStream)
        );
    }
}

#[tokio::test]
async fn a_stream_that_goaway_covers_may_be_processed() {
    const GRACEFUL: u32 = (1 << 31) - 1;
    for reason in [Reason::NO_ERROR, Reason::INTERNAL_ERROR] {
        let reset = maybe_processed(FailureKind::Reset);
        assert_eq!(go_away_with(1, reason).await, reset);
        assert_eq!(go_away_with(GRACEFUL, reason).await, reset);
    }
}

/// The connection's own error says GOAWAY whatever became of the stream.
#[tokio::test]
async fn the_error_of_a_connection_proves_nothing() {
    let peer = Peer::bind().await;
    let address = peer.uri.trim_start_matches("http://").trim_end_matches('/');
    let stream = TokioIo::new(TcpStream::connect(address).await.expect("a listener"));
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake::<_, _, Body>(TokioExecutor::new(), stream)
            .await
            .expect("a preface");
    let failed = async { tokio::join!(connection, sender.send_request(get("http://peer/"))) };
    let (connection, response) = beside(failed, async {
        let mut frames = Frames::handshake(peer.accept().await, &[]).await;
        frames.read([(HEADERS, 0)]).await;
        frames.go_away(1, Reason::INTERNAL_ERROR).await;
    })
    .await;
    let of_the_stream = response.expect_err("closed");
    assert_eq!(
        classify(&of_the_stream),
        maybe_processed(FailureKind::Reset)
    );
    let error = connection.expect_err("not graceful");
    assert!(format!("{error:?}").contains("GoAway"), "{error:?}");
    assert_eq!(classify(&error), maybe_processed(FailureKind::Reset));
}

/// hyper drops its task, and reports that as its user's error. Which it is not.
#[tokio::test]
async fn a_request_that_waits_for_a_stream_is_not_its_senders_fault() {
    const MAX_CONCURRENT_STREAMS_1: [u8; 6] = [0, 3, 0, 0, 0, 1];
    let peer = Peer::bind().await;
    let client = h2();
    let (limited, wait) = tokio::sync::oneshot::channel();
    let waiting = async {
        let first = client.error(get(&peer.uri));
        let second = async {
            wait.await.expect("the peer limits streams");
            client.error(get(&peer.uri)).await
        };
        tokio::join!(first, second)
    };
    let (first, second) = beside(waiting, async {
        let stream = peer.accept().await;
        let mut frames = Frames::handshake(stream, &MAX_CONCURRENT_STREAMS_1).await;
        frames.read([(HEADERS, 0), (SETTINGS, ACK)]).await;
        limited.send(()).expect("the client waits");
        frames.write(PING, &[0; 8]).await;
        frames.read([(PING, ACK)]).await;
        frames.go_away(1, Reason::INTERNAL_ERROR).await;
    })
    .await;
    assert_eq!(classify(&first), maybe_processed(FailureKind::Reset));
    let second = classify(&second).expect("known");
    assert_eq!(second.kind, FailureKind::Reset);
}

#[tokio::test]
async fn closed_after_the_request_may_be_processed() {
    let peer = Peer::bind().await;
    let client = h2();
    let evidence = beside(client.fails(get(&peer.uri)), async {
        let mut frames = Frames::handshake(peer.accept().await, &[]).await;
        frames.read([(HEADERS, 0)]).await;
    })
    .await;
    assert_eq!(evidence, maybe_processed(FailureKind::Reset));
}

/// Whether GOAWAY or the request is first is left to chance: the record tells whether a proof was one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn goaway_at_once_is_never_a_false_proof() {
    let peer = Peer::bind().await;
    for round in 0..200 {
        let client = h2();
        let reason = [Reason::NO_ERROR, Reason::PROTOCOL_ERROR][round % 2];
        let evidence = beside(client.fails(get(&peer.uri)), async {
            let mut frames = Frames::handshake(peer.accept().await, &[]).await;
            frames.go_away(0, reason).await;
            let _ = frames.0.read_to_end(&mut Vec::new()).await;
        })
        .await;
        assert!(evidence.is_some());
    }
}

#[tokio::test]
async fn an_http1_peer_is_junk() {
    let peer = Peer::bind().await;
    let client = h2();
    let evidence = beside(client.fails(get(&peer.uri)), async {
        let mut stream = peer.accept().await;
        let answer = b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n";
        stream.write_all(answer).await.expect("the client reads");
        let _ = stream.read_to_end(&mut Vec::new()).await;
    })
    .await;
    assert_eq!(evidence, maybe_processed(FailureKind::Junk));
}

#[test]
fn a_bare_reason_proves_nothing() {
    assert_eq!(classify(&h2::Error::from(Reason::REFUSED_STREAM)), None);
}

#[tokio::test]
async fn refused_stream_of_an_h2_client() {
    let peer = Peer::bind().await;
    let address = peer.uri.trim_start_matches("http://").trim_end_matches('/');
    let stream = TcpStream::connect(address).await.expect("a listener");
    let client = async {
        let (mut sender, connection) = h2::client::handshake(stream).await.expect("a preface");
        let request = http::Request::get("http://peer/").body(()).expect("valid");
        let (response, _) = sender.send_request(request, true).expect("open");
        tokio::select! {
            response = response => response.expect_err("refused"),
            _ = connection => panic!("the stream fails first"),
        }
    };
    let error = beside(client, async {
        let stream = peer.accept().await;
        let mut connection = h2::server::handshake(stream).await.expect("a client");
        let (_, mut respond) = connection.accept().await.expect("a stream").expect("one");
        respond.send_reset(Reason::REFUSED_STREAM);
        let _ = poll_fn(|cx| connection.poll_closed(cx)).await;
    })
    .await;
    assert_eq!(classify(&error), refused_stream());
    // A body that comes from elsewhere can fail with it too.
    assert_eq!(
        classify(&Wrapper(error)),
        maybe_processed(FailureKind::RefusedStream)
    );
}
