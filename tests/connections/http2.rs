//! Connections that requests share.

use std::{
    future::poll_fn,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use futures_util::future::join_all;
use h2::{Reason, server};
use http::Version;
use tokio::{
    sync::Semaphore,
    time::{Instant, sleep},
};
use tower::service_fn;
use tower_failover::failure::{Classify, FailureKind, KnownErrors, Stage};

use super::super::*;

type Handshaken = server::Connection<DuplexStream, Bytes>;

fn http2() -> PoolOptions {
    PoolOptions::new().http2(true)
}

async fn handshake(ends: &mut Ends) -> Handshaken {
    in_time(server::handshake(ends.accept().await.0))
        .await
        .unwrap()
}

/// Writes what there is, and lets nobody else have a turn.
async fn flush(connection: &mut Handshaken) {
    let flushed = poll_fn(|cx| {
        let _ = connection.poll_closed(cx);
        Poll::Ready(())
    });
    flushed.await;
}

/// Answers a request on a connection of its own; its method.
async fn serve_one(ends: &mut Ends) -> http::Method {
    let mut connection = handshake(ends).await;
    let (request, mut respond) = in_time(connection.accept()).await.unwrap().unwrap();
    respond.send_response(Response::new(()), true).unwrap();
    while in_time(connection.accept()).await.is_some() {}
    request.method().clone()
}

/// Answers requests until the connection ends; their URIs.
async fn serve(mut connection: Handshaken) -> Vec<Uri> {
    let mut uris = Vec::new();
    while let Some(Ok((request, mut respond))) = in_time(connection.accept()).await {
        uris.push(request.uri().clone());
        respond.send_response(Response::new(()), true).unwrap();
    }
    uris
}

#[tokio::test(start_paused = true)]
async fn requests_share_one_connection() {
    let (upstream, mut ends) = wired(http2());
    let served = tokio::spawn(async move {
        let connection = handshake(&mut ends).await;
        let served = serve(connection).await.len();
        (served, ends.count())
    });
    for _ in 0..3 {
        let sent = (0..50).map(|_| read(&upstream, get()));
        join_all(sent).await;
    }
    drop(upstream);
    assert_eq!(in_time(served).await.unwrap(), (150, 0));
}

#[tokio::test(start_paused = true)]
async fn connection_that_has_negotiated_http2_is_shared() {
    let (wires, mut ends) = wires(|it| it.negotiated_h2());
    let pool = PoolOptions::new().build_with(wires);
    let upstream = pool.upstream("http://upstream.test:8080").unwrap();
    let served = tokio::spawn(async move {
        let connection = handshake(&mut ends).await;
        (serve(connection).await, ends.count())
    });
    let request = Request::get("/a?b").body(full("")).unwrap();
    let response = send(&upstream, request).await.unwrap();
    assert_eq!(response.version(), Version::HTTP_2);
    drop(response);
    join_all((0..9).map(|_| read(&upstream, get()))).await;
    drop((upstream, pool));
    let (uris, others) = in_time(served).await.unwrap();
    assert_eq!(uris[0], "http://upstream.test:8080/a?b");
    assert_eq!((uris.len(), others), (10, 0));
}

#[tokio::test(start_paused = true)]
async fn connection_that_goes_away_or_ends_is_replaced() {
    for graceful in [true, false] {
        let (upstream, mut ends) = wired(http2());
        let asked = async {
            read(&upstream, get()).await;
            settle().await;
            read(&upstream, post(full("once"))).await;
        };
        let served = async {
            let mut connection = handshake(&mut ends).await;
            let (_, mut respond) = in_time(connection.accept()).await.unwrap().unwrap();
            respond.send_response(Response::new(()), true).unwrap();
            if graceful {
                connection.graceful_shutdown();
                let next = in_time(connection.accept()).await;
                assert!(!matches!(next, Some(Ok(_))), "{next:?}");
            } else {
                // The answer goes out before it ends.
                tokio::select! {
                    _ = connection.accept() => {}
                    () = settle() => {}
                }
            }
            drop(connection);
            let mut connection = handshake(&mut ends).await;
            let (request, mut respond) = in_time(connection.accept()).await.unwrap().unwrap();
            assert_eq!(request.method(), "POST");
            respond.send_response(Response::new(()), true).unwrap();
            while in_time(connection.accept()).await.is_some() {}
        };
        tokio::select! {
            () = asked => {}
            () = served => unreachable!("the pool is there"),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn request_that_a_connection_hands_back_as_it_ends_goes_on_another() {
    let (upstream, mut ends) = wired(http2());
    let serve = async {
        let mut connection = handshake(&mut ends).await;
        let (_, mut respond) = in_time(connection.accept()).await.unwrap().unwrap();
        respond.send_response(Response::new(()), true).unwrap();
        connection
    };
    let mut asked = Box::pin(read(&upstream, get()));
    let mut connection = tokio::select! {
        connection = serve => connection,
        _ = &mut asked => unreachable!("nobody answers"),
    };
    tokio::select! {
        _ = asked => {}
        _ = connection.accept() => unreachable!("nobody asks"),
    }
    connection.abrupt_shutdown(Reason::NO_ERROR);
    flush(&mut connection).await;
    drop(connection);
    // Its end is on the way, and nobody has seen it.
    let served = tokio::spawn(async move { serve_one(&mut ends).await });
    read(&upstream, post(full("once"))).await;
    drop(upstream);
    assert_eq!(in_time(served).await.unwrap(), "POST");
}

#[tokio::test(start_paused = true)]
async fn connection_that_is_used_is_not_idle() {
    let (upstream, mut ends) = wired(http2().idle_timeout(Duration::from_secs(9)));
    let served = tokio::spawn(async move {
        let connection = handshake(&mut ends).await;
        let served = serve(connection).await.len();
        (served, ends.count())
    });
    for _ in 0..9 {
        read(&upstream, get()).await;
        sleep(Duration::from_secs(5)).await;
    }
    drop(upstream);
    assert_eq!(in_time(served).await.unwrap(), (9, 0));
}

#[tokio::test(start_paused = true)]
async fn request_that_is_dropped_while_it_connects_leaves_the_others_theirs() {
    let (wires, mut ends) = wires(|it| it);
    let (gate, connects) = (Arc::new(Semaphore::new(0)), Arc::<AtomicUsize>::default());
    let (open, count) = (Arc::clone(&gate), Arc::clone(&connects));
    let connector = service_fn(move |uri| {
        let (mut wires, gate) = (wires.clone(), Arc::clone(&gate));
        connects.fetch_add(1, Ordering::Relaxed);
        async move {
            gate.acquire().await.unwrap().forget();
            wires.call(uri).await
        }
    });
    let pool = http2().build_with(connector);
    let upstream = pool.upstream("http://upstream.test").unwrap();
    let mut first = tokio_test::task::spawn(send(&upstream, get()));
    tokio_test::assert_pending!(first.poll());
    let others = tokio::spawn(join_all((0..5).map(|_| send(&upstream, get()))));
    settle().await;
    drop(first);
    open.add_permits(1);
    tokio::spawn(async move { serve(handshake(&mut ends).await).await });
    for response in in_time(others).await.unwrap() {
        assert_eq!(response.unwrap().status(), 200);
    }
    assert_eq!(count.load(Ordering::Relaxed), 1);
}

#[tokio::test(start_paused = true)]
async fn request_that_begins_to_wait_when_the_connection_is_there_takes_it() {
    let (mut upstream, mut ends) = wired(http2());
    let [first, second] = [(); 2].map(|()| upstream.call(get()));
    let served = tokio::spawn(async move {
        let connection = handshake(&mut ends).await;
        let served = serve(connection).await.len();
        (served, ends.count())
    });
    for sent in [first, second] {
        assert_eq!(in_time(sent).await.unwrap().status(), 200);
    }
    drop(upstream);
    assert_eq!(in_time(served).await.unwrap(), (2, 0));
}

#[tokio::test(start_paused = true)]
async fn failure_to_connect_is_that_of_all_who_wait_and_of_nobody_after() {
    let connects = Arc::<AtomicUsize>::default();
    let count = Arc::clone(&connects);
    let connector = service_fn(move |_: Uri| {
        connects.fetch_add(1, Ordering::Relaxed);
        async {
            sleep(Duration::from_secs(1)).await;
            Err::<TokioIo<TcpStream>, _>(io::Error::from(io::ErrorKind::ConnectionRefused))
        }
    });
    let pool = http2().build_with(connector);
    let upstream = pool.upstream("http://upstream.test").unwrap();
    for made in 1..3 {
        for response in join_all((0..9).map(|_| send(&upstream, post(full("once"))))).await {
            let evidence = KnownErrors.classify(&*response.unwrap_err()).unwrap();
            let expected = (Stage::NotSent, FailureKind::Connect);
            assert_eq!((evidence.stage, evidence.kind), expected);
        }
        assert_eq!(count.load(Ordering::Relaxed), made);
    }
}

#[tokio::test(start_paused = true)]
async fn preface_that_cannot_be_written_is_no_connection() {
    let (wires, ends) = wires(|it| it);
    drop(ends);
    let pool = http2().build_with(wires);
    let upstream = pool.upstream("http://upstream.test").unwrap();
    let failed = send(&upstream, post(full("once"))).await.unwrap_err();
    let evidence = KnownErrors.classify(&*failed).unwrap();
    assert_eq!(
        (evidence.stage, evidence.kind),
        (Stage::NotSent, FailureKind::Reset)
    );
}

#[tokio::test(start_paused = true)]
async fn idle_connection_is_closed_and_one_with_a_stream_is_not() {
    let (upstream, mut ends) = wired(http2().idle_timeout(Duration::from_secs(9)));
    let ask = async {
        let response = send(&upstream, get()).await.unwrap();
        // A long answer, and nobody asks for another.
        sleep(Duration::from_secs(40)).await;
        let body = in_time(response.into_body().collect()).await;
        assert_eq!(body.unwrap().to_bytes(), "late");
    };
    let served = async {
        let mut connection = handshake(&mut ends).await;
        let (_, mut respond) = in_time(connection.accept()).await.unwrap().unwrap();
        let mut stream = respond.send_response(Response::new(()), false).unwrap();
        tokio::select! {
            _ = connection.accept() => unreachable!("it has a stream"),
            () = sleep(Duration::from_secs(30)) => {}
        }
        stream.send_data("late".into(), true).unwrap();
        // It ends with its last stream.
        assert!(in_time(connection.accept()).await.is_none());
    };
    tokio::join!(ask, served);
    let answered = async {
        let mut connection = handshake(&mut ends).await;
        let (_, mut respond) = in_time(connection.accept()).await.unwrap().unwrap();
        respond.send_reset(Reason::CANCEL);
        assert!(in_time(connection.accept()).await.is_none());
    };
    let (answer, ()) = tokio::join!(send(&upstream, get()), answered);
    assert!(answer.is_err());
}

fn asked_whether_it_is_there() -> PoolOptions {
    http2().http2_keep_alive(Duration::from_secs(10), Duration::from_secs(5))
}

#[tokio::test(start_paused = true)]
async fn hung_connection_fails_its_requests_and_is_replaced() {
    let (upstream, mut ends) = wired(asked_whether_it_is_there());
    let hung = async {
        let mut connection = handshake(&mut ends).await;
        let asked = in_time(connection.accept()).await.unwrap().unwrap();
        (connection, asked)
    };
    let begun = Instant::now();
    let ((_connection, _asked), failed) = tokio::join!(hung, send(&upstream, get()));
    assert_eq!(begun.elapsed().as_secs(), 15);
    let evidence = KnownErrors.classify(&*failed.unwrap_err()).unwrap();
    assert_eq!(
        (evidence.stage, evidence.kind),
        (Stage::MaybeProcessed, FailureKind::Timeout)
    );
    let served = tokio::spawn(async move { serve_one(&mut ends).await });
    assert_eq!(read(&upstream, post(full("a"))).await, "");
    drop(upstream);
    assert_eq!(in_time(served).await.unwrap(), "POST");
}

#[tokio::test(start_paused = true)]
async fn upstream_that_has_hung_while_the_connection_was_idle_is_asked_at_once() {
    let (upstream, mut ends) = wired(asked_whether_it_is_there());
    let served = async {
        let mut connection = handshake(&mut ends).await;
        let (_, mut respond) = in_time(connection.accept()).await.unwrap().unwrap();
        respond.send_response(Response::new(()), true).unwrap();
        flush(&mut connection).await;
        connection
    };
    let (_, _connection) = tokio::join!(read(&upstream, get()), served);
    sleep(Duration::from_secs(40)).await;
    let begun = Instant::now();
    assert!(send(&upstream, get()).await.is_err());
    assert_eq!(begun.elapsed().as_secs(), 5);
}

#[tokio::test(start_paused = true)]
async fn body_breaks_off_when_its_connection_hangs() {
    let (upstream, mut ends) = wired(asked_whether_it_is_there());
    let served = async {
        let mut connection = handshake(&mut ends).await;
        let (_, mut respond) = in_time(connection.accept()).await.unwrap().unwrap();
        let mut stream = respond.send_response(Response::new(()), false).unwrap();
        stream.send_data("ha".into(), false).unwrap();
        flush(&mut connection).await;
        (connection, stream)
    };
    let (response, _served) = tokio::join!(send(&upstream, get()), served);
    let body = in_time(response.unwrap().into_body().collect()).await;
    assert!(body.is_err());
}

#[tokio::test(start_paused = true)]
async fn connection_that_is_slow_to_answer_requests_but_is_there_stays() {
    for options in [asked_whether_it_is_there(), http2()] {
        let (upstream, mut ends) = wired(options);
        let served = async {
            let mut connection = handshake(&mut ends).await;
            let (_, mut respond) = in_time(connection.accept()).await.unwrap().unwrap();
            tokio::select! {
                // It answers pings.
                _ = connection.accept() => unreachable!("it has a stream"),
                () = sleep(Duration::from_secs(50)) => {}
            }
            respond.send_response(Response::new(()), true).unwrap();
            flush(&mut connection).await;
        };
        let (answer, ()) = tokio::join!(send(&upstream, get()), served);
        assert_eq!(answer.unwrap().status(), 200);
    }
}

#[tokio::test(start_paused = true)]
async fn nobody_is_asked_by_default() {
    let (upstream, mut ends) = wired(http2());
    let mut connection = None;
    let served = async {
        let mut handshaken = handshake(&mut ends).await;
        let asked = in_time(handshaken.accept()).await.unwrap().unwrap();
        connection = Some((handshaken, asked));
    };
    let asked = timeout(Duration::from_secs(50), send(&upstream, get()));
    let (answer, ()) = tokio::join!(asked, served);
    assert!(answer.is_err(), "{answer:?}");
}
