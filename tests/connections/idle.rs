//! How long idle connections stay.

use std::task::Poll;

use futures_util::poll;
use tokio::time::sleep;

use super::super::*;

const SECOND: Duration = Duration::from_secs(1);

/// The other end of a connection that has served a request.
async fn served(upstream: &Upstream<Body>, ends: &mut Ends) -> End<DuplexStream> {
    let serve = async {
        let mut end = ends.accept().await;
        end.answer().await;
        end
    };
    let (_, end) = tokio::join!(read(upstream, get()), serve);
    end
}

async fn is_closed(end: &mut End<DuplexStream>) -> bool {
    let mut byte = [0];
    match poll!(std::pin::pin!(end.0.read(&mut byte))) {
        Poll::Ready(read) => {
            assert_eq!(read.unwrap(), 0);
            true
        }
        Poll::Pending => false,
    }
}

fn tasks() -> usize {
    tokio::runtime::Handle::current()
        .metrics()
        .num_alive_tasks()
}

#[tokio::test(start_paused = true)]
async fn idle_connection_is_closed_when_its_time_is_over_and_not_before() {
    for (options, seconds) in [
        (PoolOptions::new(), 90),
        (PoolOptions::new().idle_timeout(20 * SECOND), 20),
    ] {
        let (upstream, mut ends) = wired(options);
        let mut end = served(&upstream, &mut ends).await;
        sleep(seconds * SECOND).await;
        assert!(!is_closed(&mut end).await);
        // Its time begins anew when it is used.
        tokio::join!(read(&upstream, get()), end.answer());
        sleep(seconds * SECOND).await;
        assert!(!is_closed(&mut end).await);
        sleep(2 * SECOND).await;
        assert!(is_closed(&mut end).await);
        assert_eq!(ends.count(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn connection_in_use_is_not_idle() {
    let (upstream, mut ends) = wired(PoolOptions::new().idle_timeout(9 * SECOND));
    let mut end = served(&upstream, &mut ends).await;
    let (response, ()) = tokio::join!(send(&upstream, get()), async {
        end.head().await;
        sleep(30 * SECOND).await;
        end.write("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n")
            .await;
    });
    sleep(30 * SECOND).await;
    end.write("ok").await;
    let body = response.unwrap().into_body().collect().await;
    assert_eq!(body.unwrap().to_bytes(), "ok");
}

#[tokio::test(start_paused = true)]
async fn connection_that_the_peer_closes_is_closed_on_this_side_too() {
    let (upstream, mut ends) = wired(PoolOptions::new());
    let mut end = served(&upstream, &mut ends).await;
    end.0.shutdown().await.unwrap();
    assert!(!is_closed(&mut end).await);
    sleep(2 * SECOND).await;
    assert!(is_closed(&mut end).await);
}

#[tokio::test]
async fn socket_that_the_peer_closes_is_closed_on_this_side_too() {
    let server = Server::bind().await;
    let upstream = server.upstream();
    let (_, mut end) = tokio::join!(read(&upstream, get()), async {
        let mut end = server.accept().await;
        end.answer().await;
        end
    });
    end.0.shutdown().await.unwrap();
    // In about a second of real time.
    assert_eq!(end.rest().await, b"");
    drop(upstream);
}

#[tokio::test(start_paused = true)]
async fn task_that_looks_after_idle_connections_is_there_while_there_are_any() {
    let (upstream, mut ends) = wired(PoolOptions::new());
    assert_eq!(tasks(), 0);
    for _ in 0..2 {
        let end = served(&upstream, &mut ends).await;
        assert_eq!(tasks(), 1);
        drop(end);
        sleep(2 * SECOND).await;
        assert_eq!(tasks(), 0);
    }
    let _end = served(&upstream, &mut ends).await;
    drop(upstream);
    sleep(2 * SECOND).await;
    assert_eq!(tasks(), 0);
}

#[tokio::test(start_paused = true)]
async fn connections_are_closed_with_their_pool() {
    let (upstream, mut ends) = wired(PoolOptions::new());
    let mut end = served(&upstream, &mut ends).await;
    drop(upstream);
    assert!(is_closed(&mut end).await);
}

#[tokio::test(start_paused = true)]
async fn without_time_to_be_idle_no_connection_is_kept() {
    let (upstream, mut ends) = wired(PoolOptions::new().idle_timeout(Duration::ZERO));
    for _ in 0..2 {
        let mut end = served(&upstream, &mut ends).await;
        assert!(is_closed(&mut end).await);
    }
    assert_eq!(tasks(), 0);
}

#[tokio::test(start_paused = true)]
async fn many_are_looked_at_in_turns() {
    let (upstream, mut ends) = wired(PoolOptions::new());
    let serve = async {
        let mut all = Vec::new();
        for _ in 0..100 {
            all.push(ends.accept().await);
        }
        for end in &mut all {
            end.answer().await;
        }
        all
    };
    let ask = futures_util::future::join_all((0..100).map(|_| read(&upstream, get())));
    let (_, mut all) = tokio::join!(ask, serve);
    for end in all.iter_mut().step_by(2) {
        end.0.shutdown().await.unwrap();
    }
    sleep(2 * SECOND).await;
    for (index, end) in all.iter_mut().enumerate() {
        assert_eq!(is_closed(end).await, index % 2 == 0, "{index}");
    }
    sleep(91 * SECOND).await;
    for end in &mut all {
        assert!(is_closed(end).await);
    }
}
