//! A trail that is handed over beside the request.

use std::task::{Context, Poll};

use tower::{Layer, Service};
use tower_failover::{
    FailoverLayer, ReplayBody,
    balance::{InOrder, ResponseBody},
    report::Report,
    trail::{Follow, Told, Trail},
};

use crate::*;

/// What an endpoint was given: the number of the attempt, and where it stood.
type Seen = Arc<Mutex<Vec<(u32, &'static str)>>>;

/// Answers with a status, and writes down how it was given the trail.
#[derive(Clone)]
struct Host {
    status: u16,
    seen: Seen,
}

impl Host {
    fn answer(&self, trail: Option<&Trail>, place: &'static str) -> std::future::Ready<Answer> {
        let attempt = trail.map_or(0, Trail::attempt);
        self.seen.lock().unwrap().push((attempt, place));
        let response = Response::builder().status(self.status);
        std::future::ready(Ok(response.body(Body::default()).unwrap()))
    }
}

type Answer = Result<Response<Body>, BoxError>;

impl Service<Request<ReplayBody<Body>>> for Host {
    type Response = Response<Body>;
    type Error = BoxError;
    type Future = std::future::Ready<Answer>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<ReplayBody<Body>>) -> Self::Future {
        self.answer(Trail::of(request.extensions()), "in the extensions")
    }
}

impl Follow<Request<ReplayBody<Body>>> for Host {
    fn follow(&mut self, request: Request<ReplayBody<Body>>, trail: Trail) -> Self::Future {
        assert!(Trail::of(request.extensions()).is_none());
        self.answer(Some(&trail), "beside")
    }
}

fn hosts([a, b]: [u16; 2]) -> ([Host; 2], Seen) {
    let seen = Seen::default();
    let host = |status| Host {
        status,
        seen: Arc::clone(&seen),
    };
    ([host(a), host(b)], seen)
}

/// Peers `a` and `b`, in order.
fn peers<S: Clone>([a, b]: [S; 2]) -> Balance<S> {
    Balance::new([Endpoint::new("a", a), Endpoint::new("b", b)]).pick(InOrder)
}

/// The statuses of all attempts, as the report tells them.
fn attempts<R>(response: &Response<R>) -> String {
    let report = Report::of(response.extensions());
    report.map_or("one".to_owned(), ToString::to_string)
}

#[tokio::test]
async fn tried_peer_is_excluded_and_the_endpoints_are_given_the_trail_beside_the_request() {
    let (hosts, seen) = hosts([503, 200]);
    let service = FailoverLayer::default().directly().layer(peers(hosts));
    let response = service
        .oneshot(Request::new(Body::default()))
        .await
        .unwrap();
    assert_eq!(attempts(&response), "a: status 503, b: status 200");
    assert_eq!(*seen.lock().unwrap(), [(1, "beside"), (2, "beside")]);
}

#[tokio::test]
async fn told_endpoint_finds_it_in_the_extensions() {
    let (hosts, seen) = hosts([503, 200]);
    let told = peers(hosts.map(Told::new));
    let service = FailoverLayer::default().directly().layer(told);
    let response = service
        .oneshot(Request::new(Body::default()))
        .await
        .unwrap();
    assert_eq!(attempts(&response), "a: status 503, b: status 200");
    let places = [(1, "in the extensions"), (2, "in the extensions")];
    assert_eq!(*seen.lock().unwrap(), places);
}

#[tokio::test]
async fn without_it_the_trail_is_in_the_extensions() {
    let (hosts, seen) = hosts([200, 200]);
    let service = FailoverLayer::default().layer(peers(hosts));
    service
        .oneshot(Request::new(Body::default()))
        .await
        .unwrap();
    assert_eq!(*seen.lock().unwrap(), [(1, "in the extensions")]);
}

#[tokio::test]
async fn balancer_that_is_an_endpoint_hands_it_on() {
    let ([a, b], seen) = hosts([503, 200]);
    let region = |name, host| Balance::new([Endpoint::new(name, host)]);
    let regions = peers([region("one", a), region("other", b)]);
    let service = FailoverLayer::default().directly().layer(regions);
    let response: Response<ResponseBody<ResponseBody<Body>>> = service
        .oneshot(Request::new(Body::default()))
        .await
        .unwrap();
    assert_eq!(attempts(&response), "one: status 503, other: status 200");
    assert_eq!(*seen.lock().unwrap(), [(1, "beside"), (2, "beside")]);
}

#[tokio::test]
async fn request_that_is_sent_once_has_a_trail_only_if_it_is_timed() {
    for (timed, told) in [(false, (0, "in the extensions")), (true, (1, "beside"))] {
        let (hosts, seen) = hosts([200, 200]);
        let mut layer = FailoverLayer::default().max_attempts(1);
        if timed {
            layer = layer.per_try_timeout(Duration::from_secs(1));
        }
        let service = layer.directly().layer(peers(hosts));
        service
            .oneshot(Request::new(Body::default()))
            .await
            .unwrap();
        assert_eq!(*seen.lock().unwrap(), [told]);
    }
}
