//! Whole stacks, of this crate's parts and other people's.

use std::{
    convert::Infallible,
    future::{Pending, pending},
    time::Duration,
};

use axum::Router;
use http::{Request, Response, StatusCode};
use tokio::net::TcpListener;
use tower::{
    Service, ServiceBuilder, ServiceExt,
    balance::p2c,
    discover::ServiceList,
    load::{CompleteOnResponse, PeakEwma, PendingRequests},
    service_fn,
    util::BoxCloneService,
};
use tower_failover::{
    BoxError, FailoverLayer, ReplayBody,
    balance::{Balance, Endpoint, Untried},
    failure::NotSent,
    gateway::GatewayLayer,
    report::Report,
    upstream::Pool,
};

type Replayed = Request<ReplayBody<String>>;

#[tokio::test]
async fn answer_of_the_gateway_carries_the_report() {
    async fn refuse(_: Replayed) -> Result<Response<String>, BoxError> {
        Err(NotSent::new("refused").into())
    }
    let peers = ["a", "b"].map(|name| Endpoint::new(name, service_fn(refuse)));
    let proxy = ServiceBuilder::new()
        .layer(GatewayLayer::new())
        .layer(FailoverLayer::default())
        .service(Balance::new(peers));
    let response = proxy.oneshot(Request::new(String::new())).await.unwrap();
    assert_eq!(response.status(), StatusCode::BAD_GATEWAY);
    let report = response.extensions().get::<Report>();
    assert_eq!(report.map(|report| report.attempts().len()), Some(2));
}

/// A request whose URI is too long to be joined keeps its own authority: its sender, not the base,
/// says where it goes.
#[tokio::test]
async fn upstream_sends_nothing_elsewhere() {
    let elsewhere = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let authority = elsewhere.local_addr().unwrap();
    let app = Router::new().fallback(async || "elsewhere");
    tokio::spawn(async move { axum::serve(elsewhere, app).await });

    let base = format!("http://127.0.0.1:1/{}", "p".repeat(30));
    let upstream = Pool::new().upstream(&base).unwrap();
    let uri = format!("http://{authority}/{}", "a".repeat(65_510));
    let request = Request::get(uri).body(String::new()).unwrap();
    let response = upstream.oneshot(request).await;
    assert!(response.is_err(), "{response:?}");
}

/// Nobody but the request's sender is at fault: it is not tried elsewhere, and no peer is charged.
#[tokio::test]
async fn request_that_cannot_be_sent_is_the_senders_fault() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!(
        "http://{}/{}",
        listener.local_addr().unwrap(),
        "p".repeat(30)
    );
    let app = Router::new().fallback(async || "well");
    tokio::spawn(async move { axum::serve(listener, app).await });
    let pool = Pool::new();
    let proxy = ServiceBuilder::new()
        .layer(GatewayLayer::new())
        .layer(FailoverLayer::default())
        .service(Balance::new([pool.upstream(&base).unwrap()]).eject(1, Duration::from_secs(99)));
    let long = format!("http://other.test/{}", "a".repeat(65_510));
    let requests = [
        Request::get(long).body(String::new()),
        Request::connect("other.test:443").body(String::new()),
        Request::post("/")
            .header("transfer-encoding", "gzip, chunked")
            .body(String::new()),
    ];
    for request in requests {
        let response = proxy.clone().oneshot(request.unwrap()).await.unwrap();
        assert_eq!(response.status(), StatusCode::BAD_REQUEST);
        let report = Report::of(response.extensions()).unwrap();
        assert!(
            report.to_string().ends_with(": request cannot be sent"),
            "{report}"
        );
    }
    let request = Request::get("/").body(String::new()).unwrap();
    let response = proxy.oneshot(request).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
}

type Loaded = BoxCloneService<Replayed, Response<String>, BoxError>;

/// A dead peer has nothing to do, so that two choices prefer it: every pick is refused.
async fn untried_peer_is_found<S>(load: impl Fn(Loaded) -> S)
where
    S: Service<Replayed, Response = Response<String>, Error = BoxError> + tower::load::Load,
    S: Send + 'static,
    S::Future: Send,
    S::Metric: std::fmt::Debug,
{
    async fn dead(_: Replayed) -> Result<Response<String>, BoxError> {
        Err(NotSent::new("refused").into())
    }
    async fn well(request: Replayed) -> Result<Response<String>, BoxError> {
        if request.uri().path() == "/slow" {
            let never: Pending<Infallible> = pending();
            match never.await {}
        }
        Ok(Response::new(String::new()))
    }
    let well = Untried::new("well", load(Loaded::new(service_fn(well))));
    let dead = Untried::new("dead", load(Loaded::new(service_fn(dead))));

    // One request that the peer that is well is busy with.
    let slow = || Replayed::from_parts(parts("/slow"), body());
    let mut busy = well;
    let _slow = busy.ready().await.unwrap().call(slow());

    let peers = p2c::Balance::new(ServiceList::new([busy, dead]));
    let mut service = ServiceBuilder::new()
        .layer(FailoverLayer::default())
        .buffer(16)
        .service(peers);
    let response = service.ready().await.unwrap();
    let response = response.call(Request::new(String::new())).await;
    assert!(response.is_ok(), "{response:?}");
}

