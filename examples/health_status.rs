//! Active health checks, and a page that shows how every server is.
//!
//! ```text
//! cargo run --example health_status
//! ```

use std::{error::Error, io, time::Duration};

use axum::{Json, Router, routing::get};
use http::StatusCode;
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::mpsc};
use tower::{ServiceBuilder, ServiceExt};
use tower_failover::{
    FailoverLayer, ReplayBody,
    balance::{Balance, HealthCheck, State, StateChange},
    gateway::GatewayLayer,
    upstream::{Pool, Upstream},
};

type Peers = Balance<Upstream<ReplayBody<axum::body::Body>>>;

/// Waits until the checks have found the server down that is not well; returns what the page shows.
pub(crate) async fn run() -> Result<String, Box<dyn Error>> {
    let pool = Pool::new();
    let servers = [
        pool.upstream(&serve(StatusCode::OK).await?)?,
        pool.upstream(&serve(StatusCode::INTERNAL_SERVER_ERROR).await?)?,
    ];
    let (changes, mut changed) = mpsc::unbounded_channel();
    let peers: Peers =
        Balance::new(servers)
            .measure_latency()
            .on_state_change(move |change: &StateChange| {
                let _ = changes.send(change.to());
            });
    let check = HealthCheck::new("/healthz")?.interval(Duration::from_millis(50))?;
    tokio::spawn(peers.health_check(check));

    // The page has a clone: it is the same set.
    let shown = peers.clone();
    let upstreams = ServiceBuilder::new()
        .layer(GatewayLayer::new())
        .layer(FailoverLayer::default())
        .service(peers);
    let app: Router = Router::new()
        .route("/status", get(async move || Json(status(&shown))))
        .fallback_service(upstreams);

    while changed.recv().await != Some(State::Down) {}
    let request = http::Request::get("/status").body(axum::body::Body::empty())?;
    let response = app.oneshot(request).await?;
    let page = response.into_body().collect().await?.to_bytes();
    Ok(String::from_utf8(page.into())?)
}

fn status(peers: &Peers) -> Value {
    let peers = peers.snapshot().peers.into_iter().map(|peer| {
        json!({
            "state": peer.state.to_string(),
            "in_flight": peer.in_flight,
            "last_failure": peer.last_failure.map(|failure| failure.fault.to_string()),
        })
    });
    peers.collect()
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    println!("{}", run().await?);
    Ok(())
}

async fn serve(health: StatusCode) -> io::Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}", listener.local_addr()?);
    let app = Router::new().fallback(async move || health);
    tokio::spawn(async move { axum::serve(listener, app).await });
    Ok(url)
}
