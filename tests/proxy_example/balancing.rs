//! Which upstream is chosen.

use tokio::sync::Notify;

use crate::*;

/// An upstream that is well, and how many requests it has got.
pub(super) async fn well() -> (SocketAddr, Arc<AtomicUsize>) {
    server(|_| async { Response::new(Full::default()) }).await
}

/// An upstream whose answers have these statuses, the last of them again and again.
pub(super) async fn answering(statuses: &'static [u16]) -> (SocketAddr, Arc<AtomicUsize>) {
    let answered = Arc::<AtomicUsize>::default();
    server(move |_| {
        let number = answered.fetch_add(1, Ordering::Relaxed);
        let status = statuses[number.min(statuses.len() - 1)];
        async move {
            let response = Response::builder().status(status);
            response.body(Full::default()).unwrap()
        }
    })
    .await
}

/// A proxy before upstreams with options, which tries again as often as it takes.
pub(super) async fn proxy(upstreams: &[(SocketAddr, &str)], arguments: &[&str]) -> Proxy {
    let flag = |(addr, options): &(SocketAddr, &str)| format!("--upstream=http://{addr}{options}");
    let upstreams: Vec<String> = upstreams.iter().map(flag).collect();
    let upstreams = upstreams.iter().map(String::as_str);
    let all: Vec<&str> = upstreams
        .chain(["--budget=off", "--max-attempts=0"])
        .chain(arguments.iter().copied())
        .collect();
    Proxy::start(&all).await
}

/// Sends requests that must succeed; how many of them each upstream got.
pub(super) async fn shares<const N: usize>(
    proxy: &Proxy,
    requests: usize,
    upstreams: [&AtomicUsize; N],
) -> [usize; N] {
    let before = upstreams.map(|count| count.load(Ordering::Relaxed));
    for _ in 0..requests {
        assert_eq!(proxy.get("/").await.0, 200);
    }
    let mut got = upstreams.map(|count| count.load(Ordering::Relaxed));
    for (got, before) in got.iter_mut().zip(before) {
        *got -= before;
    }
    got
}

#[tokio::test]
async fn each_has_its_turn_in_proportion_to_its_weight() {
    for balance in [&[][..], &["--balance=round-robin"]] {
        let [(a, at_a), (b, at_b)] = [well().await, well().await];
        let even = proxy(&[(a, ""), (b, "")], balance).await;
        assert_eq!(shares(&even, 6, [&at_a, &at_b]).await, [3, 3]);
        let weighted = proxy(&[(a, ";weight=2"), (b, "")], balance).await;
        assert_eq!(shares(&weighted, 6, [&at_a, &at_b]).await, [4, 2]);
        assert_eq!(shares(&weighted, 9, [&at_a, &at_b]).await, [6, 3]);
        let other = proxy(&[(a, ""), (b, "; weight = 2")], balance).await;
        assert_eq!(shares(&other, 9, [&at_a, &at_b]).await, [3, 6]);
    }
}

#[tokio::test]
async fn in_order_stays_with_the_first_and_random_does_not() {
    let [(a, at_a), (b, at_b)] = [well().await, well().await];
    let upstreams = [(a, ""), (b, "")];
    let in_order = proxy(&upstreams, &["--balance=in-order"]).await;
    assert_eq!(shares(&in_order, 9, [&at_a, &at_b]).await, [9, 0]);
    let random = proxy(&upstreams, &["--balance=random"]).await;
    let [a, b] = shares(&random, 100, [&at_a, &at_b]).await;
    assert!(a > 0 && b > 0 && a + b == 100, "{a} {b}");
}

#[tokio::test]
async fn least_loaded_passes_by_the_one_that_is_busy() {
    let [begun, finish] = [(); 2].map(|()| Arc::new(Notify::new()));
    let holding = || {
        let (begun, finish) = (Arc::clone(&begun), Arc::clone(&finish));
        server(move |request: Request<Incoming>| {
            let (begun, finish) = (Arc::clone(&begun), Arc::clone(&finish));
            async move {
                if request.uri().path() == "/held" {
                    begun.notify_one();
                    finish.notified().await;
                }
                Response::new(Full::default())
            }
        })
    };
    let [(a, at_a), (b, at_b)] = [holding().await, holding().await];
    let proxy = proxy(&[(a, ""), (b, "")], &["--balance=least-loaded"]).await;
    let held = async {
        let (status, _) = proxy.get("/held").await;
        assert_eq!(status, 200);
    };
    let others = async {
        begun.notified().await;
        let mut got = shares(&proxy, 20, [&at_a, &at_b]).await;
        got.sort_unstable();
        assert_eq!(got, [0, 20]);
        finish.notify_one();
    };
    futures_util::future::join(held, others).await;
}

/// A request with this key, wherever a strategy may look for it.
fn keyed(proxy: &Proxy, key: usize) -> http::request::Builder {
    Request::get(proxy.url(&format!("/{key}")))
        .header("x-key", key)
        .header("cookie", format!("other=1; key={key}"))
}

