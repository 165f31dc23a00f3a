//! A replay over real connections has the framing of the first pass.
#![cfg(feature = "hyper")]

mod replay_exchanges {
    mod http1;
    mod http2;
    #[cfg(feature = "reqwest")]
    mod reqwest;
}

mod support {
    #[expect(dead_code, reason = "a transport needs less of it")]
    pub(crate) mod scripted_body;
}

use std::{error::Error, net::SocketAddr, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response, Version, header, request::Parts};
use http_body::Body;
use http_body_util::{BodyExt, Empty};
use hyper::{body::Incoming, client::conn, server, service::service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::{
    io::{AsyncRead, AsyncWrite, DuplexStream, duplex},
    net::{TcpListener, TcpStream},
    sync::{
        mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
        oneshot,
    },
    task::JoinHandle,
    time::timeout,
};
use tower_failover::{
    failure::{Classify, FailureKind, KnownErrors, Stage},
    replay::{Replay, ReplayBody},
};

use support::scripted_body::{Script, ScriptedBody, Step};

/// More than any test's body.
const ROOMY: u64 = 4 << 20;

/// The flow-control window of an HTTP/2 server's streams: the protocol's default.
const WINDOW: u32 = 65_535;

/// A request that a server has the head of. It is answered when it is read or dropped.
struct Arrived {
    head: Parts,
    body: Incoming,
    answer: oneshot::Sender<()>,
}

/// What a server was sent.
struct Seen {
    head: Parts,
    /// What the body told of its length before it was read.
    length: Option<u64>,
    body: Bytes,
    trailers: Option<HeaderMap>,
}

impl Arrived {
    fn header(&self, name: header::HeaderName) -> Option<&str> {
        let value = self.head.headers.get(name)?;
        Some(value.to_str().unwrap())
    }

    /// Reads a body that ends well, and answers.
    async fn read(self) -> Seen {
        let length = self.body.size_hint().exact();
        let body = self.body.collect().await.unwrap();
        let _ = self.answer.send(());
        Seen {
            head: self.head,
            length,
            trailers: body.trailers().cloned(),
            body: body.to_bytes(),
        }
    }

    /// Reads what is sent first, in however many pieces it comes.
    async fn takes(&mut self, expected: &str) {
        let mut taken = Vec::new();
        while taken.len() < expected.len() {
            let frame = self.body.frame().await.unwrap();
            taken.extend(frame.unwrap().into_data().unwrap());
        }
        assert_eq!(taken, expected.as_bytes());
    }

    /// Reads a body to its failure: what was read before it, and the error.
    async fn fails(&mut self) -> (usize, hyper::Error) {
        let mut read = 0;
        loop {
            match self.body.frame().await {
                Some(Ok(frame)) => read += frame.data_ref().map_or(0, Bytes::len),
                Some(Err(error)) => return (read, error),
                None => panic!("a whole body of {read} bytes"),
            }
        }
    }
}

impl Seen {
    fn header(&self, name: header::HeaderName) -> Option<&str> {
        let value = self.head.headers.get(name)?;
        Some(value.to_str().unwrap())
    }
}

/// A hyper server on a port of its own.
async fn server(version: Version) -> (SocketAddr, UnboundedReceiver<Arrived>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let addr = listener.local_addr().unwrap();
    let (tell, told) = unbounded_channel();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream, version, tell.clone()));
        }
    });
    (addr, told)
}

/// A hyper server at the other end of a pipe.
fn piped(version: Version) -> (DuplexStream, UnboundedReceiver<Arrived>) {
    let (near, far) = duplex(1024);
    let (tell, told) = unbounded_channel();
    tokio::spawn(serve(far, version, tell));
    (near, told)
}

