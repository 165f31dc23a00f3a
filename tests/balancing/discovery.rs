use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tower::discover::Change;

use crate::*;

type Found = Result<Change<&'static str, Endpoint<Peer>>, &'static str>;

fn discover(
    found: UnboundedReceiver<Found>,
) -> (Balance<Peer>, impl Future<Output = ()> + Send + 'static) {
    let found = futures_util::stream::unfold(found, |mut found| async {
        let change = found.recv().await?;
        Some((change, found))
    });
    Balance::discover_with(Box::pin(found), |_, endpoint| endpoint)
}

fn insert(changes: &UnboundedSender<Found>, endpoint: Endpoint<Peer>, key: &'static str) {
    changes.send(Ok(Change::Insert(key, endpoint))).unwrap();
}

fn listed(balance: &Balance<Peer>) -> String {
    let names: Vec<_> = balance.peers().iter().map(ToString::to_string).collect();
    names.join(" ")
}

#[tokio::test]
async fn updates_apply_without_traffic_and_in_order() {
    let (changes, found) = unbounded_channel();
    let (balance, driver) = discover(found);
    assert_eq!(listed(&balance), "");
    for name in ["a", "b", "c"] {
        insert(&changes, well(name), name);
    }
    changes.send(Ok(Change::Remove("b"))).unwrap();
    drop(changes);
    driver.await;
    // Discovery has ended, and the set stays.
    assert_eq!(listed(&balance), "a c");
    assert_eq!(names(&balance, 4).await, "a c a c");
}

#[tokio::test]
async fn same_key_again_takes_the_place_of_the_old() {
    let (changes, found) = unbounded_channel();
    let (balance, driver) = discover(found);
    insert(&changes, well("a"), "key");
    insert(&changes, well("b"), "other");
    insert(&changes, well("new"), "key");
    drop(changes);
    driver.await;
    assert_eq!(listed(&balance), "new b");
}

#[tokio::test(start_paused = true)]
async fn peer_keeps_its_health_across_an_update() {
    let (changes, found) = unbounded_channel();
    let (balance, driver) = discover(found);
    let balance = balance.eject(2, Duration::from_secs(10));
    let driver = tokio::spawn(driver);
    insert(&changes, peer("a", &[Act::Fail]), "a");
    insert(&changes, well("b").backup(), "b");
    tokio::task::yield_now().await;
    assert_eq!(names(&balance, 3).await, "- - b");
    insert(&changes, well("a"), "a");
    tokio::task::yield_now().await;
    assert_eq!(names(&balance, 1).await, "b");
    tokio::time::advance(Duration::from_secs(10)).await;
    assert_eq!(names(&balance, 1).await, "a");
    driver.abort();
}

#[tokio::test(start_paused = true)]
async fn error_keeps_the_last_set_and_does_not_end_discovery() {
    let (changes, found) = unbounded_channel();
    let (balance, driver) = discover(found);
    insert(&changes, well("a"), "a");
    changes.send(Err("registry unreachable")).unwrap();
    insert(&changes, well("b"), "b");
    drop(changes);
    driver.await;
    assert_eq!(listed(&balance), "a b");
}

#[tokio::test(start_paused = true)]
async fn discovery_that_fails_all_the_time_is_not_asked_all_the_time() {
    let asked = Arc::new(Mutex::new(0));
    let count = Arc::clone(&asked);
    let failing = futures_util::stream::poll_fn(move |_| {
        *count.lock().unwrap() += 1;
        let error: Found = Err("registry unreachable");
        std::task::Poll::Ready(Some(error))
    });
    let (balance, driver) = Balance::discover_with(failing, |_, endpoint| endpoint);
    let driver = tokio::spawn(driver);
    tokio::time::sleep(Duration::from_millis(9_500)).await;
    assert_eq!(*asked.lock().unwrap(), 10);
    drop(balance);
    driver.abort();
}

#[tokio::test]
async fn driver_ends_with_the_first_update_after_the_last_balancer() {
    let (changes, found) = unbounded_channel();
    let (balance, driver) = discover(found);
    let mut driver = Box::pin(driver);
    assert!(futures_util::poll!(&mut driver).is_pending());
    drop(balance);
    insert(&changes, well("a"), "a");
    assert!(futures_util::poll!(&mut driver).is_ready());
}

#[tokio::test]
async fn set_stays_when_its_driver_is_dropped() {
    let (changes, found) = unbounded_channel();
    let (balance, driver) = discover(found);
    insert(&changes, well("a"), "a");
    let mut driver = Box::pin(driver);
    assert!(futures_util::poll!(&mut driver).is_pending());
    drop(driver);
    assert_eq!(names(&balance, 1).await, "a");
}

#[tokio::test]
async fn flood_of_changes_lets_others_run() {
    let (changes, found) = unbounded_channel();
    let (balance, driver) = discover(found);
    for _ in 0..10_000 {
        insert(&changes, well("a"), "a");
    }
    let mut driver = Box::pin(driver);
    assert!(futures_util::poll!(&mut driver).is_pending());
    assert_eq!(listed(&balance), "a");
}

#[tokio::test]
async fn plain_discovery_names_its_peers_by_key() {
    let found = tower::discover::ServiceList::new([well("x"), well("y")].map(|_| {
        Peer::new(service_fn(|_: Request<Body>| async {
            Ok::<_, io::Error>(Response::new(Full::default()))
        }))
    }));
    let (balance, driver) = Balance::discover(found);
    let mut driver = Box::pin(driver);
    let _ = futures_util::poll!(&mut driver);
    assert_eq!(listed(&balance), "0 1");
}

#[tokio::test(start_paused = true)]
async fn error_is_seen_until_the_next_update() {
    let (changes, found) = unbounded_channel();
    let (balance, driver) = discover(found);
    let driver = tokio::spawn(driver);
    insert(&changes, well("a"), "a");
    changes.send(Err("registry unreachable")).unwrap();
    tokio::task::yield_now().await;
    tokio::time::advance(Duration::from_millis(400)).await;
    let error = balance.snapshot().discovery_error.unwrap();
    assert_eq!(
        (error.error.as_str(), error.ago.as_millis()),
        ("\"registry unreachable\"", 400)
    );
    assert_eq!(listed(&balance), "a");
    insert(&changes, well("b"), "b");
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(balance.snapshot().discovery_error.is_none());
    assert_eq!(listed(&balance), "a b");
    driver.abort();
}

#[tokio::test(start_paused = true)]
async fn request_waits_for_what_is_discovered_first_and_not_when_discovery_is_over() {
    let (changes, found) = unbounded_channel();
    let (balance, driver) = discover(found);
    let driver = tokio::spawn(driver);
    let mut sending = Box::pin(send(&balance));
    assert!(futures_util::poll!(&mut sending).is_pending());
    insert(&changes, well("a"), "a");
    assert_eq!(sending.await.unwrap(), "a");
    changes.send(Ok(Change::Remove("a"))).unwrap();
    drop(changes);
    driver.await.unwrap();
    let start = tokio::time::Instant::now();
    assert!(send(&balance).await.unwrap_err().is::<NoPeer>());
    assert!(start.elapsed().is_zero());
}
