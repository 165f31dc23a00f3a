//! The final error as a response.

mod gateway_answers {
    mod attempts_header;
    mod errors;
    mod head;
    mod page;
    mod proxy_status;
    #[cfg(all(feature = "balance", feature = "hyper"))]
    mod sockets;
}

use std::{convert::Infallible, fmt, io};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use tower::{Service, ServiceBuilder, ServiceExt, service_fn};
use tower_failover::{
    BoxError, FailoverLayer, ReplayBody,
    failure::{Classify, Evidence, FailureKind, NotSent, Stage},
    gateway::{ErrorPage, GatewayBody, GatewayLayer},
};

type Body = Full<Bytes>;
type Answer = Response<GatewayBody<Body>>;

const KINDS: [FailureKind; 13] = [
    FailureKind::Connect,
    FailureKind::ConnectTimeout,
    FailureKind::Certificate,
    FailureKind::Reset,
    FailureKind::Junk,
    FailureKind::Timeout,
    FailureKind::Deadline,
    FailureKind::RefusedStream,
    FailureKind::Overload,
    FailureKind::Request,
    FailureKind::RequestBody,
    FailureKind::NoPeer,
    FailureKind::Other,
];

/// An error of a kind.
#[derive(Clone, Copy, Debug)]
struct Kind(FailureKind);

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

impl std::error::Error for Kind {}

struct Kinds;

impl Classify for Kinds {
    fn classify(&self, error: &(dyn std::error::Error + 'static)) -> Option<Evidence> {
        let kind = error.downcast_ref::<Kind>()?.0;
        let stage = Stage::MaybeProcessed;
        Some(Evidence { stage, kind })
    }
}

/// An error that a layer between has wrapped.
#[derive(Debug)]
struct Wrapped<E>(E);

impl<E> fmt::Display for Wrapped<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("wrapped")
    }
}

impl<E: std::error::Error + 'static> std::error::Error for Wrapped<E> {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.0)
    }
}

fn get() -> Request<Body> {
    Request::new(Full::default())
}

/// What a gateway answers that stands over this service.
async fn answer<P, S>(layer: GatewayLayer<P>, service: S, request: Request<Body>) -> Answer
where
    P: ErrorPage + Clone,
    S: Service<Request<Body>, Response = Response<Body>, Error: Into<BoxError>>,
{
    let gateway = ServiceBuilder::new().layer(layer).service(service);
    let response = gateway.oneshot(request).await;
    response.unwrap_or_else(|never: Infallible| match never {})
}

/// What a gateway answers when this error was the last of so many attempts.
async fn answer_to<P, E>(layer: GatewayLayer<P>, attempts: u32, error: fn() -> E) -> Answer
where
    P: ErrorPage + Clone,
    E: Into<BoxError>,
{
    let failing = service_fn(move |_: Request<ReplayBody<Body>>| async move {
        Err::<Response<Body>, BoxError>(error().into())
    });
    let failover = FailoverLayer::default()
        .max_attempts(attempts)
        .without_budget();
    let service = ServiceBuilder::new().layer(failover).service(failing);
    answer(layer, service, get()).await
}

/// What a gateway answers to a failure of this kind.
async fn answer_to_kind<P: ErrorPage + Clone>(layer: GatewayLayer<P>, kind: FailureKind) -> Answer {
    let failing = service_fn(move |_: Request<ReplayBody<Body>>| async move {
        Err::<Response<Body>, _>(Kind(kind))
    });
    let failover = FailoverLayer::default().max_attempts(1).classify(Kinds);
    let service = ServiceBuilder::new().layer(failover).service(failing);
    answer(layer, service, get()).await
}

/// An upstream's 404, with a field of its own.
async fn not_found(_: Request<Body>) -> Result<Response<Body>, BoxError> {
    let response = Response::builder()
        .status(404)
        .header("proxy-status", "upstream.test; received-status=404")
        .header("x-attempts", "from the upstream");
    Ok(response.body(Full::from("not here"))?)
}

fn refused() -> NotSent {
    NotSent::new(io::Error::from(io::ErrorKind::ConnectionRefused))
}

async fn text(response: Answer) -> Bytes {
    let body = response.into_body().collect().await;
    body.unwrap_or_else(|never| match never {}).to_bytes()
}
