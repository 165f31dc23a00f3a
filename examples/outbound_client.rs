//! A client of a service that has several base URLs: a POST whose first base refuses the connection
//! arrives whole at the second.
//!
//! ```text
//! cargo run --example outbound_client
//! cargo run --example outbound_client --features reqwest
//! ```

use std::{error::Error, io};

use axum::Router;
use http::Request;
use http_body_util::BodyExt;
use tokio::net::{TcpListener, TcpSocket};
use tower::{ServiceBuilder, ServiceExt};
use tower_failover::{
    FailoverLayer,
    balance::{Balance, InOrder},
    upstream::Pool,
};

/// Through hyper.
async fn with_hyper(bases: [&str; 2], order: String) -> Result<String, Box<dyn Error>> {
    let pool = Pool::new();
    let bases = [pool.upstream(bases[0])?, pool.upstream(bases[1])?];
    let client = ServiceBuilder::new()
        .layer(FailoverLayer::default())
        .service(Balance::new(bases).pick(InOrder));

    let response = client
        .oneshot(Request::post("/orders").body(order)?)
        .await?;
    let body = response.into_body().collect().await?.to_bytes();
    Ok(String::from_utf8(body.into())?)
}

/// Through reqwest, with what your client is set up for: proxies, TLS, decompression.
#[cfg(feature = "reqwest")]
async fn with_reqwest(bases: [&str; 2], order: String) -> Result<String, Box<dyn Error>> {
    use tower_failover::upstream::ReqwestPool;

    let pool = ReqwestPool::new(reqwest::Client::builder())?;
    let bases = [pool.upstream(bases[0])?, pool.upstream(bases[1])?];
    let client = ServiceBuilder::new()
        .layer(FailoverLayer::default())
        .service(Balance::new(bases).pick(InOrder));

    let response = client
        .oneshot(Request::post("/orders").body(order)?)
        .await?;
    let body = response.into_body().collect().await?.to_bytes();
    Ok(String::from_utf8(body.into())?)
}

/// Posts an order with each client; returns what the second base received.
pub(crate) async fn run() -> Result<Vec<String>, Box<dyn Error>> {
    // Bound and not listening: it refuses every connection.
    let refusing = TcpSocket::new_v4()?;
    refusing.bind(([127, 0, 0, 1], 0).into())?;
    let refusing = &format!("http://{}/v1", refusing.local_addr()?);
    let echo = &echo().await?;

    Ok(vec![
        with_hyper([refusing, echo], "one teapot".to_owned()).await?,
        #[cfg(feature = "reqwest")]
        with_reqwest([refusing, echo], "two teapots".to_owned()).await?,
    ])
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    for received in run().await? {
        println!("{received}");
    }
    Ok(())
}

/// Answers with the request that it received.
async fn echo() -> io::Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}/v1", listener.local_addr()?);
    let app = Router::new().fallback(async |head: http::request::Parts, body: String| {
        let length = head.headers.get("content-length");
        let length = length
            .and_then(|length| length.to_str().ok())
            .unwrap_or("unknown");
        format!("{} {} of {length} bytes: {body}", head.method, head.uri)
    });
    tokio::spawn(async move { axum::serve(listener, app).await });
    Ok(url)
}
