//! Failover over tower's own balancer, which picks without seeing the request: endpoints that refuse
//! a request which has been there make it pick again.
//!
//! ```text
//! cargo run --example tower_balance
//! ```

use std::{error::Error, io};

use axum::Router;
use http::{HeaderMap, HeaderName, HeaderValue, Request, StatusCode};
use http_body_util::BodyExt;
use tokio::net::TcpListener;
use tower::{
    ServiceBuilder, ServiceExt,
    balance::p2c,
    discover::ServiceList,
    load::{CompleteOnResponse, PendingRequests},
};
use tower_failover::{
    FailoverLayer, balance::Untried, report::Report, trail::Trail, upstream::Pool,
};
use tower_http::{set_header::SetRequestHeaderLayer, trace::TraceLayer};

/// Sends a request to peers that answer with these statuses.
async fn ask(peers: [StatusCode; 3]) -> Result<Answer, Box<dyn Error>> {
    let pool = Pool::new();
    let mut endpoints = Vec::new();
    for status in peers {
        let url = serve(status).await?;
        let endpoint = PendingRequests::new(pool.upstream(&url)?, CompleteOnResponse::default());
        endpoints.push(Untried::new(url.as_str(), endpoint));
    }
    let x_attempt = HeaderName::from_static("x-attempt");
    let service = ServiceBuilder::new()
        // Above, a layer sees the request once ...
        .layer(TraceLayer::new_for_http())
        // More attempts than peers: it is the endpoints that end it.
        .layer(FailoverLayer::default().max_attempts(10))
        // ... and below, each attempt: here the peers learn which one it is.
        .layer(SetRequestHeaderLayer::overriding(x_attempt, attempt))
        .buffer(16)
        .service(p2c::Balance::new(ServiceList::new(endpoints)));

    let response = service.oneshot(Request::new(String::new())).await?;
    let (head, body) = response.into_parts();
    let report = Report::of(&head.extensions).cloned().unwrap_or_default();
    let peers = report.attempts().iter().filter_map(|tried| tried.peer());
    Ok(Answer {
        status: head.status,
        tried: peers.map(|peer| peer.to_string()).collect(),
        text: String::from_utf8(body.collect().await?.to_bytes().into())?,
    })
}

fn attempt<B>(request: &Request<B>) -> Option<HeaderValue> {
    Some(Trail::of(request.extensions())?.attempt().into())
}

/// What the client got.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) text: String,
    /// The peers that were tried, if it was more than one.
    pub(crate) tried: Vec<String>,
}

/// Asks peers of which one is well, and peers of which none is.
pub(crate) async fn run() -> Result<[Answer; 2], Box<dyn Error>> {
    const BUSY: StatusCode = StatusCode::SERVICE_UNAVAILABLE;
    Ok([
        ask([BUSY, BUSY, StatusCode::OK]).await?,
        ask([BUSY, BUSY, BUSY]).await?,
    ])
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    for Answer {
        status,
        text,
        tried,
    } in run().await?
    {
        println!("{status}: {text}, after {tried:?}");
    }
    Ok(())
}

/// A peer that says which attempt it has seen.
async fn serve(status: StatusCode) -> io::Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}", listener.local_addr()?);
    let app = Router::new().fallback(async move |headers: HeaderMap| {
        let attempt = headers.get("x-attempt").map(HeaderValue::to_str);
        (
            status,
            format!(
                "attempt {}",
                attempt.and_then(Result::ok).unwrap_or("unknown")
            ),
        )
    });
    tokio::spawn(async move { axum::serve(listener, app).await });
    Ok(url)
}
