//! Routes of one gateway that are tried again by rules of their own, and an error page in JSON.
//!
//! ```text
//! cargo run --example routes
//! ```

use std::io;

use axum::{Extension, Router, body::Body, extract::Request};
use bytes::Bytes;
use http::{HeaderName, Response, StatusCode, header::CONTENT_TYPE};
use http_body_util::BodyExt;
use tokio::net::TcpListener;
use tower::{ServiceBuilder, ServiceExt};
use tower_failover::{
    BoxError, FailoverLayer,
    balance::{Balance, InOrder},
    gateway::{Failed, GatewayLayer},
    limits::MaxAttempts,
    policy::{PerRoute, PolicyExt, RoutePolicy, Standard},
    upstream::Pool,
};

const ATTEMPTS: HeaderName = HeaderName::from_static("x-attempts");

/// What the clients read when nobody answered.
fn page(failed: &Failed<'_>) -> Response<Bytes> {
    let text = format!(r#"{{"error":"{}"}}"#, failed.kind());
    let mut response = Response::new(Bytes::from(text));
    *response.status_mut() = failed.status();
    let json = http::HeaderValue::from_static("application/json");
    response.headers_mut().insert(CONTENT_TYPE, json);
    response
}

/// Searches go wherever anybody answers; orders only where nothing can be done twice; the rest as the
/// layer has it.
fn app(upstreams: &[String]) -> Result<Router, BoxError> {
    let pool = Pool::new();
    let upstreams: Result<Vec<_>, _> = upstreams.iter().map(|url| pool.upstream(url)).collect();
    let gateway = ServiceBuilder::new()
        .layer(GatewayLayer::new().page(page).attempts_header(ATTEMPTS)?)
        .layer(FailoverLayer::new(PerRoute::new(Standard::default())))
        .service(Balance::new(upstreams?).pick(InOrder));

    // Dead upstreams and bad answers alike, but bad answers only once.
    let search = Standard::new("connect-failure,reset".parse()?)
        .or(Standard::new("5xx,404".parse()?).limited(1));
    // These upstreams answer 503 before they look at an order: it is safe to send it again.
    let orders = Standard::new("connect-failure".parse()?).refused_on("503".parse()?);
    let search = Router::new()
        .route_service("/search", gateway.clone())
        .layer(Extension(RoutePolicy::new(search)))
        .layer(Extension(MaxAttempts(5)));
    let orders = Router::new()
        .route_service("/orders", gateway.clone())
        .layer(Extension(RoutePolicy::new(orders)));
    Ok(search.merge(orders).fallback_service(gateway))
}

/// Starts the application before three upstreams, of which only the last is well, and asks it.
///
/// Each answer is the status, the number of attempts, and the text.
pub(crate) async fn run() -> Result<Vec<(StatusCode, String, String)>, BoxError> {
    let answering = |status: StatusCode, text: &'static str| {
        serve(Router::new().fallback(async move || (status, text)))
    };
    let upstreams = [
        answering(StatusCode::SERVICE_UNAVAILABLE, "draining\n").await?,
        answering(StatusCode::NOT_FOUND, "not here\n").await?,
        answering(StatusCode::OK, "here\n").await?,
    ];
    let url = serve(app(&upstreams)?).await?;
    let nobody = serve(app(&[])?).await?;

    let requests = [
        (&url, Request::get("/search")),
        (&url, Request::post("/orders")),
        (&url, Request::post("/other")),
        (&url, Request::get("/other")),
        (&nobody, Request::get("/other")),
    ];
    let pool = Pool::new();
    let mut answers = Vec::new();
    for (url, request) in requests {
        let client = pool.upstream(url)?;
        let response = client.oneshot(request.body(Body::empty())?).await?;
        let (head, body) = response.into_parts();
        let attempts = head.headers.get(ATTEMPTS).map(|value| value.to_str());
        let attempts = attempts.transpose()?.unwrap_or_default().to_owned();
        let text = String::from_utf8(body.collect().await?.to_bytes().into())?;
        answers.push((head.status, attempts, text));
    }
    Ok(answers)
}

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    for (status, attempts, text) in run().await? {
        println!("{status} after {attempts} attempts: {}", text.trim_end());
    }
    Ok(())
}

async fn serve(app: Router) -> io::Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}", listener.local_addr()?);
    tokio::spawn(async move { axum::serve(listener, app).await });
    Ok(url)
}
