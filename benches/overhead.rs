//! What the layer adds to a call in which nothing fails: a GET with eight headers, a fresh request for each call, over services that
//! answer at once.
//!
//! ```text
//! cargo bench --bench overhead
//! ```

use std::convert::Infallible;

use bytes::Bytes;
use criterion::{BatchSize, Criterion};
use futures_util::FutureExt;
use http::{Request, Response};
use http_body_util::Empty;
use tower::{Layer, Service, ServiceExt, retry, service_fn};
use tower_failover::{
    FailoverLayer, ReplayBody,
    balance::{Balance, Endpoint},
};

type Body = Empty<Bytes>;
type Answer = Result<Response<Body>, Infallible>;

fn request() -> Request<Body> {
    let names = [
        "host",
        "accept",
        "user-agent",
        "cookie",
        "x-a",
        "x-b",
        "x-c",
        "x-d",
    ];
    let request = names
        .iter()
        .fold(Request::get("/path?query"), |request, name| {
            request.header(*name, "a value of a usual length")
        });
    request.body(Body::new()).unwrap()
}

async fn answer<B>(_: Request<B>) -> Answer {
    Ok(Response::new(Body::new()))
}

/// Copies every request and repeats none.
#[derive(Clone)]
struct Never;

impl retry::Policy<Request<Body>, Response<Body>, Infallible> for Never {
    type Future = std::future::Ready<()>;

    fn retry(&mut self, _: &mut Request<Body>, _: &mut Answer) -> Option<Self::Future> {
        None
    }

    fn clone_request(&mut self, request: &Request<Body>) -> Option<Request<Body>> {
        Some(request.clone())
    }
}

fn measure<S>(c: &mut Criterion, name: &str, mut service: S)
where
    S: Service<Request<Body>>,
{
    c.bench_function(name, |bencher| {
        bencher.iter_batched(
            request,
            |request| {
                let ready = service.ready().now_or_never();
                let Some(Ok(ready)) = ready else {
                    panic!("not ready at once");
                };
                assert!(
                    ready.call(request).now_or_never().is_some(),
                    "no answer at once"
                );
            },
            BatchSize::SmallInput,
        );
    });
}

fn overhead(c: &mut Criterion) {
    measure(c, "bare service", service_fn(answer::<Body>));
    let retry = retry::RetryLayer::new(Never).layer(service_fn(answer::<Body>));
    measure(c, "tower retry", retry);
    let replayed = || service_fn(answer::<ReplayBody<Body>>);
    let once = FailoverLayer::default().max_attempts(1);
    measure(c, "failover, one attempt", once.layer(replayed()));
    measure(c, "failover", FailoverLayer::default().layer(replayed()));
    let peers = ["a", "b", "c"].map(|name| Endpoint::new(name, replayed()));
    let balanced = FailoverLayer::default().layer(Balance::new(peers));
    measure(c, "failover over three peers", balanced);
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    overhead(&mut criterion);
    criterion.final_summary();
}
