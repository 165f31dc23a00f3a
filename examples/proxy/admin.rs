//! How the upstreams are, for those who run the proxy.
//!
//! It shows addresses to whoever can reach it, and asks nobody who they are. User information it cannot show:
//! the pool refuses a URL that has some.

use std::{convert::Infallible, time::Duration};

use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::{body::Bytes, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinSet,
};
use tower_failover::balance::{LastFailure, PeerSnapshot, Snapshot};

use super::{Peers, server::accept};

/// How many connections are served at a time: the proxy needs the file descriptors more.
const MOST: usize = 64;

/// How long a connection may take for its one exchange.
const PATIENCE: Duration = Duration::from_secs(10);

/// Answers until it is dropped.
pub(crate) async fn serve(listener: TcpListener, peers: Peers) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            (stream, _) = accept(&listener), if connections.len() < MOST => {
                connections.spawn(connection(stream, peers.clone()));
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn connection(stream: TcpStream, peers: Peers) {
    let service = service_fn(|request| {
        let response = answer(&request, &peers);
        async { Ok::<_, Infallible>(response) }
    });
    let connection = http1::Builder::new()
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service);
    if let Ok(Err(error)) = tokio::time::timeout(PATIENCE, connection).await {
        tracing::debug!(%error, "admin connection ended");
    }
}

fn answer<B>(request: &Request<B>, peers: &Peers) -> Response<Full<Bytes>> {
    match (request.uri().path(), request.method()) {
        // hyper leaves the body of a response to HEAD out, and keeps its length.
        ("/", &Method::GET | &Method::HEAD) => {
            let shown = format!("{:#}\n", snapshot(&peers.snapshot()));
            respond(StatusCode::OK, "application/json", shown)
        }
        ("/", _) => {
            let text = "GET or HEAD\n".to_owned();
            let mut response = respond(StatusCode::METHOD_NOT_ALLOWED, "text/plain", text);
            let allowed = HeaderValue::from_static("GET, HEAD");
            response.headers_mut().insert(header::ALLOW, allowed);
            response
        }
        _ => {
            let text = "the upstreams are at /\n".to_owned();
            respond(StatusCode::NOT_FOUND, "text/plain", text)
        }
    }
}

fn respond(status: StatusCode, media: &'static str, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(body));
    *response.status_mut() = status;
    let headers = [
        (header::CONTENT_TYPE, media),
        (header::CACHE_CONTROL, "no-store"),
    ];
    for (name, value) in headers {
        let value = HeaderValue::from_static(value);
        response.headers_mut().insert(name, value);
    }
    response
}

fn snapshot(snapshot: &Snapshot) -> Value {
    let error = snapshot.discovery_error.as_ref();
    json!({
        "peers": snapshot.peers.iter().map(peer).collect::<Vec<_>>(),
        "discovery_error": error.map(|discovery| json!({
            "error": discovery.error,
            "ago_ms": whole_ms(discovery.ago),
        })),
    })
}

fn peer(peer: &PeerSnapshot) -> Value {
    json!({
        "peer": peer.peer.name(),
        "tier": peer.tier,
        "zone": peer.zone.as_ref().map(|zone| zone.name()),
        "weight": peer.weight,
        "state": peer.state.to_string(),
        "in_flight": peer.in_flight,
        "latency_ms": peer.latency.map(ms),
        "ejections": peer.ejections,
        "out_for_ms": peer.out_for.map(whole_ms),
        "failures": peer.failures,
        "last_failure": peer.last_failure.map(|LastFailure { fault, ago, .. }| json!({
            "fault": fault.to_string(),
            "ago_ms": whole_ms(ago),
        })),
    })
}

/// In milliseconds, with microseconds behind the point.
fn ms(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e6).round() / 1e3
}

fn whole_ms(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
