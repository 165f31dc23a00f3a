//! The `proxy` example as a process, as its users run it.

mod support {
    pub(crate) mod scripted;
}

mod proxy_example {
    mod admin;
    mod arguments;
    mod balancing;
    mod connections;
    mod ejecting;
    mod exchanges;
    mod failing_over;
    mod health;
    mod settings;
    mod threads;
}

use std::{
    net::SocketAddr,
    process::Stdio,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
};
use tokio::{
    io::{AsyncBufReadExt, BufReader, Lines},
    net::{TcpListener, TcpSocket},
    process::{Child, ChildStdout, Command},
    sync::Notify,
    time::timeout,
};

/// Longer than anything here takes; a test that runs into it has failed.
const PATIENCE: Duration = Duration::from_secs(20);

/// The proxy with these arguments and no others.
fn command(arguments: &[&str]) -> Command {
    let mut path = std::env::current_exe().unwrap();
    path.pop();
    path.pop();
    path.push("examples/proxy");
    assert!(path.exists(), "first: cargo build --example proxy");
    let mut command = Command::new(path);
    command.args(arguments).kill_on_drop(true);
    command
}

/// A running proxy; dropping it kills it.
struct Proxy {
    child: Child,
    addr: SocketAddr,
    stdout: Lines<BufReader<ChildStdout>>,
}

impl Proxy {
    async fn start(arguments: &[&str]) -> Self {
        let mut child = command(arguments)
            .args(["--listen", "127.0.0.1:0"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap()).lines();
        let line = timeout(PATIENCE, stdout.next_line())
            .await
            .unwrap()
            .unwrap()
            .unwrap();
        let addr = line.strip_prefix("listening on http://").unwrap();
        Self {
            child,
            addr: addr.parse().unwrap(),
            stdout,
        }
    }

    /// A proxy before the upstreams at these addresses, with more arguments.
    async fn before(upstreams: &[SocketAddr], arguments: &[&str]) -> Self {
        let urls: Vec<String> = upstreams
            .iter()
            .map(|addr| format!("http://{addr}"))
            .collect();
        let urls = urls.iter().flat_map(|url| ["--upstream", url]);
        let in_order = ["--balance", "in-order"];
        let all: Vec<&str> = urls
            .chain(in_order)
            .chain(arguments.iter().copied())
            .collect();
        Self::start(&all).await
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.addr)
    }

    /// Sends one request; what comes back is its status and body.
    async fn send(&self, request: http::request::Builder, body: &'static [u8]) -> (u16, Bytes) {
        let request = request.body(Full::<Bytes>::from(body)).unwrap();
        let response = timeout(PATIENCE, client().request(request))
            .await
            .unwrap()
            .unwrap();
        let status = response.status().as_u16();
        (
            status,
            response.into_body().collect().await.unwrap().to_bytes(),
        )
    }

    async fn get(&self, path: &str) -> (u16, Bytes) {
        self.send(Request::get(self.url(path)), b"").await
    }
}

fn client<B>() -> Client<HttpConnector, B>
where
    B: http_body::Body + Send,
    B::Data: Send,
{
    Client::builder(TokioExecutor::new()).build_http()
}

/// A port that is bound and not listening: it refuses, and nobody else is given it.
fn refusing() -> (TcpSocket, SocketAddr) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
    let addr = socket.local_addr().unwrap();
    (socket, addr)
}

/// A server that holds each answer back until it may finish.
struct Holding {
    addr: SocketAddr,
    requests: Arc<AtomicUsize>,
    begun: Arc<Notify>,
    finish: Arc<Notify>,
}

impl Holding {
    async fn start() -> Self {
        let [begun, finish] = [(); 2].map(|()| Arc::new(Notify::new()));
        let (at, go) = (Arc::clone(&begun), Arc::clone(&finish));
        let (addr, requests) = server(move |_| {
            let (at, go) = (Arc::clone(&at), Arc::clone(&go));
            async move {
                at.notify_one();
                go.notified().await;
                Response::new(Full::from("finished"))
            }
        })
        .await;
        Self {
            addr,
            requests,
            begun,
            finish,
        }
    }
}

/// A hyper server of HTTP/1 and h2c, and how many requests it has got.
async fn server<F, A>(answer: F) -> (SocketAddr, Arc<AtomicUsize>)
where
    F: Fn(Request<Incoming>) -> A + Clone + Send + Sync + 'static,
    A: Future<Output = Response<Full<Bytes>>> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let requests = Arc::<AtomicUsize>::default();
    let count = Arc::clone(&requests);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (answer, count) = (answer.clone(), Arc::clone(&count));
            let service = service_fn(move |request| {
                count.fetch_add(1, Ordering::Relaxed);
                let answer = answer(request);
                async move { Ok::<_, std::convert::Infallible>(answer.await) }
            });
            tokio::spawn(async move {
                let server = auto::Builder::new(TokioExecutor::new());
                server.serve_connection(TokioIo::new(stream), service).await
            });
        }
    });
    (addr, requests)
}

/// Answers with the request's body.
async fn echo(request: Request<Incoming>) -> Response<Full<Bytes>> {
    let body = request.into_body().collect().await;
    Response::new(Full::new(
        body.map(|body| body.to_bytes()).unwrap_or_default(),
    ))
}
