//! Pages of the user's own.

use std::{
    future::Ready,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    task::{Context, Poll},
};

use http::{
    StatusCode, Uri,
    header::{ACCEPT, CONTENT_TYPE},
};
use tower_failover::{
    gateway::{Failed, Gateway, PlainText},
    report::Report,
};

use crate::*;

fn teapot(failed: &Failed<'_>) -> Response<Bytes> {
    let text = format!("{} {}", failed.status().as_u16(), failed.kind());
    let response = Response::builder().status(418).header("x-page", "teapot");
    response.body(text.into()).unwrap()
}

#[tokio::test]
async fn closure_answers_with_its_own_status_headers_and_body() {
    let response = answer_to(GatewayLayer::new().page(teapot), 1, refused).await;
    assert_eq!(response.status(), StatusCode::IM_A_TEAPOT);
    assert_eq!(response.headers()["x-page"], "teapot");
    assert!(!response.headers().contains_key(CONTENT_TYPE));
    assert_eq!(text(response).await, "502 connect failure");
}

#[tokio::test]
async fn closure_may_capture() {
    let brand = Arc::<str>::from("ours");
    let page = move |_: &Failed<'_>| Response::new(Bytes::from(brand.to_string()));
    let response = answer_to(GatewayLayer::new().page(page), 1, refused).await;
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(text(response).await, "ours");
}

#[tokio::test]
async fn page_chosen_at_run_time_is_a_page() {
    type Chosen = Arc<dyn Fn(&Failed<'_>) -> Response<Bytes> + Send + Sync>;
    let pages: [(Chosen, u16); 2] = [
        (Arc::new(teapot), 418),
        (Arc::new(|failed| PlainText.answer((), failed)), 502),
    ];
    for (page, status) in pages {
        let response = answer_to(GatewayLayer::new().page(page), 1, refused).await;
        assert_eq!(response.status().as_u16(), status);
    }
}

#[tokio::test]
async fn response_of_an_upstream_is_not_replaced() {
    let layer = GatewayLayer::new().page(|_: &Failed<'_>| panic!("nothing has failed"));
    let response = answer(layer, service_fn(not_found), get()).await;
    assert_eq!(response.status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn page_sees_the_error_and_its_attempts() {
    let seen = |failed: &Failed<'_>| {
        let error = failed.error().downcast_ref::<tower_failover::Error>();
        let report = failed.report().unwrap();
        let text = format!("{}; {report}; {}", error.unwrap(), failed.attempts());
        Response::new(Bytes::from(text))
    };
    let response = answer_to(GatewayLayer::new().page(seen), 2, refused).await;
    assert_eq!(
        text(response).await,
        "connect failure after 2 attempts; connect failure, connect failure; 2"
    );
}

#[tokio::test]
async fn page_sees_what_a_layer_between_has_made_of_the_error() {
    let seen = |failed: &Failed<'_>| {
        let (error, report) = (failed.error(), failed.report().unwrap());
        Response::new(Bytes::from(format!("{error}: {report}")))
    };
    let failing =
        service_fn(|_: Request<ReplayBody<Body>>| async { Err::<Response<Body>, _>(refused()) });
    let service = ServiceBuilder::new()
        .map_err(Wrapped)
        .layer(FailoverLayer::default().max_attempts(1))
        .service(failing);
    let response = answer(GatewayLayer::new().page(seen), service, get()).await;
    assert_eq!(text(response).await, "wrapped: connect failure");
}

#[tokio::test]
async fn without_a_failover_there_is_one_attempt_and_no_report() {
    let seen = |failed: &Failed<'_>| {
        assert!(failed.report().is_none());
        let text = format!("{}, {}", failed.kind(), failed.attempts());
        Response::new(Bytes::from(text))
    };
    let failing = service_fn(|_: Request<Body>| async { Err(refused()) });
    let response = answer(GatewayLayer::new().page(seen), failing, get()).await;
    assert_eq!(text(response).await, "connect failure, 1");
}

#[tokio::test]
async fn report_is_added_unless_the_page_has_put_one() {
    let response = answer_to(GatewayLayer::new().page(teapot), 2, refused).await;
    let report = Report::of(response.extensions()).unwrap();
    assert_eq!(report.attempts().len(), 2);

    let hiding = |failed: &Failed<'_>| {
        let mut response = teapot(failed);
        response.extensions_mut().insert(Report::default());
        response
    };
    let response = answer_to(GatewayLayer::new().page(hiding), 2, refused).await;
    let report = Report::of(response.extensions()).unwrap();
    assert!(report.attempts().is_empty());
}

