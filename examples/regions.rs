//! Regions: servers of the own region first, then those of the others.
//!
//! ```text
//! cargo run --example regions
//! ```

use std::{
    error::Error,
    io,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};

use axum::Router;
use http::{Request, StatusCode};
use http_body_util::BodyExt;
use tokio::net::TcpListener;
use tower::{ServiceBuilder, ServiceExt};
use tower_failover::{
    FailoverLayer,
    balance::{Balance, Endpoint, ZoneOrder},
    upstream::Pool,
};

const SERVERS: [&str; 4] = ["eu-1", "eu-2", "us-1", "us-2"];

/// Sends two requests while no server, one and two of them are down, and one that wants another region. Returns who
/// answered.
pub(crate) async fn run() -> Result<Vec<String>, Box<dyn Error>> {
    let pool = Pool::new();
    // So many of the list are down.
    let down = Arc::new(AtomicUsize::new(0));
    let mut servers = Vec::new();
    for (number, name) in SERVERS.into_iter().enumerate() {
        let upstream = pool.upstream(&serve(number, name, &down).await?)?;
        servers.push(Endpoint::new(name, upstream).zone(&name[..2]));
    }
    let peers = Balance::new(servers).prefer_zones(ZoneOrder::new(["eu", "us"]));
    let client = ServiceBuilder::new()
        .layer(FailoverLayer::default())
        .service(peers);

    let ask = async |own_order: Option<ZoneOrder>| {
        let mut request = Request::get("/").body(String::new())?;
        own_order.map(|order| request.extensions_mut().insert(order));
        let response = client.clone().oneshot(request).await?;
        let body = response.into_body().collect().await?.to_bytes();
        Ok::<_, Box<dyn Error>>(String::from_utf8(body.into())?)
    };
    let mut answers = Vec::new();
    for count in 0..3 {
        down.store(count, Relaxed);
        let [one, other] = [ask(None).await?, ask(None).await?];
        answers.push(format!("{count} down: {one}, {other}"));
    }
    down.store(0, Relaxed);
    let answer = ask(Some(ZoneOrder::new(["us"]))).await?;
    answers.push(format!("asked for us: {answer}"));
    Ok(answers)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    for answer in run().await? {
        println!("{answer}");
    }
    Ok(())
}

async fn serve(number: usize, name: &'static str, down: &Arc<AtomicUsize>) -> io::Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}", listener.local_addr()?);
    let down = Arc::clone(down);
    let app = Router::new().fallback(async move || match number < down.load(Relaxed) {
        true => (StatusCode::SERVICE_UNAVAILABLE, "down"),
        false => (StatusCode::OK, name),
    });
    tokio::spawn(async move { axum::serve(listener, app).await });
    Ok(url)
}
