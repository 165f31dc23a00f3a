//! The final error as a response.

use std::{convert::Infallible, io, time::Duration};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use tower::{Service, ServiceBuilder, ServiceExt, service_fn};
use tower_failover::{
    BoxError, FailoverLayer, ReplayBody,
    failure::{Classify, Evidence, FailureKind, NotSent, Stage},
    gateway::{GatewayBody, GatewayLayer},
    report::Report,
    trail::NoPeer,
};

type Body = Full<Bytes>;

/// An error of a kind.
#[derive(Clone, Copy, Debug)]
struct Kind(FailureKind);

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
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

async fn answer<S>(service: S) -> Response<GatewayBody<Body>>
where
    S: Service<Request<Body>, Response = Response<Body>, Error: Into<BoxError>>,
{
    let gateway = ServiceBuilder::new()
        .layer(GatewayLayer::new())
        .service(service);
    let response = gateway.oneshot(Request::new(Full::default())).await;
    response.unwrap_or_else(|never: Infallible| match never {})
}

#[tokio::test]
async fn each_kind_of_failure_has_its_status() {
    let statuses = [
        (FailureKind::Connect, 502),
        (FailureKind::ConnectTimeout, 504),
        (FailureKind::Certificate, 502),
        (FailureKind::Reset, 502),
        (FailureKind::Junk, 502),
        (FailureKind::Timeout, 504),
        (FailureKind::Deadline, 504),
        (FailureKind::RefusedStream, 502),
        (FailureKind::Overload, 503),
        (FailureKind::RequestBody, 400),
        (FailureKind::NoPeer, 503),
        (FailureKind::Other, 502),
    ];
    for (kind, status) in statuses {
        let failing = service_fn(move |_: Request<ReplayBody<Body>>| async move {
            Err::<Response<Body>, _>(Kind(kind))
        });
        let layer = FailoverLayer::default().max_attempts(1).classify(Kinds);
        let response = answer(ServiceBuilder::new().layer(layer).service(failing)).await;
        assert_eq!(response.status().as_u16(), status, "{kind}");
        assert_eq!(
            response.headers()["content-type"],
            "text/plain; charset=utf-8"
        );
        let name = StatusCode::from_u16(status)
            .unwrap()
            .canonical_reason()
            .unwrap();
        let text = response.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(text, format!("{name}\n"));
    }
}

#[tokio::test]
async fn response_passes_as_it_is() {
    let service = service_fn(|_: Request<Body>| async {
        let response = Response::builder().status(404).header("x-field", "value");
        Ok::<_, BoxError>(response.body(Full::from("not here")).unwrap())
    });
    let response = answer(service).await;
    assert_eq!(
        (response.status().as_u16(), response.headers().len()),
        (404, 1)
    );
    let text = response.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(text, "not here");
}

#[tokio::test]
async fn error_of_another_layer_is_a_bad_gateway() {
    let service = service_fn(|_: Request<Body>| async { Err(io::Error::other("whatever")) });
    assert_eq!(answer(service).await.status(), StatusCode::BAD_GATEWAY);
}

#[tokio::test]
async fn status_is_found_below_other_layers_and_without_a_failover() {
    #[derive(Debug)]
    struct Wrapped(tower_failover::Error);
    impl std::fmt::Display for Wrapped {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("wrapped")
        }
    }
    impl std::error::Error for Wrapped {
        fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
            Some(&self.0)
        }
    }
    let timed_out = service_fn(|_: Request<ReplayBody<Body>>| async {
        Err::<Response<Body>, _>(Kind(FailureKind::Timeout))
    });
    let wrapped = ServiceBuilder::new()
        .map_err(Wrapped)
        .layer(FailoverLayer::default().max_attempts(1).classify(Kinds))
        .service(timed_out);
    assert_eq!(answer(wrapped).await.status(), StatusCode::GATEWAY_TIMEOUT);

    let no_peer = service_fn(|_: Request<Body>| async { Err(NoPeer::exhausted()) });
    assert_eq!(
        answer(no_peer).await.status(),
        StatusCode::SERVICE_UNAVAILABLE
    );
}

#[tokio::test]
async fn service_that_is_not_ready_is_answered_for() {
    #[derive(Clone)]
    struct Unready;
    impl Service<Request<ReplayBody<Body>>> for Unready {
        type Response = Response<Body>;
        type Error = BoxError;
        type Future = std::future::Pending<Result<Response<Body>, BoxError>>;

        fn poll_ready(
            &mut self,
            _: &mut std::task::Context<'_>,
        ) -> std::task::Poll<Result<(), BoxError>> {
            std::task::Poll::Ready(Err(NoPeer::exhausted().into()))
        }

        fn call(&mut self, _: Request<ReplayBody<Body>>) -> Self::Future {
            panic!("called without being ready")
        }
    }
    let service = ServiceBuilder::new()
        .layer(FailoverLayer::default())
        .service(Unready);
    assert_eq!(
        answer(service).await.status(),
        StatusCode::SERVICE_UNAVAILABLE
    );
}

#[tokio::test(start_paused = true)]
async fn answer_carries_what_became_of_each_attempt() {
    let refusing = service_fn(|_: Request<ReplayBody<Body>>| async {
        Err::<Response<Body>, _>(NotSent::new("refused"))
    });
    let service = ServiceBuilder::new()
        .layer(
            FailoverLayer::default()
                .max_attempts(2)
                .deadline(Duration::from_secs(9)),
        )
        .service(refusing);
    let response = answer(service).await;
    let report = Report::of(response.extensions()).unwrap();
    assert_eq!(report.to_string(), "connect failure, connect failure");
}
