//! What both proxies of this program have in common.

use std::{
    convert::Infallible,
    net::SocketAddr,
    num::NonZeroUsize,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use bytes::Bytes;
use http_body_util::{Either, Full};
use hyper::{
    Request, Response, StatusCode, Uri,
    body::{Body, Incoming},
    header::{self, HeaderMap, HeaderName},
    http::uri::{Authority, Scheme},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioIo},
};
use tokio::{net::TcpListener, time::sleep};

/// The command line of both.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct Options {
    /// Where to listen
    #[arg(long)]
    listen: SocketAddr,
    /// How many threads serve
    #[arg(long)]
    pub(super) threads: NonZeroUsize,
    /// The upstreams
    #[arg(required = true)]
    peers: Vec<Authority>,
}

/// A response of an upstream, or of the proxy itself.
pub(super) type Answer = Response<Either<Incoming, Full<Bytes>>>;

/// The upstreams, in turn.
pub(super) struct Peers {
    all: Vec<Authority>,
    next: AtomicUsize,
}

impl Peers {
    pub(super) fn new(options: &Options) -> Self {
        Self {
            all: options.peers.clone(),
            next: AtomicUsize::new(0),
        }
    }

    /// Whose turn it is.
    pub(super) fn turn(&self) -> usize {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    /// Sends a request to the peer whose turn it is.
    pub(super) fn aim<B>(&self, request: &mut Request<B>, turn: usize) {
        let mut parts = std::mem::take(request.uri_mut()).into_parts();
        parts.scheme = Some(Scheme::HTTP);
        parts.authority = Some(self.all[turn % self.all.len()].clone());
        // One without a path cannot be sent on, and the client refuses what it is left with.
        if let Ok(uri) = Uri::from_parts(parts) {
            *request.uri_mut() = uri;
        }
    }
}

pub(super) fn client<B>() -> Client<HttpConnector, B>
where
    B: Body + Send,
    B::Data: Send,
{
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    Client::builder(TokioExecutor::new())
        // The client's own is kept.
        .set_host(false)
        .build(connector)
}

/// Takes out what is for one hop alone.
pub(super) fn strip(headers: &mut HeaderMap) {
    let names = [
        header::CONNECTION,
        HeaderName::from_static("keep-alive"),
        HeaderName::from_static("proxy-connection"),
        header::TE,
        header::TRANSFER_ENCODING,
        header::UPGRADE,
    ];
    for name in names {
        headers.remove(name);
    }
}

/// An upstream's response, ready for the client.
pub(super) fn relay(mut response: Response<Incoming>) -> Answer {
    strip(response.headers_mut());
    response.map(Either::Left)
}

/// A response of the proxy's own.
pub(super) fn own(status: StatusCode) -> Answer {
    let mut response = Response::new(Either::Right(Full::default()));
    *response.status_mut() = status;
    response
}

/// Serves HTTP/1 for as long as the process lives.
pub(super) async fn serve<H, F>(options: &Options, handler: H) -> crate::Result<()>
where
    H: Fn(Request<Incoming>) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Answer> + Send,
{
    let listener = TcpListener::bind(options.listen).await?;
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            // Out of file descriptors: others may close theirs.
            sleep(Duration::from_millis(10)).await;
            continue;
        };
        let _ = stream.set_nodelay(true);
        let handler = handler.clone();
        tokio::spawn(async move {
            let service = service_fn(|request| {
                let answer = handler(request);
                async move { Ok::<_, Infallible>(answer.await) }
            });
            let _ = http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}
