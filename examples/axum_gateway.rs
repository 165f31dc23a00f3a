//! An axum application that answers some routes itself and fails over between upstreams for the rest.
//!
//! ```text
//! cargo run --example axum_gateway
//! ```

use std::io;

use axum::{Router, body::Body, extract::Request, routing::get};
use http::StatusCode;
use http_body_util::BodyExt;
use tokio::net::{TcpListener, TcpSocket};
use tower::{ServiceBuilder, ServiceExt};
use tower_failover::{
    BoxError, ConfigError, FailoverLayer,
    balance::{Balance, InOrder},
    gateway::GatewayLayer,
    upstream::Pool,
};

/// `/health` is the application's own; everything else goes to the upstreams.
fn app(upstreams: &[String]) -> Result<Router, ConfigError> {
    let pool = Pool::new();
    let upstreams: Result<Vec<_>, _> = upstreams.iter().map(|url| pool.upstream(url)).collect();
    let gateway = ServiceBuilder::new()
        .layer(GatewayLayer::new())
        .layer(FailoverLayer::default())
        .service(Balance::new(upstreams?).pick(InOrder));
    Ok(Router::new()
        .route("/health", get(|| async { "well\n" }))
        .fallback_service(gateway))
}

/// Starts the application before one upstream that refuses, one that is overloaded and one that is
/// well, and asks it three times.
pub(crate) async fn run() -> Result<Vec<(StatusCode, String)>, BoxError> {
    let refusing = TcpSocket::new_v4()?;
    refusing.bind(([127, 0, 0, 1], 0).into())?;
    let upstreams = [
        format!("http://{}", refusing.local_addr()?),
        serve(Router::new().fallback(async || (StatusCode::SERVICE_UNAVAILABLE, "not now\n")))
            .await?,
        serve(Router::new().fallback(async |body: String| format!("you sent {body:?}\n"))).await?,
    ];
    let url = serve(app(&upstreams)?).await?;

    let requests = [
        Request::get("/health").body(Body::empty())?,
        Request::get("/").body(Body::empty())?,
        // The refused connection proves that nothing was sent; the 503 after it proves nothing, so
        // that a POST ends there.
        Request::post("/orders").body(Body::from("one teapot"))?,
        Request::put("/orders/1").body(Body::from("two teapots"))?,
    ];
    let client = Pool::new().upstream(&url)?;
    let mut answers = Vec::new();
    for request in requests {
        let response = client.clone().oneshot(request).await?;
        let status = response.status();
        let body = response.into_body().collect().await?.to_bytes();
        answers.push((status, String::from_utf8(body.into())?));
    }
    Ok(answers)
}

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    for (status, text) in run().await? {
        print!("{status}: {text}");
    }
    Ok(())
}

async fn serve(app: Router) -> io::Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}", listener.local_addr()?);
    tokio::spawn(async move { axum::serve(listener, app).await });
    Ok(url)
}
