//! What becomes of an upstream's connections, seen from their other ends.

mod connections {
    mod dead;
    mod early;
    mod http2;
    mod idle;
    mod reuse;
    mod storm;
    mod turns;
    mod upgrades;
}

use std::{
    future::{Future, Ready, ready},
    io,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response, Uri};
use http_body_util::{BodyExt, Full, combinators::BoxBody};
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::{
    client::legacy::connect::{Connected, Connection},
    rt::TokioIo,
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream},
    net::{TcpListener, TcpStream},
    sync::mpsc,
    time::timeout,
};
use tower::{Service, ServiceExt};
use tower_failover::{
    BoxError,
    upstream::{Pool, PoolOptions, Upstream, UpstreamBody},
};

/// Only a test that hangs ever meets it.
const HANGS: Duration = Duration::from_secs(60);

type Body = BoxBody<Bytes, BoxError>;
type Answer = Result<Response<UpstreamBody>, BoxError>;

fn full(text: &'static str) -> Body {
    Full::from(text).map_err(|never| match never {}).boxed()
}

fn get() -> Request<Body> {
    Request::new(full(""))
}

fn post(body: Body) -> Request<Body> {
    Request::post("/").body(body).unwrap()
}

async fn in_time<T>(future: impl Future<Output = T>) -> T {
    timeout(HANGS, future).await.expect("hangs")
}

/// Lets all other tasks, and the sockets, have their turns.
async fn settle() {
    for _ in 0..200 {
        tokio::task::yield_now().await;
    }
}

fn send(upstream: &Upstream<Body>, request: Request<Body>) -> impl Future<Output = Answer> + use<> {
    in_time(upstream.clone().oneshot(request))
}

/// Sends a request that succeeds, and reads the whole answer.
async fn read(upstream: &Upstream<Body>, request: Request<Body>) -> Bytes {
    let response = send(upstream, request).await.unwrap();
    let body = in_time(response.into_body().collect()).await;
    body.unwrap().to_bytes()
}

/// The other end of a connection.
struct End<T>(T);

impl<T: AsyncRead + AsyncWrite + Unpin> End<T> {
    /// Reads a request's head.
    async fn head(&mut self) -> String {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(in_time(self.0.read_u8()).await.unwrap());
        }
        String::from_utf8(head).unwrap()
    }

    async fn write(&mut self, text: &str) {
        in_time(self.0.write_all(text.as_bytes())).await.unwrap();
    }

    /// Answers a request without a body.
    async fn answer(&mut self) -> String {
        let head = self.head().await;
        self.write("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
            .await;
        head
    }

    /// Reads until the client closes; what it still has sent.
    async fn rest(&mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        // A reset is an end too.
        let _ = in_time(self.0.read_to_end(&mut rest)).await;
        rest
    }
}

/// A server's socket, of which the test plays the server.
struct Server(TcpListener);

impl Server {
    async fn bind() -> Self {
        Self(TcpListener::bind("127.0.0.1:0").await.unwrap())
    }

    fn upstream(&self) -> Upstream<Body> {
        let base = format!("http://{}", self.0.local_addr().unwrap());
        Pool::new().upstream(&base).unwrap()
    }

    async fn accept(&self) -> End<TcpStream> {
        End(in_time(self.0.accept()).await.unwrap().0)
    }
}

/// A connector without sockets, and so with tokio's clock.
#[derive(Clone)]
struct Wires {
    ends: mpsc::UnboundedSender<DuplexStream>,
    says: fn(Connected) -> Connected,
}

/// Where the other ends of [`Wires`] arrive.
struct Ends(mpsc::UnboundedReceiver<DuplexStream>);

impl Ends {
    async fn accept(&mut self) -> End<DuplexStream> {
        End(in_time(self.0.recv()).await.unwrap())
    }

    /// How many connections were made since.
    fn count(&mut self) -> usize {
        std::iter::from_fn(|| self.0.try_recv().ok()).count()
    }
}

fn wires(says: fn(Connected) -> Connected) -> (Wires, Ends) {
    let (sender, receiver) = mpsc::unbounded_channel();
    (Wires { ends: sender, says }, Ends(receiver))
}

/// An upstream over wires.
fn wired(options: PoolOptions) -> (Upstream<Body>, Ends) {
    let (wires, ends) = wires(|connected| connected);
    let pool = options.build_with(wires);
    (pool.upstream("http://upstream.test").unwrap(), ends)
}

impl Service<Uri> for Wires {
    type Response = Wire;
    type Error = io::Error;
    type Future = Ready<io::Result<Wire>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        let (ours, theirs) = tokio::io::duplex(64 * 1024);
        let _ = self.ends.send(theirs);
        ready(Ok(Wire {
            io: TokioIo::new(ours),
            says: self.says,
        }))
    }
}

struct Wire {
    io: TokioIo<DuplexStream>,
    says: fn(Connected) -> Connected,
}

impl Connection for Wire {
    fn connected(&self) -> Connected {
        (self.says)(Connected::new())
    }
}

impl Read for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buf)
    }
}

impl Write for Wire {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}
