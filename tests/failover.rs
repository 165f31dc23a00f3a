//! The attempt loop over scripted services, on a clock that is stopped.

mod support {
    pub(crate) mod script;
    pub(crate) mod strict;
}

mod attempt_loop {
    mod bodies;
    mod combining;
    mod connecting;
    mod deciding;
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

use std::{io, sync::Arc, time::Duration};

use self::support::script::Script;
use bytes::Bytes;
use http::{Method, Request, Response};
use http_body_util::{BodyExt, Full};
use tower::{Layer, ServiceExt};
use tower_failover::{
    BoxError, Error, FailoverLayer, Policy, ReplayBody,
    failure::{Classify, Evidence, FailureKind, NotSent, Stage},
    limits::Backoff,
    policy::Standard,
};

type Body = Full<Bytes>;

const MS: Duration = Duration::from_millis(1);

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
