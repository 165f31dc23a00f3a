//! What is read out of an error, and what an answer says of it.

use std::{
    future::Pending,
    io,
    task::{Context, Poll},
};

use http::StatusCode;
use tower_failover::{report::Report, trail::NoPeer};

use crate::*;

#[tokio::test]
async fn each_kind_of_failure_has_its_status() {
    let statuses = KINDS.map(|kind| match kind {
        FailureKind::Request | FailureKind::RequestBody => 400,
        FailureKind::Overload | FailureKind::NoPeer => 503,
        FailureKind::ConnectTimeout | FailureKind::Timeout | FailureKind::Deadline => 504,
        _ => 502,
    });
    for (kind, status) in KINDS.into_iter().zip(statuses) {
        let response = answer_to_kind(GatewayLayer::new(), kind).await;
        assert_eq!(response.status().as_u16(), status, "{kind}");
        assert_eq!(
            response.headers()["content-type"],
            "text/plain; charset=utf-8"
        );
        let name = StatusCode::from_u16(status).unwrap().canonical_reason();
        assert_eq!(text(response).await, format!("{}\n", name.unwrap()));
    }
}

#[tokio::test]
async fn response_passes_as_it_is() {
    let response = answer(GatewayLayer::new(), service_fn(not_found), get()).await;
    assert_eq!(response.status(), StatusCode::NOT_FOUND);
    assert_eq!(response.headers().len(), 2);
    assert_eq!(response.headers()["x-attempts"], "from the upstream");
    assert_eq!(text(response).await, "not here");
}

#[tokio::test]
async fn error_of_another_layer_is_a_bad_gateway() {
    let service = service_fn(|_: Request<Body>| async { Err(io::Error::other("whatever")) });
    let response = answer(GatewayLayer::new(), service, get()).await;
    assert_eq!(response.status(), StatusCode::BAD_GATEWAY);
    assert!(Report::of(response.extensions()).is_none());
}

#[tokio::test]
async fn failovers_error_is_found_below_other_layers() {
    let timed_out = || {
        let failing = service_fn(|_: Request<ReplayBody<Body>>| async {
            Err::<Response<Body>, _>(Kind(FailureKind::Timeout))
        });
        ServiceBuilder::new()
            .layer(FailoverLayer::default().max_attempts(1).classify(Kinds))
            .service(failing)
    };
    let wrapped = timed_out().map_err(Wrapped);
    let response = answer(GatewayLayer::new(), wrapped, get()).await;
    assert_eq!(response.status(), StatusCode::GATEWAY_TIMEOUT);
    assert!(Report::of(response.extensions()).is_some());

    // An `io::Error` does not call what it wraps its source.
    let wrapped = timed_out().map_err(|error| Wrapped(io::Error::other(error)));
    let response = answer(GatewayLayer::new(), wrapped, get()).await;
    assert_eq!(response.status(), StatusCode::GATEWAY_TIMEOUT);
    assert!(Report::of(response.extensions()).is_some());
}

#[tokio::test]
async fn status_is_found_without_a_failover() {
    let no_peer = service_fn(|_: Request<Body>| async { Err(NoPeer::exhausted()) });
    let response = answer(GatewayLayer::new(), no_peer, get()).await;
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
}

#[derive(Clone)]
struct Unready;

impl Service<Request<ReplayBody<Body>>> for Unready {
    type Response = Response<Body>;
    type Error = BoxError;
    type Future = Pending<Result<Response<Body>, BoxError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Err(NoPeer::exhausted().into()))
    }

    fn call(&mut self, _: Request<ReplayBody<Body>>) -> Self::Future {
        panic!("called without being ready")
    }
}

#[tokio::test]
async fn service_that_is_not_ready_is_answered_for() {
    let service = ServiceBuilder::new()
        .layer(FailoverLayer::default())
        .service(Unready);
    let layer = GatewayLayer::new()
        .proxy_status("edge")
        .unwrap()
        .attempts_header(http::HeaderName::from_static("x-attempts"))
        .unwrap();
    let response = answer(layer, service, get()).await;
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(response.headers()["x-attempts"], "0");
    assert_eq!(
        response.headers()["proxy-status"],
        r#"edge; error=destination_unavailable; details="no peer available""#
    );
}

#[tokio::test(start_paused = true)]
async fn answer_carries_what_became_of_each_attempt() {
    let response = answer_to(GatewayLayer::new(), 2, || NotSent::new("refused")).await;
    let report = Report::of(response.extensions()).unwrap();
    assert_eq!(report.to_string(), "connect failure, connect failure");
}
