//! How the upstreams are, for those who run the proxy.
//!
//! It shows addresses to whoever can reach it, and asks nobody who they are. User information it cannot show:
//! the pool refuses a URL that has some.

use std::{convert::Infallible, net::IpAddr, time::Duration};

use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header, uri::Authority};
use http_body_util::Full;
use hyper::{body::Bytes, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinSet,
};
use tower_failover::balance::{PeerSnapshot, Snapshot};

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
    if !is_direct(request.headers()) {
        let text = "ask by address, or as localhost\n".to_owned();
        return respond(StatusCode::MISDIRECTED_REQUEST, "text/plain", text);
    }
    match (request.uri().path(), request.method()) {
        // hyper leaves the body of a response to HEAD out, and keeps its length.
        ("/", &Method::GET | &Method::HEAD) => {
            match serde_json::to_string_pretty(&Shown::from(peers.snapshot())) {
                Ok(shown) => respond(StatusCode::OK, "application/json", shown + "\n"),
                Err(error) => {
                    let text = format!("{error}\n");
                    respond(StatusCode::INTERNAL_SERVER_ERROR, "text/plain", text)
                }
            }
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

/// Whether it is not a page of somebody's that asks, under a name that leads here.
fn is_direct(headers: &HeaderMap) -> bool {
    let Some(host) = headers.get(header::HOST) else {
        return true;
    };
    let authority = host
        .to_str()
        .ok()
        .and_then(|host| host.parse::<Authority>().ok());
    authority.is_some_and(|authority| {
        let host = authority.host();
        let address = host.trim_start_matches('[').trim_end_matches(']');
        address.parse::<IpAddr>().is_ok() || host == "localhost"
    })
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

/// What is shown.
#[derive(Serialize)]
struct Shown {
    peers: Vec<Peer>,
    discovery_error: Option<Discovery>,
}

#[derive(Serialize)]
struct Peer {
    peer: String,
    state: String,
    tier: Option<u32>,
    zone: Option<String>,
    weight: u32,
    in_flight: usize,
    latency_ms: Option<f64>,
    failures: u64,
    ejections: u64,
    out_for_ms: Option<u64>,
    last_failure: Option<Failure>,
}

#[derive(Serialize)]
struct Failure {
    fault: String,
    ago_ms: u64,
}

#[derive(Serialize)]
struct Discovery {
    error: String,
    ago_ms: u64,
}

impl From<Snapshot> for Shown {
    fn from(snapshot: Snapshot) -> Self {
        Self {
            peers: snapshot.peers.into_iter().map(Into::into).collect(),
            discovery_error: snapshot.discovery_error.map(|discovery| Discovery {
                error: discovery.error,
                ago_ms: whole_ms(discovery.ago),
            }),
        }
    }
}

impl From<PeerSnapshot> for Peer {
    fn from(peer: PeerSnapshot) -> Self {
        Self {
            peer: peer.peer.to_string(),
            state: peer.state.to_string(),
            tier: peer.tier,
            zone: peer.zone.map(|zone| zone.to_string()),
            weight: peer.weight,
            in_flight: peer.in_flight,
            latency_ms: peer.latency.map(ms),
            failures: peer.failures,
            ejections: peer.ejections,
            out_for_ms: peer.out_for.map(whole_ms),
            last_failure: peer.last_failure.map(|failure| Failure {
                fault: failure.fault.to_string(),
                ago_ms: whole_ms(failure.ago),
            }),
        }
    }
}

/// In milliseconds, with microseconds behind the point.
fn ms(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e6).round() / 1e3
}

fn whole_ms(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