#[tokio::test]
async fn hash_keeps_a_key_at_one_upstream_and_gives_other_keys_to_others() {
    for balance in ["hash:x-key", "hash-cookie:key", "hash-path"] {
        let [(a, at_a), (b, at_b)] = [well().await, well().await];
        let flag = format!("--balance={balance}");
        let proxy = proxy(&[(a, ""), (b, "")], &[&flag]).await;
        for key in 0..64 {
            let before = at_a.load(Ordering::Relaxed);
            for _ in 0..3 {
                assert_eq!(proxy.send(keyed(&proxy, key), b"").await.0, 200);
            }
            let at_a = at_a.load(Ordering::Relaxed) - before;
            assert!(at_a == 0 || at_a == 3, "{balance} {key}: {at_a} of 3");
        }
        let [a, b] = [&at_a, &at_b].map(|count| count.load(Ordering::Relaxed));
        assert!(a > 0 && b > 0 && a + b == 192, "{balance}: {a} {b}");
    }
}

#[tokio::test]
async fn hash_of_what_a_request_does_not_have_is_each_in_turn() {
    let [(a, at_a), (b, at_b)] = [well().await, well().await];
    let proxy = proxy(&[(a, ""), (b, "")], &["--balance=hash:x-key"]).await;
    assert_eq!(shares(&proxy, 6, [&at_a, &at_b]).await, [3, 3]);
}

#[tokio::test]
async fn keys_of_a_dead_upstream_stay_together_at_others() {
    let (_port, dead) = refusing();
    let [(a, at_a), (b, _)] = [well().await, well().await];
    let flags = [
        "--balance=hash:x-key",
        "--eject-after=0",
        "--attempts-header=x-attempts",
    ];
    let proxy = proxy(&[(dead, ""), (a, ""), (b, "")], &flags).await;
    let mut moved = 0;
    for key in 0..96 {
        let before = at_a.load(Ordering::Relaxed);
        for _ in 0..2 {
            let request = keyed(&proxy, key).body(Full::<Bytes>::default());
            let response = client().request(request.unwrap()).await.unwrap();
            assert_eq!(response.status(), 200);
            moved += usize::from(response.headers()["x-attempts"] == "2");
        }
        let at_a = at_a.load(Ordering::Relaxed) - before;
        assert!(at_a != 1, "{key}");
    }
    assert!(moved > 0 && moved < 192 && moved % 2 == 0, "{moved}");
}

#[tokio::test]
async fn nearer_zone_comes_first_and_others_when_it_is_dead() {
    let [(eu, at_eu), (us, at_us)] = [well().await, well().await];
    let (_port, dead) = refusing();
    let both = [(eu, ";zone=eu"), (us, ";zone=us")];
    let all = [both[0], both[1], (dead, ";zone=ap")];
    for (upstreams, flags, expected) in [
        (&both[..], &[][..], [3, 3]),
        (&both, &["--zone=us"], [0, 6]),
        (&both, &["--zone=eu", "--zone=us"], [6, 0]),
        (&all, &["--zone=ap", "--zone=us"], [0, 6]),
    ] {
        let proxy = proxy(upstreams, flags).await;
        let got = shares(&proxy, 6, [&at_eu, &at_us]).await;
        assert_eq!(got, expected, "{flags:?}");
    }
}

#[tokio::test]
async fn earlier_tier_comes_first_and_a_backup_is_of_the_second() {
    let [(a, at_a), (b, at_b)] = [well().await, well().await];
    let counts = [&*at_a, &*at_b];
    let tiers = proxy(&[(a, ";tier=1"), (b, "")], &[]).await;
    assert_eq!(shares(&tiers, 4, counts).await, [0, 4]);
    let same = proxy(&[(a, ";tier=7"), (b, ";tier=7;zone=eu")], &[]).await;
    assert_eq!(shares(&same, 4, counts).await, [2, 2]);
    for (options, expected) in [("", [2, 2]), (";tier=2", [4, 0]), (";tier=0", [0, 4])] {
        let backup = format!("--backup=http://{b}{options}");
        let proxy = proxy(&[(a, ";tier=1")], &[&backup]).await;
        assert_eq!(shares(&proxy, 4, counts).await, expected, "{options}");
    }
}

#[tokio::test]
async fn part_of_a_sick_tiers_traffic_spills_over_when_asked_for() {
    for (flags, spills) in [(&["--spill-over=1"][..], true), (&[], false)] {
        let [(sick, _), (a, at_a), (next, at_next)] =
            [answering(&[503]).await, well().await, well().await];
        let upstreams = [(sick, ""), (a, ""), (next, ";tier=1")];
        let flags = [flags, &["--eject-after=1", "--balance=in-order"]].concat();
        let proxy = proxy(&upstreams, &flags).await;
        shares(&proxy, 1, []).await;
        let [at_a, at_next] = shares(&proxy, 100, [&at_a, &at_next]).await;
        assert!(at_a > 0 && at_a + at_next == 100);
        assert_eq!(at_next > 0, spills, "{at_next}");
    }
}

#[tokio::test]
async fn zone_that_no_upstream_is_in_is_told() {
    let (well, _) = well().await;
    let upstream = format!("--upstream=http://{well};zone=eu");
    let flags = [&upstream, "--zone=eu", "--zone=ue", "--listen=127.0.0.1:0"];
    let mut command = command(&flags);
    let command = command.env_remove("RUST_LOG").stdout(Stdio::null());
    let command = command.stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut stderr = BufReader::new(child.stderr.take().unwrap()).lines();
    let line = timeout(PATIENCE, stderr.next_line()).await.unwrap();
    let line = line.unwrap().unwrap();
    assert!(line.contains("no upstream is in this zone"), "{line}");
    assert!(line.contains("\"ue\""), "{line}");
}
