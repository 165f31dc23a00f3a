//! Which responses are held, and which are not touched.

use http::{Response, StatusCode};
use tokio_test::assert_pending;
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_failover::{
    BoxError,
    peek::{FirstTrailers, PeekLayer, awaits_grpc_status},
};

use crate::{
    Strict, call, call_with, data, grpc, grpc_status, ready,
    support::scripted_body::{ScriptedBody, Step},
};

/// Whether the layer lets a response pass without a look at its body.
fn passes(layer: &PeekLayer, head: http::response::Builder) -> bool {
    let (body, script) = ScriptedBody::new([]);
    let mut call = call(layer, head.body(body).unwrap());
    let passed = call.poll().is_ready();
    assert_eq!(script.polls(), usize::from(!passed));
    passed
}

fn head(status: u16, content_type: &str) -> http::response::Builder {
    Response::builder()
        .status(status)
        .header("content-type", content_type)
}

#[test]
fn grpc_is_held() {
    assert!(!passes(&PeekLayer::new(), head(200, "application/grpc")));
    let proto = head(200, "application/grpc+proto");
    assert!(!passes(&PeekLayer::default(), proto));
}

#[test]
fn anything_else_is_not() {
    let layer = PeekLayer::new();
    assert!(passes(&layer, Response::builder()));
    assert!(passes(&layer, head(200, "application/grpc-web+proto")));
    assert!(passes(&layer, head(200, "text/event-stream")));
    assert!(passes(&layer, head(503, "application/grpc")));
}

#[test]
fn status_in_the_head_is_not_waited_for() {
    let trailers_only = head(200, "application/grpc").header("grpc-status", "14");
    assert!(passes(&PeekLayer::new(), trailers_only));
}

#[test]
fn body_at_its_end_is_not_waited_for() {
    let (body, script) = ScriptedBody::new([Step::End]);
    let every = PeekLayer::new().when(|_| true);
    let response = ready(call(&every, grpc(body.telling_its_end()))).unwrap();
    assert_eq!(script.polls(), 0);
    assert!(FirstTrailers::of(response.extensions()).is_none());
}

#[test]
fn chosen_responses_are_held_instead() {
    let chosen = PeekLayer::new().when(|response| response.headers.contains_key("x-hold"));
    let plain = || head(200, "text/plain");
    assert!(!passes(&chosen, plain().header("x-hold", "")));
    assert!(passes(&chosen, plain()));
    assert!(passes(&chosen, head(200, "application/grpc")));
    let both = PeekLayer::new()
        .when(|response| awaits_grpc_status(response) || response.status == StatusCode::CREATED);
    assert!(!passes(&both, head(200, "application/grpc")));
    assert!(!passes(&both, head(201, "text/plain")));
    assert!(passes(&both, head(202, "text/plain")));
}

#[test]
fn upgrade_is_never_held() {
    let every = PeekLayer::new().when(|_| true);
    assert!(passes(&every, head(101, "application/grpc")));
    for status in [200, 204, 503] {
        assert!(!passes(&every, head(status, "text/plain")), "{status}");
    }
}

#[test]
fn head_and_its_extensions_stay() {
    let (body, _script) = ScriptedBody::new([Step::Trailers(grpc_status("0")), Step::End]);
    let mut response = grpc(body);
    *response.version_mut() = http::Version::HTTP_2;
    response.extensions_mut().insert(7_u8);
    let response = ready(call(&PeekLayer::new(), response)).unwrap();
    assert_eq!(response.version(), http::Version::HTTP_2);
    assert_eq!(response.headers()["content-type"], "application/grpc");
    assert_eq!(response.headers().len(), 1);
    assert_eq!(response.extensions().get(), Some(&7_u8));
    assert_eq!(response.extensions().len(), 2);
}

#[test]
fn error_of_the_service_is_its_own() {
    let refused = std::io::Error::from(std::io::ErrorKind::ConnectionRefused);
    let answer = Err::<Response<String>, BoxError>(refused.into());
    let error = ready(call_with(&PeekLayer::new(), answer)).unwrap_err();
    assert!(error.is::<std::io::Error>(), "{error:?}");
}

#[test]
fn dropped_while_it_holds_it_drops_the_response() {
    let (body, script) = ScriptedBody::new([]);
    let mut call = call(&PeekLayer::new(), grpc(body));
    assert_pending!(call.poll());
    assert!(!script.is_dropped());
    drop(call);
    assert!(script.is_dropped());
}

#[test]
#[should_panic(expected = "polled after its end")]
fn future_that_has_ended_is_not_polled_again() {
    let (body, _script) = ScriptedBody::new([data("hello")]);
    let mut call = call(&PeekLayer::new(), grpc(body));
    assert!(call.poll().is_ready());
    let _ = call.poll();
}

#[tokio::test]
async fn service_below_is_used_as_tower_demands() {
    let service = service_fn(|()| async { Ok::<_, BoxError>(grpc(String::from("hello"))) });
    let mut service = PeekLayer::new().layer(Strict::new(service));
    for _ in 0..2 {
        let response = service.ready().await.unwrap().call(()).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
    }
    service.clone().oneshot(()).await.unwrap();
}
