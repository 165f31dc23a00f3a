//! Many requests at once, which end in every way, over threads.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use http_body_util::StreamBody;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};

use super::super::*;

const REQUESTS: usize = 2_000;
const AT_ONCE: usize = 32;

/// A server that answers with the request's body, and the most connections that it had at once.
async fn echo() -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let most = Arc::<AtomicUsize>::default();
    let known = Arc::clone(&most);
    tokio::spawn(async move {
        let open = Arc::<AtomicUsize>::default();
        while let Ok((stream, _)) = listener.accept().await {
            let open = Arc::clone(&open);
            let now = open.fetch_add(1, Ordering::Relaxed) + 1;
            known.fetch_max(now, Ordering::Relaxed);
            tokio::spawn(async move {
                let service = service_fn(|request: Request<Incoming>| async {
                    Ok::<_, std::convert::Infallible>(Response::new(request.into_body()))
                });
                let connection = http1::Builder::new();
                let _ = connection
                    .serve_connection(TokioIo::new(stream), service)
                    .await;
                open.fetch_sub(1, Ordering::Relaxed);
            });
        }
    });
    (addr, most)
}

/// A body in pieces, no two requests' the same.
fn body(request: usize) -> (Vec<Bytes>, Body) {
    let pieces: Vec<Bytes> = (0..request % 5)
        .map(|piece| {
            let size = [1, 100, 8_000, 70_000][(request / 5 + piece) % 4];
            format!("{request}.{piece} ").repeat(size / 8 + 1).into()
        })
        .collect();
    let frames = pieces.clone().into_iter();
    let frames = frames.map(|piece| Ok(http_body::Frame::data(piece)));
    let body = StreamBody::new(futures_util::stream::iter(frames));
    (pieces, BodyExt::boxed(body))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_request_gets_its_own_answer_whatever_becomes_of_the_others() {
    let (addr, most) = echo().await;
    let upstream = Pool::new().upstream(&format!("http://{addr}")).unwrap();
    let next = Arc::<AtomicUsize>::default();
    let clients = (0..AT_ONCE).map(|_| {
        let (upstream, next) = (upstream.clone(), Arc::clone(&next));
        tokio::spawn(async move {
            loop {
                let request = next.fetch_add(1, Ordering::Relaxed);
                if request >= REQUESTS {
                    return;
                }
                let (pieces, body) = body(request);
                let sent = send(&upstream, post(body));
                if request % 7 == 0 {
                    // It goes away before it is answered, or just then.
                    let mut sent = Box::pin(sent);
                    for _ in 0..request % 3 {
                        let _ = futures_util::poll!(&mut sent);
                        tokio::task::yield_now().await;
                    }
                    continue;
                }
                let mut answer = sent.await.unwrap().into_body();
                if request % 11 == 0 {
                    // It goes away when it has seen the beginning.
                    let _ = in_time(answer.frame()).await;
                    continue;
                }
                let answer = in_time(answer.collect()).await.unwrap().to_bytes();
                assert!(answer == pieces.concat(), "of request {request}");
            }
        })
    });
    for client in clients.collect::<Vec<_>>() {
        in_time(client).await.unwrap();
    }
    // The server may not have seen yet that some were closed.
    assert!(most.load(Ordering::Relaxed) <= 2 * AT_ONCE);
}
