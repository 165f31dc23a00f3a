//! Clients that record, and peers that follow a script.
#![allow(dead_code, unreachable_pub)] // Each feature set uses another part.

use std::error::Error;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Uri};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::client::legacy::connect::{Connected, Connection, HttpConnector};
use hyper_util::client::legacy::{Builder, Client};
use hyper_util::rt::TokioExecutor;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tower::Service;
use tower_failover::failure::{Classify, Evidence, FailureKind, KnownErrors, Stage};

pub type BoxError = Box<dyn Error + Send + Sync>;
pub type Body = UnsyncBoxBody<Bytes, BoxError>;

/// Only a test that hangs ever meets it.
const HANGS: Duration = Duration::from_secs(60);

pub fn not_sent(kind: FailureKind) -> Option<Evidence> {
    evidence(Stage::NotSent, kind)
}

pub fn refused_stream() -> Option<Evidence> {
    evidence(Stage::Refused, FailureKind::RefusedStream)
}

pub fn maybe_processed(kind: FailureKind) -> Option<Evidence> {
    evidence(Stage::MaybeProcessed, kind)
}

fn evidence(stage: Stage, kind: FailureKind) -> Option<Evidence> {
    // `Evidence` is made through the classifier's eyes only, so that it can grow.
    Some(Evidence { stage, kind })
}

/// Prints the chain, which `--nocapture` shows, and classifies it.
pub fn classify(error: &(dyn Error + 'static)) -> Option<Evidence> {
    let evidence = KnownErrors.classify(error);
    let test = std::thread::current();
    println!("{}: {error:?} => {evidence:?}", test.name().unwrap_or("?"));
    evidence
}

/// Runs a peer beside a client, until the client is done.
pub async fn beside<T>(client: impl Future<Output = T>, peer: impl Future<Output = ()>) -> T {
    let done = async {
        peer.await;
        std::future::pending::<()>().await;
    };
    let both = async {
        tokio::select! {
            done = client => done,
            () = done => unreachable!("it never ends"),
        }
    };
    tokio::time::timeout(HANGS, both).await.expect("hangs")
}

pub fn empty() -> Body {
    full("")
}

pub fn full(text: &'static str) -> Body {
    Full::new(Bytes::from(text))
        .map_err(|never| match never {})
        .boxed_unsync()
}

pub fn get(uri: &str) -> Request<Body> {
    Request::get(uri).body(empty()).expect("a request")
}

pub fn post(uri: &str, body: Body) -> Request<Body> {
    Request::post(uri).body(body).expect("a request")
}

/// What the client wrote, one entry a connection, above TLS.
#[derive(Clone, Debug, Default)]
pub struct Wire(Arc<Mutex<Vec<Vec<u8>>>>);

impl Wire {
    /// Whether any part of a request was written: any byte of HTTP/1, or any HEADERS frame of HTTP/2.
    pub fn carried_request(&self) -> bool {
        let connections = self.0.lock().expect("not poisoned");
        connections.iter().any(|written| {
            const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
            match written.strip_prefix(PREFACE) {
                Some(frames) => carried_headers(frames),
                None => !written.is_empty() && !PREFACE.starts_with(written),
            }
        })
    }

    pub fn connections(&self) -> usize {
        self.0.lock().expect("not poisoned").len()
    }
}

fn carried_headers(mut frames: &[u8]) -> bool {
    while let [a, b, c, kind, rest @ ..] = frames {
        if *kind == 1 {
            return true;
        }
        let length = usize::from(*a) << 16 | usize::from(*b) << 8 | usize::from(*c);
        frames = rest.get(5 + length..).unwrap_or_default();
    }
    false
}

/// A client, and the record of what it wrote.
pub struct Recording<C> {
    pub client: Client<Recorder<C>, Body>,
    pub wire: Wire,
}

pub fn h1() -> Recording<HttpConnector> {
    over(HttpConnector::new(), |_| ())
}

pub fn h2() -> Recording<HttpConnector> {
    over(HttpConnector::new(), |builder| {
        builder.http2_only(true);
    })
}

pub fn over<C>(connector: C, set: impl FnOnce(&mut Builder)) -> Recording<C>
where
    Recorder<C>: hyper_util::client::legacy::connect::Connect + Clone,
{
    let wire = Wire::default();
    let mut builder = Client::builder(TokioExecutor::new());
    set(&mut builder);
    let client = builder.build(Recorder {
        inner: connector,
        wire: wire.clone(),
    });
    Recording { client, wire }
}

impl<C> Recording<C>
where
    Recorder<C>: hyper_util::client::legacy::connect::Connect + Clone + Send + Sync + 'static,
{
    pub async fn error(&self, request: Request<Body>) -> hyper_util::client::legacy::Error {
        self.client
            .request(request)
            .await
            .expect_err("the peer does not answer")
    }

    /// Sends a request that fails, reads its error, and holds `NotSent` against the record.
    pub async fn fails(&self, request: Request<Body>) -> Option<Evidence> {
        let error = self.error(request).await;
        let evidence = classify(&error);
        if evidence.is_some_and(|evidence| evidence.stage == Stage::NotSent) {
            assert!(!self.wire.carried_request(), "sent all the same: {error:?}");
        }
        evidence
    }
}

/// A connector that records what is written to its connections.
#[derive(Clone, Debug)]
pub struct Recorder<C> {
    inner: C,
    wire: Wire,
}

impl<C> Service<Uri> for Recorder<C>
where
    C: Service<Uri>,
    C::Future: Send + 'static,
{
    type Response = RecorderIo<C::Response>;
    type Error = C::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, C::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), C::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, dst: Uri) -> Self::Future {
        let connecting = self.inner.call(dst);
        let wire = self.wire.clone();
        Box::pin(async move {
            let inner = connecting.await?;
            let mut connections = wire.0.lock().expect("not poisoned");
            connections.push(Vec::new());
            let at = connections.len() - 1;
            drop(connections);
            Ok(RecorderIo { inner, wire, at })
        })
    }
}