async fn serve(
    io: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    version: Version,
    tell: UnboundedSender<Arrived>,
) {
    let service = service_fn(move |request: Request<Incoming>| {
        let (head, body) = request.into_parts();
        let (answer, answered) = oneshot::channel();
        let _ = tell.send(Arrived { head, body, answer });
        async {
            let _ = answered.await;
            Ok::<_, hyper::Error>(Response::new(Empty::<Bytes>::new()))
        }
    });
    let io = TokioIo::new(io);
    // A connection that its client cuts is no failure of the server.
    let _ = if version == Version::HTTP_2 {
        server::conn::http2::Builder::new(TokioExecutor::new())
            .initial_stream_window_size(WINDOW)
            .initial_connection_window_size(WINDOW)
            .serve_connection(io, service)
            .await
    } else {
        server::conn::http1::Builder::new()
            .serve_connection(io, service)
            .await
    };
}

/// A body that hyper can send.
trait Sent: Body<Data = Bytes, Error: Error + Send + Sync> + Send + Unpin + 'static {}

impl<B: Body<Data = Bytes, Error: Error + Send + Sync> + Send + Unpin + 'static> Sent for B {}

type Exchange = JoinHandle<hyper::Result<Response<Incoming>>>;

/// Sends one request on a TCP connection of its own.
async fn send(addr: SocketAddr, request: Request<impl Sent>) -> Exchange {
    exchange(TcpStream::connect(addr).await.unwrap(), request)
}

/// Sends one request on a connection.
fn exchange(
    io: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    request: Request<impl Sent>,
) -> Exchange {
    let io = TokioIo::new(io);
    tokio::spawn(async move {
        if request.version() == Version::HTTP_2 {
            let (mut sender, connection) = conn::http2::handshake(TokioExecutor::new(), io).await?;
            tokio::spawn(connection);
            sender.send_request(request).await
        } else {
            let (mut sender, connection) = conn::http1::handshake(io).await?;
            tokio::spawn(connection);
            sender.send_request(request).await
        }
    })
}

/// Awaits an exchange that fails, and proves nothing but that its own body failed.
async fn assert_body_failed(exchange: Exchange) {
    let error = exchange.await.unwrap().unwrap_err();
    let evidence = KnownErrors.classify(&error).unwrap();
    assert_eq!(evidence.stage, Stage::MaybeProcessed, "{error:?}");
    assert_eq!(evidence.kind, FailureKind::RequestBody, "{error:?}");
}

/// Returns once nothing moves any more: a paused clock goes on only then. Pipes only; it does not
/// see what a socket has under way.
async fn idle(exchange: &mut Exchange) {
    let waited = timeout(Duration::from_secs(1), exchange).await;
    assert!(waited.is_err(), "the exchange has ended: {waited:?}");
}

fn request<B>(replay: &Replay<B>, version: Version) -> Request<ReplayBody<B>>
where
    B: Body<Error: Error + Send + Sync + 'static> + Unpin,
{
    Request::post("http://upstream.test/")
        .version(version)
        .header(header::HOST, "upstream.test")
        .header(header::TRAILER, "checksum")
        .header(header::TE, "trailers")
        .body(replay.start().unwrap())
        .unwrap()
}

fn data(bytes: impl Into<Bytes>) -> Step {
    Step::Data(bytes.into())
}

fn trailers() -> HeaderMap {
    HeaderMap::from_iter([(
        header::HeaderName::from_static("checksum"),
        HeaderValue::from_static("17"),
    )])
}

fn sized(steps: impl IntoIterator<Item = Step>, length: u64) -> (Replay<ScriptedBody>, Script) {
    let (body, script) = ScriptedBody::new(steps);
    (Replay::new(body.of_length(length), ROOMY), script)
}

fn unsized_(steps: impl IntoIterator<Item = Step>) -> (Replay<ScriptedBody>, Script) {
    let (body, script) = ScriptedBody::new(steps);
    (Replay::new(body, ROOMY), script)
}

/// Sends the body twice, and returns what the server saw.
async fn twice(replay: &Replay<ScriptedBody>, version: Version) -> [Seen; 2] {
    let (addr, mut told) = server(version).await;
    let mut seen = Vec::new();
    for _ in 0..2 {
        let exchange = send(addr, request(replay, version)).await;
        seen.push(told.recv().await.unwrap().read().await);
        exchange.await.unwrap().unwrap();
        assert!(replay.is_sent_in_full());
        replay.revoke_all();
    }
    seen.try_into().ok().unwrap()
}
