//! What a call allocates where nothing fails, beside the request, the response and the service that answers.

use std::{
    convert::Infallible,
    future::{Ready, ready},
    task::{Context, Poll, Waker},
};

use allocation_counter::measure;
use bytes::Bytes;
use http::{Request, Response, request};
use http_body_util::Full;
use tower::{Layer, Service, util::MapRequest};
use tower_failover::{
    FailoverLayer, Policy, ReplayBody,
    balance::{Balance, Endpoint, LeastLoaded},
    trail::{Follow, Trail},
};

type Body = Full<Bytes>;

/// Answers at once, and allocates nothing.
#[derive(Clone)]
struct Host;

impl<B> Service<Request<B>> for Host {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Ready<Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<B>) -> Self::Future {
        ready(Ok(Response::new(Body::from("an answer"))))
    }
}

impl<B> Follow<Request<B>> for Host {
    fn follow(&mut self, request: Request<B>, _: Trail) -> Self::Future {
        self.call(request)
    }
}

/// Knows before the first attempt that there will be no other.
#[derive(Clone)]
struct Never;

impl Policy for Never {
    fn may_retry(&mut self, _: &request::Parts) -> bool {
        false
    }
}

fn three() -> Balance<Host> {
    Balance::new(["a", "b", "c"].map(|name| Endpoint::new(name, Host)))
}

fn request(body: &'static str) -> Request<Body> {
    let names = ["host", "accept", "user-agent", "x-a", "x-b", "x-c"];
    let request = Request::get("/path?query");
    let request = names.iter().fold(request, |request, name| {
        request.header(*name, "a value of a usual length")
    });
    request.body(Body::from(body)).unwrap()
}

/// How many allocations a call takes, once the service is warm.
fn allocations<S>(mut service: S, body: &'static str) -> u64
where
    S: Service<Request<Body>>,
{
    let mut call = |request| {
        let mut cx = Context::from_waker(Waker::noop());
        assert!(service.poll_ready(&mut cx).is_ready());
        let answer = std::pin::pin!(service.call(request)).poll(&mut cx);
        assert!(matches!(answer, Poll::Ready(Ok(_))));
    };
    for _ in 0..10 {
        call(request(body));
    }
    let request = request(body);
    // A buffer is counted by reference from its first clone on, and a parser's is from the start.
    drop(request.uri().clone());
    measure(|| call(request)).count_total
}

#[test]
fn balancing_alone_allocates_nothing() {
    assert_eq!(allocations(three(), ""), 0);
    assert_eq!(allocations(three().pick(LeastLoaded), ""), 0);
}

#[test]
fn request_that_is_never_repeated_allocates_nothing() {
    let never = FailoverLayer::new(Never);
    assert_eq!(allocations(never.layer(three()), "a body"), 0);
    let once = FailoverLayer::default().max_attempts(1);
    assert_eq!(allocations(once.layer(three()), "a body"), 0);
}

#[test]
fn head_and_trail_are_one_allocation() {
    let layer = FailoverLayer::default().directly();
    assert_eq!(allocations(layer.layer(three()), ""), 1);
}

#[test]
fn extensions_that_carry_the_trail_are_three_more() {
    let layer = FailoverLayer::default();
    let another = MapRequest::new(three(), |request: Request<ReplayBody<Body>>| request);
    assert_eq!(allocations(layer.layer(three()), ""), 4);
    assert_eq!(allocations(layer.layer(another), ""), 4);
}

#[test]
fn body_that_nobody_reads_is_one_more() {
    let layer = FailoverLayer::default().directly();
    assert_eq!(allocations(layer.layer(three()), "a body"), 2);
}
