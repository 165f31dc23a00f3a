use std::{
    collections::HashMap,
    task::{Context, Poll, Waker},
};

use super::*;

#[tokio::test(start_paused = true)]
async fn check_that_takes_too_long_has_failed_and_one_that_just_does_not_has_passed() {
    for (takes, expected) in [(1_900, State::Closed), (2_100, State::Down)] {
        let (seen, mut checks) = watch::channel(0);
        let service = service_fn(move |_: Request<Body>| {
            seen.send_modify(|seen| *seen += 1);
            async move {
                tokio::time::sleep(Duration::from_millis(takes)).await;
                Ok::<_, io::Error>(Response::new(Full::default()))
            }
        });
        let balance = Balance::new([Endpoint::new("a", Peer::new(service))]);
        let _checker = run(&balance, check());
        checks.wait_for(|checks| *checks == 4).await.unwrap();
        assert_eq!(state(&balance, "a"), expected);
    }
}

#[tokio::test(start_paused = true)]
async fn next_check_comes_an_interval_after_the_end_of_the_last_one() {
    let (a, balance) = pair(Act::Hang);
    let _checker = run(&balance, check().timeout(3 * SECOND));
    a.after(3).await;
    a.tell(Act::Answer(200));
    a.after(3).await;
    let at = a.checks.borrow();
    let apart = at.windows(2).map(|pair| (pair[1] - pair[0]).as_secs());
    assert_eq!(apart.collect::<Vec<_>>(), [4, 4, 4, 1, 1]);
}

/// A service that is never ready, or fails to be.
#[derive(Clone)]
struct Unready(bool);

impl tower::Service<Request<Body>> for Unready {
    type Response = Response<Body>;
    type Error = io::Error;
    type Future = std::future::Pending<Result<Self::Response, io::Error>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.0 {
            Poll::Ready(Err(io::ErrorKind::ConnectionRefused.into()))
        } else {
            Poll::Pending
        }
    }

    fn call(&mut self, _: Request<Body>) -> Self::Future {
        panic!("called without being ready")
    }
}

#[tokio::test(start_paused = true)]
async fn endpoint_that_is_not_ready_in_time_or_fails_to_be_fails_its_check() {
    for fails in [true, false] {
        let service = Peer::new(Strict::new(Unready(fails)));
        let (balance, mut told) = heard(Balance::new([Endpoint::new("a", service)]));
        let started = Instant::now();
        let _checker = run(&balance, check());
        assert_eq!(told.recv().await.unwrap().to(), State::Down);
        // Three checks, with an interval between them.
        let least = if fails { 2 } else { 8 };
        let took = started.elapsed();
        assert!(took >= least * SECOND && took <= (least + 2) * SECOND);
    }
}

#[tokio::test(start_paused = true)]
async fn first_checks_of_many_peers_are_spread() {
    let at = Arc::new(Mutex::new(Vec::new()));
    let endpoints = (0..1_000).map(|name| {
        let at = Arc::clone(&at);
        let service = service_fn(move |_: Request<Body>| {
            at.lock().unwrap().push(Instant::now());
            async { Ok::<_, io::Error>(Response::new(Full::default())) }
        });
        Endpoint::new(name.to_string(), Peer::new(service))
    });
    let balance = Balance::new(endpoints);
    let started = Instant::now();
    let check = check().interval(60 * SECOND).unwrap().jitter(0.5).unwrap();
    let _checker = run(&balance, check);
    let counts = |from: Duration, length: Duration| {
        let mut counts: HashMap<u128, usize> = HashMap::new();
        for at in &*at.lock().unwrap() {
            let since = at.duration_since(started);
            if since >= from {
                *counts
                    .entry(since.as_millis() / length.as_millis())
                    .or_default() += 1;
            }
        }
        (counts.values().sum::<usize>(), counts.into_values().max())
    };
    tokio::time::sleep(2 * SECOND).await;
    let (all, most) = counts(Duration::ZERO, SECOND / 10);
    assert_eq!(all, 1_000);
    // A hundred in each tenth of a second, give or take.
    assert!(most.unwrap() < 180, "{most:?}");
    tokio::time::sleep(98 * SECOND).await;
    let (_, most) = counts(2 * SECOND, SECOND);
    // Fewer than 20 a second.
    assert!(most.unwrap() < 60, "{most:?}");
}

/// What of a peer's check was polled, and what wakes it.
#[derive(Default)]
struct Polled {
    polls: usize,
    waker: Option<Waker>,
}

#[tokio::test(start_paused = true)]
async fn check_that_wakes_does_not_poll_those_of_others() {
    let all: Vec<_> = (0..100).map(|_| Arc::<Mutex<Polled>>::default()).collect();
    let endpoints = all.iter().enumerate().map(|(name, polled)| {
        let polled = Arc::clone(polled);
        let service = service_fn(move |_: Request<Body>| {
            let polled = Arc::clone(&polled);
            std::future::poll_fn(move |cx| {
                let mut polled = polled.lock().unwrap();
                polled.polls += 1;
                polled.waker = Some(cx.waker().clone());
                Poll::<io::Result<_>>::Pending
            })
        });
        Endpoint::new(name.to_string(), Peer::new(service))
    });
    let balance = Balance::new(endpoints);
    let _checker = run(&balance, check().timeout(60 * SECOND));
    tokio::time::sleep(2 * SECOND).await;
    let polls = || -> Vec<_> { all.iter().map(|p| p.lock().unwrap().polls).collect() };
    let before = polls();
    assert!(before.iter().all(|polls| *polls > 0));
    let waker = all[7].lock().unwrap().waker.clone();
    waker.unwrap().wake();
    tokio::task::yield_now().await;
    let mut expected = before;
    expected[7] += 1;
    assert_eq!(polls(), expected);
}
