//! The proxy's side towards its clients.

use std::{
    net::{IpAddr, SocketAddr},
    pin::pin,
    time::Duration,
};

use http::{HeaderName, HeaderValue, Request};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{conn::auto, graceful::GracefulShutdown},
};
use tokio::net::{TcpListener, TcpStream};
use tower::Service;

use super::{Proxy, timer::HeadTimer};

/// Serves HTTP/1 and h2c until it is interrupted or told to end, then finishes what is in flight.
pub(crate) async fn serve(listener: TcpListener, proxy: Proxy) {
    let graceful = GracefulShutdown::new();
    let mut interrupted = pin!(interrupted());
    loop {
        tokio::select! {
            (stream, client) = accept(&listener) => {
                connection(stream, client.ip(), proxy.clone(), &graceful);
            }
            _ = &mut interrupted => break,
        }
    }
    drop(listener);
    let patience = Duration::from_secs(10);
    if tokio::time::timeout(patience, graceful.shutdown())
        .await
        .is_err()
    {
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

fn connection(stream: TcpStream, client: IpAddr, proxy: Proxy, graceful: &GracefulShutdown) {
    // Without it, small writes wait for the peer's delayed acknowledgements.
    let _ = stream.set_nodelay(true);
    // Written once for all requests of a connection: to write it is dear.
    let client = HeaderValue::try_from(client.to_string()).ok();
    let service = service_fn(move |mut request: Request<Incoming>| {
        if let Some(client) = &client {
            let name = HeaderName::from_static("x-forwarded-for");
            request.headers_mut().append(name, client.clone());
        }
        // A gateway over a balancer is always ready.
        proxy.clone().call(request)
    });
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
    let watcher = graceful.watcher();
    tokio::spawn(async move {
        // The server's own timeouts begin when it knows which version is spoken.
        let first = tokio::time::timeout(HEAD_TIMEOUT, stream.readable()).await;
        if !matches!(first, Ok(Ok(()))) {
            return;
        }
        let connection = server.serve_connection_with_upgrades(TokioIo::new(stream), service);
        if let Err(error) = watcher.watch(connection).await {
            tracing::debug!(error, "connection ended");
        }
    });
}
