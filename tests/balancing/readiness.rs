use std::{
    sync::{
        OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Waker},
};

use tower::{Layer, Service};
use tower_failover::{
    FailoverLayer, ReplayBody,
    balance::{Handle, InOrder},
    limits::Backoff,
    policy::Standard,
    report::Report,
};

use crate::*;

/// A service that is ready when it is told, and answers with its name.
#[derive(Clone)]
pub(crate) struct Gate {
    name: &'static str,
    state: Arc<(AtomicBool, Mutex<Vec<Waker>>)>,
}

impl Gate {
    pub(crate) fn open(&self) {
        self.state.0.store(true, Ordering::SeqCst);
        let waiting = std::mem::take(&mut *self.state.1.lock().unwrap());
        waiting.into_iter().for_each(Waker::wake);
    }
}

/// An endpoint behind a gate.
pub(crate) fn gate(name: &'static str, open: bool) -> (Endpoint<Peer>, Gate) {
    let state = Arc::new((AtomicBool::new(open), Mutex::default()));
    let gate = Gate { name, state };
    (Endpoint::new(name, Peer::new(gate.clone())), gate)
}

impl Service<Request<Body>> for Gate {
    type Response = Response<Body>;
    type Error = io::Error;
    type Future = std::future::Ready<io::Result<Response<Body>>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.state.1.lock().unwrap().push(cx.waker().clone());
        if self.state.0.load(Ordering::SeqCst) {
            Poll::Ready(Ok(()))
        } else {
            Poll::Pending
        }
    }

    fn call(&mut self, _: Request<Body>) -> Self::Future {
        let response = Response::builder().header("name", self.name);
        std::future::ready(Ok(response.body(Full::default()).unwrap()))
    }
}

#[tokio::test(start_paused = true)]
async fn peer_that_is_not_ready_is_passed_over() {
    let ((a, _a), (b, _b)) = (gate("a", false), gate("b", true));
    let balance = Balance::new([a, b]).pick(InOrder);
    assert_eq!(names(&balance, 3).await, "b b b");
}

#[tokio::test(start_paused = true)]
async fn peer_that_is_ready_is_not_passed_over() {
    let ((a, _a), (b, _b)) = (gate("a", true), gate("b", true));
    let balance = Balance::new([a, b]).pick(InOrder);
    assert_eq!(names(&balance, 3).await, "a a a");
}

#[tokio::test(start_paused = true)]
async fn backup_stands_in_for_peers_that_are_not_ready() {
    let ((a, _a), (b, _b), (c, _c)) = (gate("a", false), gate("b", false), gate("c", true));
    let balance = Balance::new([a, b, c.backup()]);
    assert_eq!(names(&balance, 2).await, "c c");
}

#[tokio::test(start_paused = true)]
async fn first_that_becomes_ready_is_taken_where_none_is() {
    let ((a, _a), (b, open)) = (gate("a", false), gate("b", false));
    let balance = Balance::new([a, b]).pick(InOrder);
    let mut sending = Box::pin(send(&balance));
    assert!(futures_util::poll!(&mut sending).is_pending());
    assert!(futures_util::poll!(&mut sending).is_pending());
    open.open();
    assert_eq!(sending.await.unwrap(), "b");
}

#[tokio::test(start_paused = true)]
async fn sick_peer_does_not_stand_in_for_a_busy_one() {
    let (busy, open) = gate("busy", false);
    let balance = Balance::new([peer("sick", &[Act::Fail, Act::Answer(200)]), busy]);
    let balance = balance.pick(InOrder).eject(1, Duration::from_secs(9));
    assert_eq!(names(&balance, 1).await, "-");
    let mut sending = Box::pin(send(&balance));
    assert!(futures_util::poll!(&mut sending).is_pending());
    open.open();
    assert_eq!(sending.await.unwrap(), "busy");
}

#[tokio::test(start_paused = true)]
async fn request_that_waits_is_not_in_flight() {
    let (a, open) = gate("a", false);
    let balance = Balance::new([a]);
    let mut sending = Box::pin(send(&balance));
    assert!(futures_util::poll!(&mut sending).is_pending());
    assert_eq!(balance.snapshot().peers[0].in_flight, 0);
    drop(sending);
    open.open();
    assert_eq!(names(&balance, 1).await, "a");
}

#[tokio::test(start_paused = true)]
async fn request_waits_for_some_of_many_and_not_for_all() {
    let (endpoints, gates): (Vec<_>, Vec<_>) = (0..100)
        .map(|number: u32| {
            let (_, gate) = gate("x", false);
            let endpoint = Endpoint::new(number.to_string(), Peer::new(gate.clone()));
            (endpoint, gate)
        })
        .unzip();
    let balance = Balance::new(endpoints).pick(InOrder);
    let mut sending = Box::pin(send(&balance));
    assert!(futures_util::poll!(&mut sending).is_pending());
    gates[15].open();
    assert_eq!(sending.await.unwrap(), "x");
}

