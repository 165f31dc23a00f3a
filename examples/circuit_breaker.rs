//! A circuit breaker: five failures in a row open it, then one request at a time shows whether the server is well
//! again, and three successes close it.
//!
//! ```text
//! cargo run --example circuit_breaker
//! ```

use std::{
    error::Error,
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
        mpsc,
    },
    time::Duration,
};

use axum::Router;
use http::{Request, StatusCode};
use http_body_util::BodyExt;
use tokio::net::TcpListener;
use tower::{ServiceBuilder, ServiceExt};
use tower_failover::{
    FailoverLayer,
    balance::{Balance, Breaker, Endpoint, InOrder, StateChange},
    upstream::Pool,
};

/// For how long it stays open: 30 seconds by default.
const OPEN_FOR: Duration = Duration::from_millis(100);

/// Sends requests while the first server is sick, and when it is well again; returns what happened.
pub(crate) async fn run() -> Result<Vec<String>, Box<dyn Error>> {
    let sick = Arc::new(AtomicBool::new(true));
    let pool = Pool::new();
    let servers = [
        Endpoint::new("first", pool.upstream(&serve("first", &sick).await?)?),
        Endpoint::new(
            "second",
            pool.upstream(&serve("second", &Arc::default()).await?)?,
        ),
    ];
    let (log, lines) = mpsc::channel();
    let changes = log.clone();
    let peers = Balance::new(servers)
        .pick(InOrder)
        .breaker(Breaker::new().open_for(OPEN_FOR))
        .on_state_change(move |change: &StateChange| {
            let (peer, from, to) = (change.peer(), change.from(), change.to());
            let _ = changes.send(format!("{peer}: {from} to {to}"));
        });
    let client = ServiceBuilder::new()
        .layer(FailoverLayer::default())
        .service(peers);

    for request in 0..10 {
        if request == 6 {
            sick.store(false, Relaxed);
            tokio::time::sleep(OPEN_FOR).await;
        }
        let get = Request::get("/").body(String::new())?;
        let response = client.clone().oneshot(get).await?;
        let body = response.into_body().collect().await?.to_bytes();
        log.send(String::from_utf8(body.into())?)?;
    }
    Ok(lines.try_iter().collect())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    for line in run().await? {
        println!("{line}");
    }
    Ok(())
}

async fn serve(name: &'static str, sick: &Arc<AtomicBool>) -> io::Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}", listener.local_addr()?);
    let sick = Arc::clone(sick);
    let app = Router::new().fallback(async move || match sick.load(Relaxed) {
        true => (StatusCode::SERVICE_UNAVAILABLE, "sick"),
        false => (StatusCode::OK, name),
    });
    tokio::spawn(async move { axum::serve(listener, app).await });
    Ok(url)
}
