//! A replay over real connections has the framing of the first pass.
#![cfg(feature = "hyper")]

mod support {
    #[expect(dead_code, reason = "a transport needs less of it")]
    pub(crate) mod scripted_body;
}

use std::{future::Future, net::SocketAddr};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response, Version, header, request::Parts};
use http_body_util::{BodyExt, Empty};
use hyper::{body::Incoming, client::conn, server, service::service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::{
    io::AsyncReadExt,
    net::{TcpListener, TcpStream},
    sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
};
use tower_failover::replay::{Replay, ReplayBody};

use support::scripted_body::{Script, ScriptedBody, Step};

/// What a server was sent.
struct Seen {
    head: Parts,
    /// What the body told of its length before it was read.
    length: Option<u64>,
    body: Bytes,
    trailers: Option<HeaderMap>,
}

impl Seen {
    fn header(&self, name: header::HeaderName) -> Option<&str> {
        let value = self.head.headers.get(name)?;
        Some(value.to_str().unwrap())
    }
}

async fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let addr = listener.local_addr().unwrap();
    (listener, addr)
}

/// A hyper server that tells what it was sent.
async fn server(version: Version) -> (SocketAddr, UnboundedReceiver<Seen>) {
    let (listener, addr) = listen().await;
    let (tell, told) = unbounded_channel();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream, version, tell.clone()));
        }
    });
    (addr, told)
}

async fn serve(stream: TcpStream, version: Version, tell: UnboundedSender<Seen>) {
    let service = service_fn(move |request: Request<Incoming>| {
        let tell = tell.clone();
        async move {
            let (head, body) = request.into_parts();
            let length = http_body::Body::size_hint(&body).exact();
            let body = body.collect().await?;
            let trailers = body.trailers().cloned();
            let body = body.to_bytes();
            let _ = tell.send(Seen {
                head,
                length,
                body,
                trailers,
            });
            Ok::<_, hyper::Error>(Response::new(Empty::<Bytes>::new()))
        }
    });
    let io = TokioIo::new(stream);
    // A connection that its client cuts is no failure of the server.
    let _ = if version == Version::HTTP_2 {
        let http2 = server::conn::http2::Builder::new(TokioExecutor::new());
        http2.serve_connection(io, service).await
    } else {
        server::conn::http1::Builder::new()
            .serve_connection(io, service)
            .await
    };
}

type Body = ReplayBody<ScriptedBody>;

/// Sends one request on a connection of its own.
async fn send(
    addr: SocketAddr,
    version: Version,
    request: Request<Body>,
) -> hyper::Result<Response<Incoming>> {
    let io = TokioIo::new(TcpStream::connect(addr).await.unwrap());
    if version == Version::HTTP_2 {
        let (mut sender, connection) = conn::http2::handshake(TokioExecutor::new(), io).await?;
        tokio::spawn(connection);
        sender.send_request(request).await
    } else {
        let (mut sender, connection) = conn::http1::handshake(io).await?;
        tokio::spawn(connection);
        sender.send_request(request).await
    }
}

fn request(replay: &Replay<ScriptedBody>, version: Version) -> Request<Body> {
    Request::post("http://upstream.test/")
        .version(version)
        .header(header::HOST, "upstream.test")
        .header(header::TRAILER, "checksum")
        .header(header::TE, "trailers")
        .body(replay.start().unwrap())
        .unwrap()
}

fn data(text: &'static str) -> Step {
    Step::Data(Bytes::from_static(text.as_bytes()))
}

fn trailers() -> HeaderMap {
    HeaderMap::from_iter([(
        header::HeaderName::from_static("checksum"),
        HeaderValue::from_static("17"),
    )])
}

fn sized(steps: impl IntoIterator<Item = Step>, length: u64) -> (Replay<ScriptedBody>, Script) {
    let (body, script) = ScriptedBody::new(steps);
    (Replay::new(body.of_length(length), 1 << 20), script)
}

fn unsized_(steps: impl IntoIterator<Item = Step>) -> (Replay<ScriptedBody>, Script) {
    let (body, script) = ScriptedBody::new(steps);
    (Replay::new(body, 1 << 20), script)
}

