//! How long a head is held, on a clock that is stopped.

use std::{
    future::{Ready, ready},
    sync::{Arc, Mutex},
    task::{Context, Poll},
    time::Duration,
};

use futures_util::FutureExt;
use http::{Request, Response};
use tokio::time::{Instant, sleep};
use tower::{Layer, Service, ServiceExt};
use tower_failover::{
    BoxError, FailoverLayer, ReplayBody,
    balance::{Balance, Endpoint, InOrder},
    failure::FailureKind,
    peek::PeekLayer,
};

use crate::{
    data, frames, grpc,
    support::scripted_body::{Script, ScriptedBody, Step},
};

const MS: Duration = Duration::from_millis(1);

type Sent = Request<ReplayBody<ScriptedBody>>;

/// A peer whose heads come at once, and whose bodies begin at once or when the test says so.
#[derive(Clone)]
struct Peer {
    begins: bool,
    scripts: Arc<Mutex<Vec<Script>>>,
}

impl Peer {
    fn new(begins: bool) -> Self {
        Self {
            begins,
            scripts: Arc::default(),
        }
    }

    fn slow() -> Self {
        Self::new(false)
    }

    fn fast() -> Self {
        Self::new(true)
    }

    fn calls(&self) -> usize {
        self.scripts.lock().unwrap().len()
    }

    /// The body of the last response.
    fn last(&self) -> Script {
        let scripts = self.scripts.lock().unwrap();
        scripts.last().expect("a response").clone()
    }
}

impl Service<Sent> for Peer {
    type Response = Response<ScriptedBody>;
    type Error = BoxError;
    type Future = Ready<Result<Self::Response, BoxError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Sent) -> Self::Future {
        let steps = [data("hello"), Step::End];
        let (body, script) = ScriptedBody::new(steps.into_iter().filter(|_| self.begins));
        self.scripts.lock().unwrap().push(script);
        ready(Ok(grpc(body)))
    }
}

/// Peers that are asked in order, each with a layer of its own.
fn peers(peers: &[&Peer]) -> Balance<tower_failover::peek::Peek<Peer>> {
    let names = ["a", "b"].into_iter();
    let endpoints = names
        .zip(peers)
        .map(|(name, peer)| Endpoint::new(name, PeekLayer::new().layer((*peer).clone())));
    Balance::new(endpoints).pick(InOrder)
}

fn get() -> Request<ScriptedBody> {
    let (body, _script) = ScriptedBody::new([Step::End]);
    Request::get("/").body(body.telling_its_end()).unwrap()
}

#[tokio::test(start_paused = true)]
async fn per_try_timeout_ends_the_wait_and_the_next_peer_answers() {
    let (slow, fast) = (Peer::slow(), Peer::fast());
    let layer = FailoverLayer::default().per_try_timeout(100 * MS);
    let start = Instant::now();
    let response = layer.layer(peers(&[&slow, &fast])).oneshot(get()).await;
    assert_eq!(start.elapsed(), 100 * MS);
    assert!(slow.last().is_dropped());
    let frames = frames(response.unwrap().into_body()).await;
    assert_eq!(frames, ["hello"]);
}

/// Without the layer the head ends the attempt, and the client waits for the body.
#[tokio::test(start_paused = true)]
async fn per_try_timeout_does_not_end_what_is_not_held() {
    let (slow, fast) = (Peer::slow(), Peer::fast());
    let endpoints = [("a", &slow), ("b", &fast)];
    let endpoints = endpoints.map(|(name, peer)| Endpoint::new(name, peer.clone()));
    let balance = Balance::new(endpoints).pick(InOrder);
    let layer = FailoverLayer::default().per_try_timeout(100 * MS);
    let response = layer.layer(balance).oneshot(get()).await.unwrap();
    sleep(200 * MS).await;
    assert!(!slow.last().is_dropped());
    slow.last().push(data("late"));
    slow.last().push(Step::End);
    assert_eq!(frames(response.into_body()).await, ["late"]);
    assert_eq!(fast.calls(), 0);
}

#[tokio::test(start_paused = true)]
async fn deadline_ends_the_wait() {
    let slow = Peer::slow();
    let layer = FailoverLayer::default().deadline(300 * MS);
    let start = Instant::now();
    let error = layer
        .layer(peers(&[&slow]))
        .oneshot(get())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), FailureKind::Deadline);
    assert_eq!(start.elapsed(), 300 * MS);
    assert!(slow.last().is_dropped());
}

#[tokio::test(start_paused = true)]
async fn body_that_begins_in_time_is_delivered_then() {
    let (slow, fast) = (Peer::slow(), Peer::fast());
    let layer = FailoverLayer::default().per_try_timeout(100 * MS);
    let start = Instant::now();
    let begin = async {
        sleep(99 * MS).await;
        slow.last().push(data("late"));
    };
    let call = layer.layer(peers(&[&slow, &fast])).oneshot(get());
    let (response, ()) = tokio::join!(call, begin);
    assert_eq!(start.elapsed(), 99 * MS);
    sleep(500 * MS).await;
    slow.last().push(Step::End);
    let frames = frames(response.unwrap().into_body()).await;
    assert_eq!(frames, ["late"]);
    assert_eq!(fast.calls(), 0);
}

/// How often a slow peer is called by two requests, when one failure is enough for its balancer.
async fn calls_of_slow<S, R>(balanced: S, slow: &Peer) -> usize
where
    S: Service<Sent, Response = Response<R>, Error = BoxError> + Clone,
    R: http_body::Body,
{
    let layer = FailoverLayer::default().per_try_timeout(100 * MS);
    for _ in 0..2 {
        layer.layer(balanced.clone()).oneshot(get()).await.unwrap();
    }
    slow.calls()
}

#[tokio::test(start_paused = true)]
async fn wait_is_charged_to_the_peer_by_a_balancer_above() {
    let (slow, fast) = (Peer::slow(), Peer::fast());
    let balance = peers(&[&slow, &fast]).eject(1, Duration::from_secs(30));
    assert_eq!(calls_of_slow(balance, &slow).await, 1);
}

#[tokio::test(start_paused = true)]
async fn wait_is_charged_to_the_peer_by_a_balancer_below() {
    let (slow, fast) = (Peer::slow(), Peer::fast());
    let endpoints = [("a", &slow), ("b", &fast)];
    let endpoints = endpoints.map(|(name, peer)| Endpoint::new(name, peer.clone()));
    let balance = Balance::new(endpoints).pick(InOrder);
    let balance = balance.eject(1, Duration::from_secs(30));
    assert_eq!(
        calls_of_slow(PeekLayer::new().layer(balance), &slow).await,
        1
    );
}

#[tokio::test(start_paused = true)]
async fn client_that_goes_leaves_nothing_behind() {
    let slow = Peer::slow();
    let (body, upload) = ScriptedBody::new([]);
    let request = Request::get("/").body(body).unwrap();
    let service = FailoverLayer::default().layer(peers(&[&slow]));
    let mut call = Box::pin(service.oneshot(request));
    assert!((&mut call).now_or_never().is_none());
    assert!(!slow.last().is_dropped());
    drop(call);
    assert!(slow.last().is_dropped());
    assert!(upload.is_dropped());
}