/// Answers in JSON or HTML, as the client asked, and names the path.
#[derive(Clone)]
struct Negotiating {
    remembered: Arc<AtomicUsize>,
}

struct Asked {
    json: bool,
    uri: Uri,
}

impl ErrorPage for Negotiating {
    type Context = Asked;

    fn remember<B>(&self, request: &Request<B>) -> Asked {
        self.remembered.fetch_add(1, Relaxed);
        let accept = request.headers().get(ACCEPT);
        let accept = accept.and_then(|accept| accept.to_str().ok());
        Asked {
            json: accept.is_some_and(|accept| accept.contains("application/json")),
            uri: request.uri().clone(),
        }
    }

    fn answer(&self, Asked { json, uri }: Asked, failed: &Failed<'_>) -> Response<Bytes> {
        let (status, path) = (failed.status(), uri.path());
        let (kind, text) = if json {
            ("application/json", format!(r#"{{"path":"{path}"}}"#))
        } else {
            ("text/plain", path.to_owned())
        };
        let response = Response::builder().status(status);
        let response = response.header(CONTENT_TYPE, kind).body(text.into());
        response.unwrap()
    }
}

fn asking(path: &str, accept: &str) -> Request<Body> {
    let request = Request::get(path).header(ACCEPT, accept);
    request.body(Full::default()).unwrap()
}

#[tokio::test]
async fn page_remembers_what_was_asked() {
    let page = Negotiating {
        remembered: Arc::default(),
    };
    let requests = [
        (
            asking("/a", "application/json"),
            "application/json",
            r#"{"path":"/a"}"#,
        ),
        (asking("/b", "text/html"), "text/plain", "/b"),
    ];
    for (request, kind, body) in requests {
        let failing = service_fn(|_: Request<ReplayBody<Body>>| async {
            Err::<Response<Body>, _>(refused())
        });
        let service = ServiceBuilder::new()
            .layer(FailoverLayer::default())
            .service(failing);
        let layer = GatewayLayer::new().page(page.clone());
        let response = answer(layer, service, request).await;
        assert_eq!(response.status(), StatusCode::BAD_GATEWAY);
        assert_eq!(response.headers()[CONTENT_TYPE], kind);
        assert_eq!(text(response).await, body);
    }
    assert_eq!(page.remembered.load(Relaxed), 2);
}

/// A service that is never ready.
#[derive(Clone)]
struct Unready;

impl Service<Request<Body>> for Unready {
    type Response = Response<Body>;
    type Error = NotSent;
    type Future = Ready<Result<Response<Body>, NotSent>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), NotSent>> {
        Poll::Ready(Err(refused()))
    }

    fn call(&mut self, _: Request<Body>) -> Self::Future {
        panic!("called without being ready")
    }
}

#[tokio::test]
async fn page_remembers_for_a_service_that_is_not_ready() {
    let page = Arc::new(Negotiating {
        remembered: Arc::default(),
    });
    let layer = GatewayLayer::new().page(page);
    let response = answer(layer, Unready, asking("/c", "*/*")).await;
    assert_eq!(response.status(), StatusCode::BAD_GATEWAY);
    assert_eq!(text(response).await, "/c");
}

#[test]
fn page_without_context_costs_nothing_on_the_way() {
    type Of<P> = <Gateway<Unready, P> as Service<Request<Body>>>::Future;
    fn size_with<P: ErrorPage + Clone>(_: P) -> usize {
        size_of::<Of<P>>()
    }
    let one = |failed: &Failed<'_>| PlainText.answer((), failed);
    assert_eq!(size_with(one), size_of::<Of<PlainText>>());
    assert_eq!(size_with(teapot), size_of::<Of<PlainText>>());
}