/// Sends the body twice, and returns what the server saw.
async fn twice(replay: &Replay<ScriptedBody>, version: Version) -> [Seen; 2] {
    let (addr, mut told) = server(version).await;
    let mut seen = Vec::new();
    for _ in 0..2 {
        send(addr, version, request(replay, version)).await.unwrap();
        assert!(replay.is_sent_in_full());
        replay.revoke_all();
        seen.push(told.recv().await.unwrap());
    }
    seen.try_into().ok().unwrap()
}

#[tokio::test]
async fn http1_replay_keeps_content_length() {
    let (replay, _script) = sized([data("one "), data("two"), Step::End], 7);
    for seen in twice(&replay, Version::HTTP_11).await {
        assert_eq!(seen.header(header::CONTENT_LENGTH), Some("7"));
        assert_eq!(seen.header(header::TRANSFER_ENCODING), None);
        assert_eq!(seen.body, "one two");
    }
}

#[tokio::test]
async fn http1_chunked_stays_chunked_while_the_length_is_unknown() {
    let (replay, script) = unsized_([data("one ")]);
    let (gone, refused) = cut_after_head().await;
    send(gone, Version::HTTP_11, request(&replay, Version::HTTP_11))
        .await
        .unwrap_err();
    refused.await;
    replay.revoke_all();
    let (addr, mut told) = server(Version::HTTP_11).await;
    let second = tokio::spawn(send(
        addr,
        Version::HTTP_11,
        request(&replay, Version::HTTP_11),
    ));
    script.push(data("two"));
    script.push(Step::End);
    second.await.unwrap().unwrap();
    let seen = told.recv().await.unwrap();
    assert_eq!(seen.header(header::TRANSFER_ENCODING), Some("chunked"));
    assert_eq!(seen.header(header::CONTENT_LENGTH), None);
    assert_eq!(seen.body, "one two");
}

#[tokio::test]
async fn http1_replay_of_a_cut_upload_is_whole() {
    let (replay, script) = sized([data("one ")], 7);
    let (gone, cut) = cut_after_head().await;
    send(gone, Version::HTTP_11, request(&replay, Version::HTTP_11))
        .await
        .unwrap_err();
    cut.await;
    assert!(!replay.is_sent_in_full());
    replay.revoke_all();
    script.push(data("two"));
    script.push(Step::End);
    let (addr, mut told) = server(Version::HTTP_11).await;
    send(addr, Version::HTTP_11, request(&replay, Version::HTTP_11))
        .await
        .unwrap();
    let seen = told.recv().await.unwrap();
    assert_eq!(seen.header(header::CONTENT_LENGTH), Some("7"));
    assert_eq!(seen.body, "one two");
}

/// A server that closes its connection at the first byte that it reads.
async fn cut_after_head() -> (SocketAddr, impl Future<Output = ()>) {
    let (listener, addr) = listen().await;
    let task = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.read_u8().await.unwrap();
    });
    (addr, async { task.await.unwrap() })
}

#[tokio::test]
async fn http1_replay_has_its_trailers() {
    let (replay, _script) = unsized_([data("one"), Step::Trailers(trailers()), Step::End]);
    for seen in twice(&replay, Version::HTTP_11).await {
        assert_eq!(seen.header(header::TRANSFER_ENCODING), Some("chunked"));
        assert_eq!(seen.trailers, Some(trailers()));
        assert_eq!(seen.body, "one");
    }
}

#[tokio::test]
async fn http1_replay_has_its_trailers_though_the_length_is_known_by_then() {
    let (replay, _script) = unsized_([data("one"), Step::Trailers(trailers()), Step::End]);
    replay.start().unwrap().collect().await.unwrap();
    for seen in twice(&replay, Version::HTTP_11).await {
        assert_eq!(seen.trailers, Some(trailers()));
        assert_eq!(seen.body, "one");
    }
}

