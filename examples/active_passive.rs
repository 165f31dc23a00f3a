//! Active-passive: a backup answers while the primary is down, and is left alone again as soon as it is back.
//!
//! ```text
//! cargo run --example active_passive
//! ```

use std::{error::Error, time::Duration};

use axum::Router;
use http::Request;
use http_body_util::BodyExt;
use tokio::net::{TcpListener, TcpSocket};
use tower::{ServiceBuilder, ServiceExt};
use tower_failover::{
    FailoverLayer,
    balance::{Balance, Endpoint},
    report::Report,
    upstream::Pool,
};

/// For how long the primary is left alone after two failures in a row: 30 seconds would be usual.
const LEFT_ALONE_FOR: Duration = Duration::from_millis(100);

/// Orders while the primary is down, then once it is back; returns who took each, and after how many attempts.
pub(crate) async fn run() -> Result<Vec<String>, Box<dyn Error>> {
    // Bound and not listening yet: it refuses every connection.
    let down = TcpSocket::new_v4()?;
    down.bind(([127, 0, 0, 1], 0).into())?;
    let primary = format!("http://{}", down.local_addr()?);
    let standby = TcpListener::bind("127.0.0.1:0").await?;
    let backup = format!("http://{}", standby.local_addr()?);
    serve(standby, "backup");

    let pool = Pool::new();
    let peers = Balance::new([
        Endpoint::from(pool.upstream(&primary)?),
        Endpoint::from(pool.upstream(&backup)?).backup(),
    ]);
    let shop = ServiceBuilder::new()
        .layer(FailoverLayer::default())
        .service(peers.eject(2, LEFT_ALONE_FOR));

    let order = async || {
        let request = Request::put("/orders/1").body("one teapot".to_owned())?;
        let response = shop.clone().oneshot(request).await?;
        let report = Report::of(response.extensions());
        let attempts = report.map_or(1, |report| report.attempts().len());
        let body = response.into_body().collect().await?.to_bytes();
        let taker = String::from_utf8(body.into())?;
        Ok::<_, Box<dyn Error>>(format!("{taker}, attempt {attempts}"))
    };
    let mut taken = Vec::new();
    for _ in 0..3 {
        taken.push(order().await?);
    }
    serve(down.listen(16)?, "primary");
    tokio::time::sleep(LEFT_ALONE_FOR).await;
    taken.push(order().await?);
    Ok(taken)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    for taken in run().await? {
        println!("order taken by the {taken}");
    }
    Ok(())
}

fn serve(listener: TcpListener, name: &'static str) {
    let app = Router::new().fallback(async move |_order: String| name);
    tokio::spawn(async move { axum::serve(listener, app).await });
}
