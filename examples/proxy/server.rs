//! The proxy's side towards its clients.

use std::{
    cell::RefCell,
    io::{self, Cursor},
    net::{IpAddr, SocketAddr},
    pin::pin,
    time::Duration,
};

use http::{HeaderName, HeaderValue, Request};
use hyper::{
    body::Incoming,
    rt::{Read, Write},
    server::conn::{http1, http2},
    service::Service as HyperService,
};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::{
    io::{AsyncReadExt, join},
    net::{TcpListener, TcpStream},
    sync::watch,
    time::{Instant, timeout, timeout_at},
};
use tower::{BoxError, Service};

use super::{Proxy, ending::drive, timer::HeadTimer};

/// Serves HTTP/1 and h2c until it is interrupted or told to end, then finishes what is in flight.
pub(crate) async fn serve(listener: TcpListener, proxy: Proxy) {
    // Each connection has a receiver until it is closed.
    let end = watch::Sender::new(());
    let mut interrupted = pin!(interrupted());
    loop {
        tokio::select! {
            (stream, client) = accept(&listener) => {
                connection(stream, client.ip(), proxy.clone(), end.subscribe());
            }
            _ = &mut interrupted => break,
        }
    }
    drop(listener);
    end.send_replace(());
    let patience = Duration::from_secs(10);
    if timeout(patience, end.closed()).await.is_err() {
        tracing::warn!("connections were still open after {patience:?}");
    }
}

/// Waits for Ctrl-C or, where there is such a thing, for what a container is stopped with.
async fn interrupted() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let Ok(mut end) = signal(SignalKind::terminate()) {
            tokio::select! {
                _ = end.recv() => {}
                _ = tokio::signal::ctrl_c() => {}
            }
            return;
        }
    }
    let _ = tokio::signal::ctrl_c().await;
}

/// Waits for the next connection.
pub(crate) async fn accept(listener: &TcpListener) -> (TcpStream, SocketAddr) {
    loop {
        match listener.accept().await {
            Ok(accepted) => return accepted,
            Err(error) => {
                // Out of file descriptors, mostly: those in use become free in time.
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

/// How long a client may take for its first byte, and for a request's head.
const HEAD_TIMEOUT: Duration = Duration::from_secs(60);

/// The most bytes of a request's head in HTTP/1; in HTTP/2 it is hyper's 16 KiB.
///
/// An upstream that finds one too large in HTTP/2 may end the whole connection, and with it the requests of all other
/// clients; hyper does from 96 KiB on.
const HEAD_LIMIT: usize = 64 * 1024;

/// What a connection in HTTP/2 begins with. No method of HTTP/1 is called so.
const PREFACE: [u8; 24] = *b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

fn connection(stream: TcpStream, client: IpAddr, proxy: Proxy, mut end: watch::Receiver<()>) {
    // Without it, small writes wait for the peer's delayed acknowledgements.
    let _ = stream.set_nodelay(true);
    // Written once for all requests of a connection: to write it is dear.
    let client = HeaderValue::try_from(client.to_string()).ok();
    let proxy = RefCell::new(proxy);
    let service = ForClient { proxy, client };
    tokio::spawn(async move {
        // The server's own timeouts begin when it knows which version is spoken.
        let deadline = Instant::now() + HEAD_TIMEOUT;
        let mut start = [0; 3];
        let first = timeout_at(deadline, stream.peek(&mut start));
        let peeked = tokio::select! {
            // What has come is served.
            biased;
            peeked = first => peeked,
            // It has asked for nothing.
            _ = end.changed() => return,
        };
        let Ok(Ok(peeked)) = peeked else {
            return;
        };
        let served = if PREFACE.starts_with(&start[..peeked]) {
            serve_either(stream, deadline, service, end).await
        } else {
            serve_http1(TokioIo::new(stream), service, end).await
        };
        if let Err(error) = served {
            tracing::debug!(error, "connection ended");
        }
    });
}

/// HTTP/2, or what begins like it; which one is to be known by the deadline.
async fn serve_either(
    mut stream: TcpStream,
    deadline: Instant,
    service: ForClient,
    mut end: watch::Receiver<()>,
) -> Result<(), BoxError> {
    let mut start = Vec::with_capacity(PREFACE.len());
    let read = async {
        while start.len() < PREFACE.len() && PREFACE.starts_with(&start) {
            let mut rest = (&mut stream).take((PREFACE.len() - start.len()) as u64);
            if rest.read_buf(&mut start).await? == 0 {
                break;
            }
        }
        io::Result::Ok(())
    };
    tokio::select! {
        biased;
        read = timeout_at(deadline, read) => read??,
        _ = end.changed() => return Ok(()),
    }
    let is_http2 = start == PREFACE;
    let (rest, write) = stream.into_split();
    let io = TokioIo::new(join(Cursor::new(start).chain(rest), write));
    if !is_http2 {
        return serve_http1(io, service, end).await;
    }
    let connection = http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .keep_alive_interval(Duration::from_secs(30))
        .serve_connection(io, service);
    drive(connection, |connection| connection.graceful_shutdown(), end).await
}

async fn serve_http1<T>(io: T, service: ForClient, end: watch::Receiver<()>) -> Result<(), BoxError>
where
    T: Read + Write + Unpin + Send + 'static,
{
    let connection = http1::Builder::new()
        .timer(HeadTimer::default())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(HEAD_LIMIT)
        .serve_connection(io, service)
        .with_upgrades();
    drive(connection, |connection| connection.graceful_shutdown(), end).await
}

/// The proxy, as one client sees it.
struct ForClient {
    /// A connection's task makes one call at a time.
    proxy: RefCell<Proxy>,
    client: Option<HeaderValue>,
}

impl HyperService<Request<Incoming>> for ForClient {
    type Response = <Proxy as Service<Request<Incoming>>>::Response;
    type Error = <Proxy as Service<Request<Incoming>>>::Error;
    type Future = <Proxy as Service<Request<Incoming>>>::Future;

    fn call(&self, mut request: Request<Incoming>) -> Self::Future {
        if let Some(client) = &self.client {
            let name = HeaderName::from_static("x-forwarded-for");
            request.headers_mut().append(name, client.clone());
        }
        // A gateway over a balancer is always ready.
        self.proxy.borrow_mut().call(request)
    }
}