#[derive(Debug)]
pub struct RecorderIo<T> {
    inner: T,
    wire: Wire,
    at: usize,
}

impl<T: Connection> Connection for RecorderIo<T> {
    fn connected(&self) -> Connected {
        self.inner.connected()
    }
}

impl<T: Read + Unpin> Read for RecorderIo<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(cx, buf)
    }
}

impl<T: Write + Unpin> Write for RecorderIo<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.inner).poll_write(cx, buf);
        if let Poll::Ready(Ok(written)) = written {
            let mut connections = self.wire.0.lock().expect("not poisoned");
            connections[self.at].extend_from_slice(&buf[..written]);
        }
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

/// A listener on loopback.
pub struct Peer {
    listener: TcpListener,
    pub uri: String,
}

impl Peer {
    pub async fn bind() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback");
        let address = listener.local_addr().expect("bound");
        let uri = format!("http://{address}/");
        Self { listener, uri }
    }

    pub async fn accept(&self) -> TcpStream {
        self.listener.accept().await.expect("a client").0
    }
}

/// A port that is bound, so that nobody else takes it, and refuses.
pub struct Closed {
    _socket: TcpSocket,
    pub uri: String,
}

impl Closed {
    pub fn bind() -> Self {
        let socket = TcpSocket::new_v4().expect("a socket");
        let any = "127.0.0.1:0".parse().expect("an address");
        socket.bind(any).expect("loopback");
        let address = socket.local_addr().expect("bound");
        let uri = format!("http://{address}/");
        Self {
            _socket: socket,
            uri,
        }
    }
}

/// A port whose backlog is full: connecting neither succeeds nor fails. Needs tokio's paused clock.
pub struct Deaf {
    _listener: TcpListener,
    _queued: Vec<TcpStream>,
    pub uri: String,
}

impl Deaf {
    pub async fn bind() -> Self {
        let socket = TcpSocket::new_v4().expect("a socket");
        let any = "127.0.0.1:0".parse().expect("an address");
        socket.bind(any).expect("loopback");
        let address = socket.local_addr().expect("bound");
        let listener = socket.listen(1).expect("listening");
        let mut queued = Vec::new();
        let mut unanswered = 0;
        while unanswered < 3 {
            let connecting = TcpStream::connect(address);
            match tokio::time::timeout(Duration::from_secs(1), connecting).await {
                Ok(stream) => queued.push(stream.expect("queued")),
                Err(_) => unanswered += 1,
            }
        }
        Self {
            _listener: listener,
            _queued: queued,
            uri: format!("http://{address}/"),
        }
    }
}

/// Reads until `end` came, and panics if it does not come.
pub async fn read_until(stream: &mut (impl AsyncRead + Unpin), end: &str) {
    let mut seen = Vec::new();
    while !seen.ends_with(end.as_bytes()) {
        seen.push(stream.read_u8().await.expect("a whole request"));
    }
}

/// Reads the head of a request without a body.
pub async fn read_head(stream: &mut (impl AsyncRead + Unpin)) {
    read_until(stream, "\r\n\r\n").await;
}

/// Answers with an empty 200 and keeps the connection.
pub async fn answer(stream: &mut TcpStream) {
    let head = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
    stream.write_all(head).await.expect("the client reads");
}
