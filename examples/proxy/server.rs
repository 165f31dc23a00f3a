//! The proxy's side towards its clients.

use std::{
    cell::RefCell,
    net::{IpAddr, SocketAddr},
    pin::pin,
    time::Duration,
};

use http::{HeaderName, HeaderValue, Request};
use hyper::{body::Incoming, server::conn::http1, service::Service as HyperService};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
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
    if tokio::time::timeout(patience, end.closed()).await.is_err() {
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
const PREFACE: &[u8] = b"PRI";

fn connection(stream: TcpStream, client: IpAddr, proxy: Proxy, mut end: watch::Receiver<()>) {
    // Without it, small writes wait for the peer's delayed acknowledgements.
    let _ = stream.set_nodelay(true);
    // Written once for all requests of a connection: to write it is dear.
    let client = HeaderValue::try_from(client.to_string()).ok();
    let proxy = RefCell::new(proxy);
    let service = Relayed { proxy, client };
    tokio::spawn(async move {
        let mut start = [0; PREFACE.len()];
        // The server's own timeouts begin when it knows which version is spoken.
        let first = tokio::time::timeout(HEAD_TIMEOUT, stream.peek(&mut start));
        let peeked = tokio::select! {
            biased;
            peeked = first => peeked,
            // It has asked for nothing.
            _ = end.changed() => return,
        };
        let Ok(Ok(peeked)) = peeked else {
            return;
        };
        let served = if PREFACE.starts_with(&start[..peeked]) {
            serve_http2(stream, service, end).await
        } else {
            serve_http1(stream, service, end).await
        };
        if let Err(error) = served {
            tracing::debug!(error, "connection ended");
        }
    });
}

/// HTTP/1 alone: to be prepared for HTTP/2 as well costs each request 500 instructions.
async fn serve_http1(
    stream: TcpStream,
    service: Relayed,
    end: watch::Receiver<()>,
) -> Result<(), BoxError> {
    let connection = http1::Builder::new()
        .timer(HeadTimer::default())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(HEAD_LIMIT)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    drive(connection, |connection| connection.graceful_shutdown(), end).await
}

/// HTTP/2, or what begins like it.
async fn serve_http2(
    stream: TcpStream,
    service: Relayed,
    end: watch::Receiver<()>,
) -> Result<(), BoxError> {
    let mut server = auto::Builder::new(TokioExecutor::new());
    server
        .http1()
        .timer(HeadTimer::default())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(HEAD_LIMIT);
    server
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(Duration::from_secs(30));
    let connection = server.serve_connection_with_upgrades(TokioIo::new(stream), service);
    drive(connection, |connection| connection.graceful_shutdown(), end).await
}

/// The proxy, for one client.
struct Relayed {
    /// A connection's requests come one after the other.
    proxy: RefCell<Proxy>,
    client: Option<HeaderValue>,
}

impl HyperService<Request<Incoming>> for Relayed {
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
