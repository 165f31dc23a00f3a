//! Below a failover, over real HTTP/2 servers.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::Relaxed},
};

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use tower::{Layer, ServiceExt};
use tower_failover::{
    Error, FailoverLayer, ReplayBody,
    balance::{Balance, Endpoint, InOrder},
    peek::PeekLayer,
    policy::{SafeToRepeat, Standard},
    report::Report,
    upstream::UpstreamBodyError,
};

use super::servers::{Body, Http, body, serve};
use crate::{frames, grpc, grpc_status, in_time, trailers};

/// Where the layer stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    AboveTheBalancer,
    BelowTheBalancer,
    Nowhere,
}

const BOTH: [Place; 2] = [Place::AboveTheBalancer, Place::BelowTheBalancer];

/// Two servers, of which the first is asked first.
struct Peers {
    bases: [String; 2],
    calls: [Arc<AtomicUsize>; 2],
}

impl Peers {
    async fn start(
        first: impl Fn(Request<Incoming>) -> Response<Body> + Clone + Send + 'static,
        second: impl Fn(Request<Incoming>) -> Response<Body> + Clone + Send + 'static,
    ) -> Self {
        let calls: [Arc<AtomicUsize>; 2] = Default::default();
        Self {
            bases: [
                serve(counted(first, &calls[0])).await,
                serve(counted(second, &calls[1])).await,
            ],
            calls,
        }
    }

    fn calls(&self) -> [usize; 2] {
        [0, 1].map(|peer: usize| self.calls[peer].load(Relaxed))
    }

    async fn call(&self, place: Place, request: Request<Full<Bytes>>) -> Response<Body> {
        let policy = Standard::new("connect-failure,reset,grpc:14".parse().unwrap());
        let layer = FailoverLayer::new(policy);
        let response = in_time(self.call_through(layer, place, request)).await;
        response.unwrap()
    }

    async fn call_through(
        &self,
        layer: FailoverLayer,
        place: Place,
        request: Request<Full<Bytes>>,
    ) -> Result<Response<Body>, Error> {
        let pool = Http::Two.pool::<ReplayBody<_>>();
        let upstreams = self
            .bases
            .each_ref()
            .map(|base| pool.upstream(base).unwrap());
        let peek = PeekLayer::new();
        match place {
            Place::AboveTheBalancer => {
                let peers = peek.layer(Balance::new(upstreams).pick(InOrder));
                let response = layer.layer(peers).oneshot(request).await;
                response.map(boxed)
            }
            Place::BelowTheBalancer => {
                let peers = upstreams.map(|upstream| {
                    let name = upstream.name().to_owned();
                    Endpoint::new(name, peek.layer(upstream))
                });
                let peers = Balance::new(peers).pick(InOrder);
                let response = layer.layer(peers).oneshot(request).await;
                response.map(boxed)
            }
            Place::Nowhere => {
                let peers = Balance::new(upstreams).pick(InOrder);
                let response = layer.layer(peers).oneshot(request).await;
                response.map(boxed)
            }
        }
    }
}

fn counted(
    answer: impl Fn(Request<Incoming>) -> Response<Body> + Clone + Send + 'static,
    calls: &Arc<AtomicUsize>,
) -> impl Fn(Request<Incoming>) -> Response<Body> + Clone + Send + 'static {
    let calls = Arc::clone(calls);
    move |request| {
        calls.fetch_add(1, Relaxed);
        answer(request)
    }
}

fn boxed<B>(response: Response<B>) -> Response<Body>
where
    B: http_body::Body<Data = Bytes, Error = UpstreamBodyError> + Send + 'static,
{
    response.map(|body| body.map_err(Into::into).boxed_unsync())
}

/// A call of gRPC, which is a POST always, that its user declares safe to repeat.
fn repeatable() -> Request<Full<Bytes>> {
    let mut request = once();
    request.extensions_mut().insert(SafeToRepeat(true));
    request
}

fn once() -> Request<Full<Bytes>> {
    let request = Request::post("/service/method").header("content-type", "application/grpc");
    request.body(Full::from("message")).unwrap()
}

fn told(trailers: HeaderMap) -> impl Fn(Request<Incoming>) -> Response<Body> + Clone + Send {
    move |_| grpc(body(&[], Some(trailers.clone())))
}

fn well(_: Request<Incoming>) -> Response<Body> {
    grpc(body(&["hello", "world"], Some(grpc_status("0"))))
}

#[tokio::test]
async fn failure_told_in_first_trailers_goes_to_the_next_peer() {
    for place in BOTH {
        let peers = Peers::start(told(grpc_status("14")), well).await;
        let response = peers.call(place, repeatable()).await;
        let report = Report::of(response.extensions()).unwrap();
        assert_eq!(report.attempts().len(), 2);
        let status = format!("{:?}", grpc_status("0"));
        let frames = frames(response.into_body()).await;
        assert_eq!(frames, ["hello", "world", &status], "{place:?}");
        assert_eq!(peers.calls(), [1, 1]);
    }
}

