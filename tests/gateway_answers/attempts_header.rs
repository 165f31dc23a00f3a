//! How many attempts a request took, in a header.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::Relaxed},
};

use http::HeaderName;
use tower_failover::{gateway::Failed, trail::NoPeer};

use crate::*;

const ATTEMPTS: HeaderName = HeaderName::from_static("x-attempts");

/// The header's values.
fn attempts(response: &Answer) -> Vec<&str> {
    let values = response.headers().get_all(ATTEMPTS).iter();
    values.map(|value| value.to_str().unwrap()).collect()
}

fn layer() -> GatewayLayer {
    GatewayLayer::new().attempts_header(ATTEMPTS).unwrap()
}

#[tokio::test]
async fn response_of_the_first_attempt_has_one_in_place_of_what_the_upstream_says() {
    let response = answer(layer(), service_fn(not_found), get()).await;
    assert_eq!(attempts(&response), ["1"]);
}

#[tokio::test]
async fn header_is_not_touched_unless_it_is_asked_for() {
    let response = answer(GatewayLayer::new(), service_fn(not_found), get()).await;
    assert_eq!(attempts(&response), ["from the upstream"]);
    let response = answer_to(GatewayLayer::new(), 2, refused).await;
    assert!(attempts(&response).is_empty());
}

#[tokio::test]
async fn response_of_a_later_attempt_has_their_number() {
    let calls = Arc::new(AtomicUsize::new(0));
    let second_time = service_fn(move |_: Request<ReplayBody<Body>>| {
        let call = calls.fetch_add(1, Relaxed);
        async move {
            match call {
                0 => Err(refused()),
                _ => Ok(Response::new(Body::default())),
            }
        }
    });
    let service = ServiceBuilder::new()
        .layer(FailoverLayer::default())
        .service(second_time);
    let response = answer(layer(), service, get()).await;
    assert_eq!(response.status().as_u16(), 200);
    assert_eq!(attempts(&response), ["2"]);
}

#[tokio::test]
async fn answer_to_an_error_has_those_that_were_made() {
    assert_eq!(attempts(&answer_to(layer(), 1, refused).await), ["1"]);
    assert_eq!(attempts(&answer_to(layer(), 3, refused).await), ["3"]);
    assert_eq!(
        attempts(&answer_to(layer(), 3, NoPeer::exhausted).await),
        ["0"]
    );
}

#[tokio::test]
async fn without_a_failover_a_call_is_one_and_no_peer_is_none() {
    let failing = service_fn(|_: Request<Body>| async { Err(refused()) });
    assert_eq!(attempts(&answer(layer(), failing, get()).await), ["1"]);
    let nobody = service_fn(|_: Request<Body>| async { Err(NoPeer::exhausted()) });
    assert_eq!(attempts(&answer(layer(), nobody, get()).await), ["0"]);
}

#[tokio::test]
async fn what_the_page_says_is_replaced() {
    let page = |_: &Failed<'_>| {
        let response = Response::builder()
            .header(ATTEMPTS, "many")
            .header(ATTEMPTS, "more");
        response.body(Bytes::new()).unwrap()
    };
    let response = answer_to(layer().page(page), 2, refused).await;
    assert_eq!(attempts(&response), ["2"]);
}
