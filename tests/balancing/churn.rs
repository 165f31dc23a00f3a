use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use tokio::sync::mpsc;
use tower::{Layer, discover::Change};
use tower_failover::{
    FailoverLayer, ReplayBody,
    balance::{ConsistentHash, LeastLoaded, Pick, RoundRobin},
};

use crate::*;

const PEERS: usize = 1_000;

/// Counts those of a kind that are there.
#[derive(Debug)]
struct Token(Arc<AtomicUsize>);

impl Token {
    fn new(there: &Arc<AtomicUsize>) -> Arc<Self> {
        there.fetch_add(1, Ordering::SeqCst);
        Arc::new(Self(Arc::clone(there)))
    }
}

impl Drop for Token {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

type Replayed = BoxCloneSyncService<Request<ReplayBody<Body>>, Response<Body>, io::Error>;

/// A peer that answers after others have run, or fails if it is to.
fn endpoint(there: &Arc<AtomicUsize>, number: usize) -> Replayed {
    let token = Token::new(there);
    let sick = number % 50 == 0;
    Replayed::new(service_fn(move |_| {
        let token = Arc::clone(&token);
        async move {
            tokio::task::yield_now().await;
            drop(token);
            if sick {
                return Err(io::ErrorKind::ConnectionReset.into());
            }
            Ok::<_, io::Error>(Response::new(Full::default()))
        }
    }))
}

async fn churn(pick: impl Pick + 'static, updates: usize) {
    let there = Arc::new(AtomicUsize::new(0));
    let (changes, found) = mpsc::unbounded_channel();
    let found =
        futures_util::stream::unfold(found, |mut found: mpsc::UnboundedReceiver<_>| async {
            let change = found.recv().await?;
            Some((Ok::<_, Infallible>(change), found))
        });
    let (balance, driver) = Balance::discover(Box::pin(found));
    let balance = balance.pick(pick);
    let driver = tokio::spawn(driver);
    for number in 0..PEERS {
        changes
            .send(Change::Insert(number, endpoint(&there, number)))
            .unwrap();
    }
    let over = Arc::new(AtomicBool::new(false));
    let load: Vec<_> = (0..16)
        .map(|_| {
            let service = FailoverLayer::default()
                .without_budget()
                .layer(balance.clone());
            let over = Arc::clone(&over);
            tokio::spawn(async move {
                let (mut sent, mut lost) = (0, Vec::new());
                while !over.load(Ordering::Relaxed) {
                    let request = Request::get("/").header("x-key", fastrand::u32(..));
                    let request = request.body(Full::<Bytes>::default()).unwrap();
                    let response = service.clone().oneshot(request).await;
                    sent += 1;
                    lost.extend(response.err());
                }
                (sent, lost)
            })
        })
        .collect();
    for update in 0..updates {
        let number = fastrand::usize(..PEERS);
        if update % 2 == 0 {
            changes.send(Change::Remove(number)).unwrap();
        }
        changes
            .send(Change::Insert(number, endpoint(&there, number)))
            .unwrap();
        if update % 100 == 0 {
            tokio::task::yield_now().await;
        }
    }
    // A mark that all before it was applied.
    changes
        .send(Change::Insert(PEERS, endpoint(&there, 1)))
        .unwrap();
    while balance.peers().len() != PEERS + 1 {
        tokio::task::yield_now().await;
    }
    over.store(true, Ordering::Relaxed);
    let mut sent = 0;
    for load in load {
        let (of_one, lost) = load.await.unwrap();
        assert!(lost.is_empty(), "{} lost: {:?}", lost.len(), lost[0]);
        sent += of_one;
    }
    assert!(sent > 1_000, "{sent}");
    let snapshot = balance.snapshot();
    assert_eq!(snapshot.peers.len(), PEERS + 1, "and none that is leaving");
    assert!(snapshot.peers.iter().all(|peer| peer.in_flight == 0));
    assert_eq!(
        there.load(Ordering::SeqCst),
        PEERS + 1,
        "old services are gone"
    );
    drop(changes);
    driver.await.unwrap();
    drop(balance);
    assert_eq!(there.load(Ordering::SeqCst), 0, "and in the end all are");
    println!("{sent} requests during {updates} updates of {PEERS} peers");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn updates_of_a_large_set_lose_no_request_and_leak_nothing() {
    churn(RoundRobin, 100_000).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn updates_of_a_large_set_lose_no_request_by_load_either() {
    churn(LeastLoaded, 20_000).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn updates_of_a_large_set_lose_no_request_by_key_either() {
    let by_key = ConsistentHash::header(http::HeaderName::from_static("x-key"));
    churn(by_key, 20_000).await;
}