#[tokio::test]
async fn without_the_layer_it_is_the_clients() {
    let peers = Peers::start(told(grpc_status("14")), well).await;
    let response = peers.call(Place::Nowhere, repeatable()).await;
    let frames = frames(response.into_body()).await;
    assert_eq!(frames, [format!("{:?}", grpc_status("14"))]);
    assert_eq!(peers.calls(), [1, 0]);
}

#[tokio::test]
async fn success_takes_one_attempt() {
    for place in BOTH {
        let peers = Peers::start(well, well).await;
        let response = peers.call(place, repeatable()).await;
        assert!(Report::of(response.extensions()).is_none());
        let status = format!("{:?}", grpc_status("0"));
        let frames = frames(response.into_body()).await;
        assert_eq!(frames, ["hello", "world", &status], "{place:?}");
        assert_eq!(peers.calls(), [1, 0]);
    }
}

#[tokio::test]
async fn other_status_in_first_trailers_is_delivered() {
    for place in BOTH {
        let peers = Peers::start(told(grpc_status("5")), well).await;
        let response = peers.call(place, repeatable()).await;
        let frames = frames(response.into_body()).await;
        assert_eq!(frames, [format!("{:?}", grpc_status("5"))], "{place:?}");
        assert_eq!(peers.calls(), [1, 0]);
    }
}

#[tokio::test]
async fn failure_told_behind_a_message_is_delivered() {
    let late = |_| grpc(body(&["hello"], Some(grpc_status("14"))));
    for place in BOTH {
        let peers = Peers::start(late, well).await;
        let response = peers.call(place, repeatable()).await;
        let status = format!("{:?}", grpc_status("14"));
        let frames = frames(response.into_body()).await;
        assert_eq!(frames, ["hello", &status], "{place:?}");
        assert_eq!(peers.calls(), [1, 0]);
    }
}

#[tokio::test]
async fn failure_told_in_the_head_needs_no_layer_and_passes_it() {
    let trailers_only = |_| {
        let mut response = grpc(body(&[], None));
        response.headers_mut().extend(grpc_status("14"));
        response
    };
    for place in [BOTH[0], BOTH[1], Place::Nowhere] {
        let peers = Peers::start(trailers_only, well).await;
        let response = peers.call(place, repeatable()).await;
        assert_eq!(frames(response.into_body()).await.len(), 3, "{place:?}");
        assert_eq!(peers.calls(), [1, 1]);
    }
}

#[tokio::test]
async fn call_that_is_not_safe_to_repeat_is_not_repeated() {
    for place in BOTH {
        let peers = Peers::start(told(grpc_status("14")), well).await;
        let response = peers.call(place, once()).await;
        let frames = frames(response.into_body()).await;
        assert_eq!(frames, [format!("{:?}", grpc_status("14"))], "{place:?}");
        assert_eq!(peers.calls(), [1, 0]);
    }
}

#[tokio::test]
async fn last_failure_is_delivered_as_it_was_told() {
    let fields = trailers(&[("grpc-status", "14"), ("grpc-message", "second")]);
    for place in BOTH {
        let peers = Peers::start(told(grpc_status("14")), told(fields.clone())).await;
        let response = peers.call(place, repeatable()).await;
        let frames = frames(response.into_body()).await;
        assert_eq!(frames, [format!("{fields:?}")], "{place:?}");
        assert_eq!(peers.calls(), [1, 1]);
    }
}

#[tokio::test]
async fn request_is_sent_again_whole() {
    let echo = |request: Request<Incoming>| {
        let body = request.into_body().map_err(Into::into);
        grpc(body.boxed_unsync())
    };
    for place in BOTH {
        let peers = Peers::start(told(grpc_status("14")), echo).await;
        let response = peers.call(place, repeatable()).await;
        assert_eq!(frames(response.into_body()).await, ["message"], "{place:?}");
    }
}

/// A server that says not to come again says so where it tells its status.
#[tokio::test]
async fn pushback_in_first_trailers_is_heeded() {
    let fields = trailers(&[("grpc-status", "14"), ("grpc-retry-pushback-ms", "-1")]);
    for place in BOTH {
        let peers = Peers::start(told(fields.clone()), well).await;
        let response = peers.call(place, repeatable()).await;
        let frames = frames(response.into_body()).await;
        assert_eq!(frames, [format!("{fields:?}")], "{place:?}");
        assert_eq!(peers.calls(), [1, 0]);
    }
}