#[tokio::test(start_paused = true)]
async fn request_looks_at_more_peers_than_it_waits_for() {
    for (ready, found) in [(63, true), (64, false)] {
        let mut endpoints = Vec::new();
        for number in 0..100 {
            let (_, gate) = gate("x", number == ready);
            endpoints.push(Endpoint::new(number.to_string(), Peer::new(gate)));
        }
        let balance = Balance::new(endpoints).pick(InOrder);
        let sent = futures_util::poll!(Box::pin(send(&balance)));
        assert_eq!(sent.is_ready(), found, "{ready}");
    }
}

#[tokio::test(start_paused = true)]
async fn peer_that_starts_slowly_stands_in_for_a_busy_one() {
    let (busy, _busy) = gate("busy", false);
    let (balance, handle) = Balance::with_handle([busy]);
    let balance = balance.pick(InOrder);
    let balance = balance.slow_start(Duration::from_secs(100));
    handle.insert(well("new"));
    for _ in 0..20 {
        let sending = tokio::time::timeout(Duration::from_millis(1), send(&balance));
        assert_eq!(sending.await.expect("one is ready").unwrap(), "new");
    }
}

/// Answers 503, and is never ready again if it is told so.
#[derive(Clone)]
struct Tired {
    name: &'static str,
    tires: bool,
    gone: Arc<AtomicBool>,
}

impl Service<Request<ReplayBody<Body>>> for Tired {
    type Response = Response<Body>;
    type Error = io::Error;
    type Future = std::future::Ready<io::Result<Response<Body>>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.gone.load(Ordering::SeqCst) {
            Poll::Pending
        } else {
            Poll::Ready(Ok(()))
        }
    }

    fn call(&mut self, _: Request<ReplayBody<Body>>) -> Self::Future {
        self.gone.store(self.tires, Ordering::SeqCst);
        let response = Response::builder().status(503).header("name", self.name);
        std::future::ready(Ok(response.body(Body::default()).unwrap()))
    }
}

#[tokio::test(start_paused = true)]
async fn tried_peer_that_is_not_ready_does_not_hide_who_of_the_others_was_tried_least() {
    let peers = [("a", true), ("b", false), ("c", false)].map(|(name, tires)| {
        let gone = Arc::default();
        Endpoint::new(name, Tired { name, tires, gone })
    });
    let balance = Balance::new(peers).pick(InOrder).eject(0, Duration::ZERO);
    let policy = Standard::default().reuse_tried(true).backoff(Backoff::NONE);
    let layer = FailoverLayer::new(policy).max_attempts(7).without_budget();
    let response = layer.layer(balance).oneshot(Request::new(Body::default()));
    let response = response.await.unwrap();
    let report = Report::of(response.extensions()).unwrap();
    let attempts = report.attempts().iter();
    let peers = attempts.map(|tried| tried.peer().unwrap().to_string());
    assert_eq!(peers.collect::<Vec<_>>().join(" "), "a b c b c b c");
}

#[tokio::test(start_paused = true)]
async fn last_peer_that_leaves_while_it_is_waited_for_leaves_the_request_waiting_for_another() {
    for trail in [None, Some(Trail::new())] {
        let (a, open) = gate("a", false);
        let (balance, handle) = Balance::with_handle([a]);
        let mut sending = Box::pin(send_on(&balance, trail.as_ref()));
        assert!(futures_util::poll!(&mut sending).is_pending());
        assert!(handle.remove("a"));
        open.open();
        assert!(futures_util::poll!(&mut sending).is_pending());
        handle.insert(well("b"));
        assert_eq!(sending.await.unwrap(), "b");
    }
}

/// Is ready, and has left the set by then.
#[derive(Clone)]
struct Leaves(Arc<OnceLock<Handle<Peer>>>);

impl Service<Request<Body>> for Leaves {
    type Response = Response<Body>;
    type Error = io::Error;
    type Future = std::future::Ready<io::Result<Response<Body>>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let Some(handle) = self.0.get() {
            handle.remove("leaves");
        }
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _request: Request<Body>) -> Self::Future {
        unreachable!("it has left")
    }
}

#[tokio::test]
async fn peer_that_leaves_as_it_is_chosen_is_not_called_and_another_is() {
    for trail in [None, Some(Trail::new())] {
        let left = Arc::default();
        let leaves = Endpoint::new("leaves", Peer::new(Leaves(Arc::clone(&left))));
        let (balance, handle) = Balance::with_handle([leaves, well("stays")]);
        let balance = balance.pick(InOrder);
        assert!(left.set(handle).is_ok());
        assert_eq!(send_on(&balance, trail.as_ref()).await.unwrap(), "stays");
    }
}