#[tokio::test]
async fn http2_replay_keeps_content_length_and_trailers() {
    let steps = [data("one"), Step::Trailers(trailers()), Step::End];
    let (replay, _script) = sized(steps, 3);
    for seen in twice(&replay, Version::HTTP_2).await {
        assert_eq!(seen.header(header::CONTENT_LENGTH), Some("3"));
        assert_eq!(seen.length, Some(3));
        assert_eq!(seen.trailers, Some(trailers()));
        assert_eq!(seen.body, "one");
    }
}

#[tokio::test]
async fn http2_replay_has_its_trailers() {
    let (replay, _script) = unsized_([data("one"), Step::Trailers(trailers()), Step::End]);
    for seen in twice(&replay, Version::HTTP_2).await {
        assert_eq!(seen.header(header::CONTENT_LENGTH), None);
        assert_eq!(seen.trailers, Some(trailers()));
        assert_eq!(seen.body, "one");
    }
}

/// Accepts a connection that speaks HTTP/2 frame by frame.
async fn accept(listener: TcpListener) -> h2::server::Connection<TcpStream, Bytes> {
    let (stream, _) = listener.accept().await.unwrap();
    h2::server::handshake(stream).await.unwrap()
}

#[tokio::test]
async fn http2_last_frame_of_a_replay_ends_the_stream() {
    let (replay, _script) = sized([data("one"), Step::End], 3);
    let (addr, mut told) = server(Version::HTTP_2).await;
    send(addr, Version::HTTP_2, request(&replay, Version::HTTP_2))
        .await
        .unwrap();
    told.recv().await.unwrap();
    replay.revoke_all();

    let (listener, addr) = listen().await;
    let second = tokio::spawn(send(
        addr,
        Version::HTTP_2,
        request(&replay, Version::HTTP_2),
    ));
    let mut connection = accept(listener).await;
    let (request, mut respond) = connection.accept().await.unwrap().unwrap();
    let drive = tokio::spawn(async move { while connection.accept().await.is_some() {} });
    let mut body = request.into_body();
    assert!(!body.is_end_stream());
    assert_eq!(body.data().await.unwrap().unwrap(), "one");
    assert!(body.is_end_stream());
    respond.send_response(Response::new(()), true).unwrap();
    second.await.unwrap().unwrap();
    drive.abort();
}

#[tokio::test]
async fn http2_stream_of_a_revoked_handle_is_reset_and_the_new_one_is_whole() {
    let (replay, script) = unsized_([data("one ")]);
    let (listener, addr) = listen().await;
    let io = TokioIo::new(TcpStream::connect(addr).await.unwrap());
    let (accepted, handshake) = tokio::join!(
        accept(listener),
        conn::http2::handshake(TokioExecutor::new(), io),
    );
    let (mut sender, client) = handshake.unwrap();
    tokio::spawn(client);
    let (streams, mut stream) = unbounded_channel();
    let mut connection = accepted;
    tokio::spawn(async move {
        while let Some(Ok(accepted)) = connection.accept().await {
            let _ = streams.send(accepted);
        }
    });

    let first = tokio::spawn(sender.send_request(request(&replay, Version::HTTP_2)));
    let (old, _old_respond) = stream.recv().await.unwrap();
    let mut old = old.into_body();
    assert_eq!(old.data().await.unwrap().unwrap(), "one ");
    replay.revoke_all();
    let second = tokio::spawn(sender.send_request(request(&replay, Version::HTTP_2)));
    let reset = old.data().await.unwrap().unwrap_err();
    assert!(reset.is_reset() && reset.is_remote(), "{reset:?}");
    assert!(first.await.unwrap().is_err());

    script.push(data("two"));
    script.push(Step::End);
    let (new, mut respond) = stream.recv().await.unwrap();
    let mut new = new.into_body();
    let mut whole = Vec::new();
    while let Some(data) = new.data().await {
        let data = data.unwrap();
        new.flow_control().release_capacity(data.len()).unwrap();
        whole.extend_from_slice(&data);
    }
    assert_eq!(whole, b"one two");
    respond.send_response(Response::new(()), true).unwrap();
    second.await.unwrap().unwrap();
}