#[tokio::test(start_paused = true)]
async fn untried_peer_is_found_although_it_has_more_load() {
    let load = |endpoint| PendingRequests::new(endpoint, CompleteOnResponse::default());
    untried_peer_is_found(load).await;
}

#[tokio::test(start_paused = true)]
async fn untried_peer_is_found_although_it_is_slower() {
    let default = Duration::from_millis(10);
    let decay = 10e9;
    let load = |endpoint| PeakEwma::new(endpoint, default, decay, CompleteOnResponse::default());
    untried_peer_is_found(load).await;
}

fn parts(uri: &str) -> http::request::Parts {
    Request::get(uri).body(()).unwrap().into_parts().0
}

fn body() -> ReplayBody<String> {
    let replay = tower_failover::replay::Replay::new(String::new(), 0);
    replay.start().unwrap()
}

#[test]
fn pool_without_tls_refuses_an_https_base_and_names_it() {
    let error = Pool::<String>::new()
        .upstream("https://a.test")
        .unwrap_err();
    let said = error.to_string();
    assert!(
        said.starts_with("upstream: `https://a.test` is not reachable without TLS"),
        "{said}"
    );
}

#[tokio::test]
async fn asterisk_of_a_prefixed_upstream_is_its_prefix() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}/p", listener.local_addr().unwrap());
    let app = Router::new().fallback(async |head: http::request::Parts| head.uri.to_string());
    tokio::spawn(async move { axum::serve(listener, app).await });
    let request = Request::options("*").body(String::new()).unwrap();
    let upstream = Pool::new().upstream(&base).unwrap();
    let response = upstream.oneshot(request).await.unwrap();
    let body = http_body_util::BodyExt::collect(response.into_body()).await;
    assert_ne!(body.unwrap().to_bytes(), "/p*");
}

/// The first peer has processed the POST; that a redirect's target refuses does not prove otherwise.
#[cfg(feature = "reqwest")]
#[tokio::test]
async fn refused_redirect_does_not_send_a_post_twice() {
    use std::sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    };
    use tower_failover::{balance::InOrder, upstream::ReqwestPool};

    let refusing = tokio::net::TcpSocket::new_v4().unwrap();
    refusing.bind(([127, 0, 0, 1], 0).into()).unwrap();
    let target = format!("http://{}/", refusing.local_addr().unwrap());
    let processed = Arc::new(AtomicUsize::new(0));
    let pool = ReqwestPool::new(reqwest::Client::builder()).unwrap();
    let peers = [0, 1].map(|_| async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let (target, processed) = (target.clone(), Arc::clone(&processed));
        let app = Router::new().fallback(async move |_body: String| {
            processed.fetch_add(1, Relaxed);
            axum::response::Redirect::to(&target)
        });
        tokio::spawn(async move { axum::serve(listener, app).await });
        pool.upstream(&base).unwrap()
    });
    let peers = futures_util::future::join_all(peers).await;
    let service = ServiceBuilder::new()
        .layer(FailoverLayer::default())
        .service(Balance::new(peers).pick(InOrder));
    let post = Request::post("/").body("order".to_owned()).unwrap();
    let response = service.oneshot(post).await;
    assert_eq!(processed.load(Relaxed), 1, "{response:?}");
}

#[test]
fn slash_at_the_end_makes_no_other_peer() {
    let pool = Pool::<ReplayBody<String>>::new();
    for (base, name) in [
        ("http://127.0.0.1:1", "http://127.0.0.1:1"),
        ("http://127.0.0.1:1/", "http://127.0.0.1:1"),
        ("http://127.0.0.1:1/a/", "http://127.0.0.1:1/a"),
        ("http://127.0.0.1:1/a", "http://127.0.0.1:1/a"),
    ] {
        assert_eq!(pool.upstream(base).unwrap().name(), name);
    }
}
