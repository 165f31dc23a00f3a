//! The example of Pingora's failover guide: a first peer, on connect failure a second, then 502.
//!
//! ```text
//! cargo run --example pingora_guide
//! ```

use std::{error::Error, io, time::Duration};

use axum::{Router, body::Body};
use http::{Request, StatusCode};
use tokio::net::{TcpListener, TcpSocket};
use tower::{ServiceBuilder, ServiceExt};
use tower_failover::{
    FailoverLayer, Policy,
    balance::{Balance, InOrder},
    failure::Failure,
    gateway::GatewayLayer,
    policy::{Attempt, Verdict},
    report::Report,
    upstream::PoolOptions,
};

// What the guide does in `new_ctx`, `fail_to_connect` and `upstream_peer`:

/// Each request has its own, as it has its own `CTX` in Pingora.
#[derive(Clone, Default)]
struct Ctx {
    tries: usize,
}

impl Policy for Ctx {
    fn fail_to_connect(&mut self, _attempt: &Attempt<'_>, _failure: &Failure) -> Verdict {
        if self.tries > 0 {
            return Verdict::deliver();
        }
        self.tries += 1;
        Verdict::failover()
    }
}

/// Sends one request through the proxy and says what became of it.
async fn proxied(first: &str, second: &str) -> Result<Outcome, Box<dyn Error>> {
    let pool = PoolOptions::new()
        .connect_timeout(Duration::from_millis(100))
        .build();
    let peers = Balance::new([pool.upstream(first)?, pool.upstream(second)?]).pick(InOrder);
    let proxy = ServiceBuilder::new()
        .layer(GatewayLayer::new())
        .layer(FailoverLayer::new(Ctx::default()))
        .service(peers);

    let response = proxy.oneshot(Request::new(Body::empty())).await?;
    let report = Report::of(response.extensions());
    Ok(Outcome {
        status: response.status(),
        attempts: report.cloned().unwrap_or_default(),
    })
}

/// What the client sees, and what went before it.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) status: StatusCode,
    pub(crate) attempts: Report,
}

/// Runs it with a second peer that answers, then with two that refuse.
pub(crate) async fn run() -> Result<[Outcome; 2], Box<dyn Error>> {
    let (answering, first, second) = (answering().await?, refusing()?, refusing()?);
    Ok([
        proxied(&url(&first)?, &answering).await?,
        proxied(&url(&first)?, &url(&second)?).await?,
    ])
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    for Outcome { status, attempts } in run().await? {
        println!("the client gets {status}");
        for attempt in attempts.attempts() {
            println!("  {attempt}");
        }
    }
    Ok(())
}

async fn answering() -> io::Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}", listener.local_addr()?);
    let router = Router::new().fallback(|| async { "hello\n" });
    tokio::spawn(async move { axum::serve(listener, router).await });
    Ok(url)
}

/// A peer that refuses every connection: its port is bound, and nobody listens.
fn refusing() -> io::Result<TcpSocket> {
    let socket = TcpSocket::new_v4()?;
    socket.bind(([127, 0, 0, 1], 0).into())?;
    Ok(socket)
}

fn url(socket: &TcpSocket) -> io::Result<String> {
    Ok(format!("http://{}", socket.local_addr()?))
}
