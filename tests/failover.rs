//! The attempt loop over scripted services, on a clock that is stopped.

mod support {
    pub(crate) mod script;
    pub(crate) mod strict;
}

mod attempt_loop {
    mod bodies;
    mod combining;
    mod connecting;
    mod crossings;
    mod deciding;
    mod interplay;
    mod limits;
    mod own_limits;
    mod peers;
    mod responses;
    mod retry_lines;
    mod standard;
    mod storm;
    mod table;
    mod telling;
    mod time;
    mod transparency;
}

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use self::support::script::{Answer, Script, status};
use bytes::Bytes;
use http::{Method, Request, Response};
use http_body_util::{BodyExt, Full};
use tokio::time::Instant;
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_failover::{
    BoxError, Error, FailoverLayer, Policy, ReplayBody,
    balance::{Balance, Endpoint, InOrder},
    failure::{Classify, Evidence, FailureKind, NotSent, Stage},
    limits::Backoff,
    policy::Standard,
    report::Report,
};

type Body = Full<Bytes>;

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);

type Headers = &'static [(&'static str, &'static str)];

const WELL: &[(u16, Headers)] = &[(200, &[])];
const DRAINING: &[(u16, Headers)] = &[(503, &[])];

fn request(method: Method) -> Request<Body> {
    let request = Request::builder().method(method).uri("/path");
    request.body(Full::from("request body")).unwrap()
}

fn get() -> Request<Body> {
    Request::get("/path").body(Full::default()).unwrap()
}

fn post() -> Request<Body> {
    request(Method::POST)
}

/// Nothing was sent.
fn refused() -> BoxError {
    NotSent::new("connection refused").into()
}

/// The request may have been processed.
fn reset() -> BoxError {
    io::Error::from(io::ErrorKind::ConnectionReset).into()
}

/// Reads a request's body as an upstream would.
async fn body<B>(request: Request<ReplayBody<B>>) -> String
where
    B: http_body::Body + Unpin,
    B::Error: Into<BoxError>,
{
    let bytes = request.into_body().collect().await.unwrap().to_bytes();
    String::from_utf8(bytes.to_vec()).unwrap()
}

async fn run<P>(
    layer: FailoverLayer<P>,
    script: &Script<Body>,
    request: Request<Body>,
) -> Result<Response<Body>, Error>
where
    P: Policy + Clone,
{
    layer.layer(script.strict()).oneshot(request).await
}

/// The default layer, but that it loses no time where it does not know another peer.
fn layer() -> FailoverLayer {
    FailoverLayer::new(Standard::default().backoff(Backoff::NONE))
}

/// What the client gets from the default layer.
async fn outcome(script: &Script<Body>, request: Request<Body>) -> Result<u16, FailureKind> {
    outcome_of(layer(), script, request).await
}

async fn outcome_of(
    layer: FailoverLayer,
    script: &Script<Body>,
    request: Request<Body>,
) -> Result<u16, FailureKind> {
    let result = run(layer, script, request).await;
    result
        .map(|response| response.status().as_u16())
        .map_err(|error| error.kind())
}

fn answer(code: u16, headers: &[(&'static str, &'static str)]) -> Answer {
    let mut response = Response::builder().status(code);
    for (name, value) in headers {
        response = response.header(*name, *value);
    }
    Ok(response.body(Full::default()).unwrap())
}

fn on(list: &str) -> Standard {
    Standard::new(list.parse().unwrap()).backoff(Backoff::NONE)
}

fn answering(codes: &[u16]) -> Script<Body> {
    codes.iter().fold(Script::new(), |script, code| {
        let code = *code;
        script.then(move |_| async move {
            match code {
                0 => Err(reset()),
                1 => Err(refused()),
                code => status(code),
            }
        })
    })
}

/// How many attempts are made over a service that answers with these codes; 0 is a reset, and 1 a
/// refused connection.
async fn attempts<P: Policy + Clone>(policy: P, codes: &[u16], request: Request<Body>) -> usize {
    let script = answering(codes);
    let layer = FailoverLayer::new(policy).max_attempts(9).without_budget();
    let _ = run(layer, &script, request).await;
    codes.len() - script.steps_left()
}

/// Requests that go over named peers, each answering as it is told, in turn.
async fn over<P: Policy + Clone>(
    layer: FailoverLayer<P>,
    peers: &[(&'static str, &'static [(u16, Headers)])],
    request: Request<Body>,
) -> (u16, Vec<String>, Duration) {
    let endpoints = peers.iter().map(|(name, answers)| {
        let (answers, calls) = (*answers, Arc::new(AtomicUsize::new(0)));
        let service = service_fn(move |request: Request<ReplayBody<Body>>| {
            let call = calls.fetch_add(1, Relaxed);
            async move {
                body(request).await;
                let (code, headers) = answers[call.min(answers.len() - 1)];
                answer(code, headers)
            }
        });
        Endpoint::new(*name, service)
    });
    let balance = Balance::new(endpoints).pick(InOrder).eject(0, SECOND);
    let start = Instant::now();
    let response = layer.layer(balance).call(request).await.unwrap();
    let report = response.extensions().get::<Report>().cloned();
    let report = report.unwrap_or_default();
    let peers = report.attempts().iter().filter_map(|tried| tried.peer());
    let peers = peers.map(|peer| peer.name().to_owned()).collect();
    (response.status().as_u16(), peers, start.elapsed())
}
