use std::task::{Context, Poll};

use tokio::sync::watch;
use tower::Service;
use tower_failover::balance::InOrder;

use crate::*;

/// A service that is ready when it is told, and answers with its name.
#[derive(Clone)]
struct Gate {
    name: &'static str,
    open: watch::Receiver<bool>,
    waits: Arc<Mutex<Option<std::pin::Pin<Box<dyn Future<Output = ()> + Send>>>>>,
}

fn gate(name: &'static str, open: bool) -> (Endpoint<Peer>, watch::Sender<bool>) {
    let (sender, receiver) = watch::channel(open);
    let gate = Gate {
        name,
        open: receiver,
        waits: Arc::default(),
    };
    let fresh = move || Gate {
        waits: Arc::default(),
        ..gate.clone()
    };
    (
        Endpoint::new(name, Peer::new(Fresh(fresh(), fresh))),
        sender,
    )
}

/// Each clone waits for itself.
struct Fresh<F>(Gate, F);

impl<F: Fn() -> Gate + Clone> Clone for Fresh<F> {
    fn clone(&self) -> Self {
        Self((self.1)(), self.1.clone())
    }
}

impl<F> Service<Request<Body>> for Fresh<F> {
    type Response = Response<Body>;
    type Error = io::Error;
    type Future = std::future::Ready<io::Result<Response<Body>>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut waits = self.0.waits.lock().unwrap();
        let mut open = self.0.open.clone();
        let wait = waits.get_or_insert_with(|| {
            Box::pin(async move {
                let _ = open.wait_for(|open| *open).await;
            })
        });
        wait.as_mut().poll(cx).map(Ok)
    }

    fn call(&mut self, _: Request<Body>) -> Self::Future {
        let response = Response::builder().header("name", self.0.name);
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
    open.send(true).unwrap();
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
    open.send(true).unwrap();
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
    open.send(true).unwrap();
    assert_eq!(names(&balance, 1).await, "a");
}

#[tokio::test(start_paused = true)]
async fn request_waits_for_some_of_many_and_not_for_all() {
    let gates: Vec<_> = (0..100)
        .map(|number| gate(if number == 99 { "last" } else { "other" }, false))
        .map(|(endpoint, open)| (endpoint, open))
        .collect();
    let (endpoints, opens): (Vec<_>, Vec<_>) = gates.into_iter().unzip();
    let named = endpoints.into_iter().enumerate();
    let balance = Balance::new(named.map(|(number, _)| {
        let (endpoint, _) = gate("x", false);
        let _ = endpoint;
        let open = opens[number].subscribe();
        let gate = Gate {
            name: "x",
            open,
            waits: Arc::default(),
        };
        let fresh = move || Gate {
            waits: Arc::default(),
            ..gate.clone()
        };
        Endpoint::new(number.to_string(), Peer::new(Fresh(fresh(), fresh)))
    }));
    let balance = balance.pick(InOrder);
    let mut sending = Box::pin(send(&balance));
    assert!(futures_util::poll!(&mut sending).is_pending());
    opens[15].send(true).unwrap();
    assert_eq!(sending.await.unwrap(), "x");
}
