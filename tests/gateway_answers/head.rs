//! HEAD: the answer that GET would have had, without its content.

use http::{
    Method,
    header::{CONTENT_LENGTH, CONTENT_TYPE},
};
use http_body::Body as _;
use tower_failover::gateway::Failed;

use crate::*;

async fn head<P: ErrorPage + Clone>(layer: GatewayLayer<P>) -> Answer {
    let failing = service_fn(|_: Request<Body>| async { Err(refused()) });
    let mut request = get();
    *request.method_mut() = Method::HEAD;
    answer(layer, failing, request).await
}

#[tokio::test]
async fn has_no_content_and_its_length() {
    let response = head(GatewayLayer::new()).await;
    assert_eq!(response.status().as_u16(), 502);
    assert_eq!(
        response.headers()[CONTENT_TYPE],
        "text/plain; charset=utf-8"
    );
    assert_eq!(response.headers()[CONTENT_LENGTH], "12");
    assert!(response.body().is_end_stream());
    assert_eq!(text(response).await, "");
}

#[tokio::test]
async fn length_that_the_page_has_set_stays() {
    let page = |_: &Failed<'_>| {
        let response = Response::builder().header(CONTENT_LENGTH, "99");
        response.body(Bytes::from_static(b"short")).unwrap()
    };
    let response = head(GatewayLayer::new().page(page)).await;
    let lengths = response.headers().get_all(CONTENT_LENGTH).iter();
    assert_eq!(lengths.collect::<Vec<_>>(), ["99"]);
    assert_eq!(text(response).await, "");
}

#[tokio::test]
async fn page_without_content_gets_no_length() {
    let page = |_: &Failed<'_>| {
        let response = Response::builder().status(204);
        response.body(Bytes::new()).unwrap()
    };
    let response = head(GatewayLayer::new().page(page)).await;
    assert!(response.headers().is_empty());
    assert!(response.body().is_end_stream());
}

#[tokio::test]
async fn get_has_its_content_and_no_length_of_ours() {
    let failing = service_fn(|_: Request<Body>| async { Err(refused()) });
    let response = answer(GatewayLayer::new(), failing, get()).await;
    assert!(!response.headers().contains_key(CONTENT_LENGTH));
    assert_eq!(response.body().size_hint().exact(), Some(12));
    assert_eq!(text(response).await, "Bad Gateway\n");
}

#[tokio::test]
async fn relayed_response_is_not_touched() {
    let mut request = get();
    *request.method_mut() = Method::HEAD;
    let response = answer(GatewayLayer::new(), service_fn(not_found), request).await;
    assert!(!response.headers().contains_key(CONTENT_LENGTH));
    assert_eq!(text(response).await, "not here");
}
