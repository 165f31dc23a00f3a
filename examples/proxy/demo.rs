//! Upstreams of the proxy's own, to show what it does.

use std::{
    convert::Infallible,
    error::Error,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use http::{Request, Response, StatusCode};
use http_body_util::Full;
use hyper::{
    body::{Bytes, Incoming},
    service::service_fn,
};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
};
use tokio::net::{TcpListener, TcpSocket};

/// Three upstreams, of which one is well.
pub(crate) struct Demo {
    healthy: SocketAddr,
    flaky: SocketAddr,
    /// Bound and not listening: it refuses, and nobody else can get its port.
    refusing: TcpSocket,
}

impl Demo {
    pub(crate) async fn start() -> Result<Self, Box<dyn Error>> {
        let refusing = TcpSocket::new_v4()?;
        refusing.bind(SocketAddr::from(([127, 0, 0, 1], 0)))?;
        Ok(Self {
            healthy: upstream(|_| (StatusCode::OK, "hello from the healthy upstream\n")).await?,
            flaky: upstream(|request| match request % 2 {
                0 => (StatusCode::SERVICE_UNAVAILABLE, "not now\n"),
                _ => (StatusCode::OK, "hello from the flaky upstream\n"),
            })
            .await?,
            refusing,
        })
    }

    pub(crate) fn urls(&self) -> Vec<String> {
        let refusing = self.refusing.local_addr().into_iter();
        let all = refusing.chain([self.flaky, self.healthy]);
        all.map(|addr| format!("http://{addr}")).collect()
    }

    pub(crate) fn explain(&self, listen: SocketAddr) {
        println!("upstreams:");
        let what = [
            "refuses every connection",
            "answers 503 to every other request",
            "is well",
        ];
        for (url, what) in self.urls().iter().zip(what) {
            println!("  {url}  {what}");
        }
        println!("try, several times:\n  curl -i http://{listen}/");
    }
}

/// An upstream that answers by the number of the request.
async fn upstream(answer: fn(usize) -> (StatusCode, &'static str)) -> std::io::Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let addr = listener.local_addr()?;
    tokio::spawn(async move {
        let requests = Arc::new(AtomicUsize::new(0));
        while let Ok((stream, _)) = listener.accept().await {
            let requests = Arc::clone(&requests);
            let service = service_fn(move |_: Request<Incoming>| {
                let (status, text) = answer(requests.fetch_add(1, Ordering::Relaxed));
                let mut response = Response::new(Full::new(Bytes::from_static(text.as_bytes())));
                *response.status_mut() = status;
                async { Ok::<_, Infallible>(response) }
            });
            tokio::spawn(async move {
                let server = auto::Builder::new(TokioExecutor::new());
                server.serve_connection(TokioIo::new(stream), service).await
            });
        }
    });
    Ok(addr)
}
