//! Upstreams that are asked how they are.

use std::sync::{Mutex, atomic::AtomicBool};

use tokio::sync::watch;

use super::admin::{peers, shown};
use crate::*;

/// An upstream whose checks pass, fail or hang as the test says.
struct Checked {
    addr: SocketAddr,
    well: Arc<AtomicBool>,
    /// How many checks it has got.
    checks: watch::Receiver<usize>,
    /// The path and host of the last one.
    seen: Arc<Mutex<(String, String)>>,
    /// How many other requests it has got.
    requests: Arc<AtomicUsize>,
}

impl Checked {
    async fn start(hangs: bool) -> Self {
        let well = Arc::new(AtomicBool::new(true));
        let (count, checks) = watch::channel(0);
        let count = Arc::new(count);
        let seen: Arc<Mutex<(String, String)>> = Arc::default();
        let requests: Arc<AtomicUsize> = Arc::default();
        let state = (Arc::clone(&well), Arc::clone(&seen), Arc::clone(&requests));
        let (addr, _) = server(move |request: Request<Incoming>| {
            let (well, seen, requests) = state.clone();
            let path = request.uri().path().to_owned();
            let check = path.ends_with("/healthz");
            if check {
                assert!(!request.headers().contains_key("x-forwarded-for"));
                let host = request.headers()["host"].to_str().unwrap().to_owned();
                *seen.lock().unwrap() = (path, host);
                count.send_modify(|count| *count += 1);
            } else {
                requests.fetch_add(1, Ordering::Relaxed);
            }
            async move {
                if check && hangs {
                    std::future::pending::<()>().await;
                }
                let passes = !check || well.load(Ordering::Relaxed);
                let response = Response::builder().status(if passes { 200 } else { 500 });
                response.body(Full::default()).unwrap()
            }
        })
        .await;
        Self {
            addr,
            well,
            checks,
            seen,
            requests,
        }
    }

    /// Waits until it is shown in this state, looking after every check that it gets.
    async fn becomes(&mut self, state: &str, admin: SocketAddr) {
        let shown = async {
            while peers(admin).await[0]["state"] != state {
                self.checks.changed().await.unwrap();
            }
        };
        timeout(PATIENCE, shown).await.unwrap();
    }

    /// How many of some requests it gets.
    async fn share_of(&self, requests: usize, proxy: &Proxy) -> usize {
        let before = self.requests.load(Ordering::Relaxed);
        for _ in 0..requests {
            assert_eq!(proxy.get("/").await.0, 200);
        }
        self.requests.load(Ordering::Relaxed) - before
    }
}

#[tokio::test]
async fn upstream_whose_checks_fail_gets_nothing_until_they_pass_again() {
    let mut first = Checked::start(false).await;
    let (well, _) = server(echo).await;
    let upstreams = [first.addr, well].map(|addr| format!("--upstream=http://{addr}/base"));
    let flags = [
        &upstreams[0],
        &upstreams[1],
        "--balance=in-order",
        "--health-path=/healthz",
        "--health-interval=20ms",
    ];
    let (proxy, admin) = shown(&flags).await;
    let checked = timeout(PATIENCE, first.checks.wait_for(|count| *count > 2));
    checked.await.unwrap().unwrap();
    let seen = first.seen.lock().unwrap().clone();
    assert_eq!(seen, ("/base/healthz".to_owned(), first.addr.to_string()));
    assert_eq!(first.share_of(5, &proxy).await, 5);

    first.well.store(false, Ordering::Relaxed);
    first.becomes("down", admin).await;
    let shown = peers(admin).await;
    assert_eq!(
        shown[0]["last_failure"]["fault"],
        "health check: status 500"
    );
    assert_eq!([&shown[0]["failures"], &shown[0]["ejections"]], [0, 0]);
    assert_eq!(shown[1]["state"], "closed");
    assert_eq!(first.share_of(5, &proxy).await, 0);

    first.well.store(true, Ordering::Relaxed);
    first.becomes("closed", admin).await;
    assert_eq!(first.share_of(5, &proxy).await, 5);
}

#[tokio::test]
async fn upstream_that_does_not_answer_a_check_in_time_is_down() {
    let mut hanging = Checked::start(true).await;
    let upstream = format!("--upstream=http://{}", hanging.addr);
    let flags = [
        &upstream,
        "--health-path=/healthz",
        "--health-interval=20ms",
        "--health-timeout=20ms",
    ];
    let (proxy, admin) = shown(&flags).await;
    hanging.becomes("down", admin).await;
    // It is used all the same: there is no other.
    assert_eq!(hanging.share_of(3, &proxy).await, 3);
}

#[tokio::test]
async fn upstreams_are_not_asked_unless_it_is_said() {
    let first = Checked::start(false).await;
    first.well.store(false, Ordering::Relaxed);
    let upstream = format!("--upstream=http://{}", first.addr);
    let (proxy, admin) = shown(&[&upstream]).await;
    assert_eq!(first.share_of(20, &proxy).await, 20);
    assert_eq!(peers(admin).await[0]["state"], "closed");
    assert_eq!(*first.checks.borrow(), 0);
}
