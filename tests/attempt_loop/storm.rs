//! What the upstreams see when all of them answer 503.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use futures_util::future::join_all;
use tokio::time::sleep;
use tower::{Service, service_fn};
use tower_failover::balance::{Balance, Endpoint};

use crate::support::script::status;
use crate::*;

const REQUESTS: usize = 1_000;

/// How many attempts `REQUESTS` requests make at five upstreams, the request of number `n` coming at
/// `n` times `gap`.
async fn storm(layer: FailoverLayer, gap: Duration) -> usize {
    let attempts = Arc::new(AtomicUsize::new(0));
    let endpoints = (0..5).map(|index| {
        let attempts = Arc::clone(&attempts);
        let service = service_fn(move |_: Request<ReplayBody<Body>>| {
            attempts.fetch_add(1, Relaxed);
            async {
                sleep(20 * MS).await;
                status(503)
            }
        });
        Endpoint::new(format!("upstream {index}"), service)
    });
    let service = layer.layer(Balance::new(endpoints));
    let requests = (0..REQUESTS).map(|number| {
        let mut service = service.clone();
        async move {
            let when = u32::try_from(number).unwrap();
            sleep(gap * when).await;
            let response = service.call(get()).await.unwrap();
            assert_eq!(response.status(), 503);
        }
    });
    join_all(requests).await;
    attempts.load(Relaxed)
}

#[tokio::test(start_paused = true)]
async fn no_storm_by_default() {
    for (what, gap, seconds) in [
        ("all at once", Duration::ZERO, 0),
        ("1,000 a second", MS, 1),
        ("100 a second", 10 * MS, 10),
    ] {
        let attempts = storm(FailoverLayer::default(), gap).await;
        // A second's worth of the floor is there at the start, and then comes with time.
        let floor = 10 * (seconds + 1);
        println!("{what}: {attempts} attempts of {REQUESTS} requests, floor {floor}");
        assert!(
            attempts <= REQUESTS + REQUESTS / 5 + floor,
            "{what}: {attempts}"
        );
        // And what is allowed is used, as far as it can be saved up.
        let least = if gap.is_zero() { 100 } else { REQUESTS / 5 };
        assert!(attempts >= REQUESTS + least, "{what}: {attempts}");
    }
}

#[tokio::test(start_paused = true)]
async fn without_a_budget_there_is_one() {
    let layer = FailoverLayer::default().without_budget();
    assert_eq!(storm(layer, Duration::ZERO).await, 3 * REQUESTS);
}
