//! Connections that end while they are idle, or while they are used.

use tower::Layer;
use tower_failover::{
    FailoverLayer, ReplayBody,
    failure::{FailureKind, Stage},
    policy::Standard,
    report::Report,
    trail::{Peer, Trail},
};

use super::super::*;

/// The whole stack, which reports attempts.
fn stack(
    server: &Server,
) -> impl Service<
    Request<Body>,
    Response = Response<impl http_body::Body>,
    Error = tower_failover::Error,
> + Clone {
    let base = format!("http://{}", server.0.local_addr().unwrap());
    let upstream = Pool::<ReplayBody<Body>>::new().upstream(&base).unwrap();
    FailoverLayer::new(Standard::default()).layer(upstream)
}

#[tokio::test]
async fn dead_connections_are_replaced_and_that_is_no_attempt() {
    let server = Server::bind().await;
    let stack = stack(&server);
    let together = || futures_util::future::join_all((0..3).map(|_| stack.clone().oneshot(get())));
    let serve = async {
        let mut ends = [
            server.accept().await,
            server.accept().await,
            server.accept().await,
        ];
        for end in &mut ends {
            end.answer().await;
        }
        ends
    };
    let (responses, ends) = tokio::join!(in_time(together()), serve);
    for response in responses {
        let response = response.unwrap();
        in_time(response.into_body().collect()).await.ok().unwrap();
    }
    drop(ends);
    settle().await;
    let serve = async {
        let mut end = server.accept().await;
        end.head().await;
        let mut body = [0; 4];
        end.0.read_exact(&mut body).await.unwrap();
        end.write("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
            .await;
        body
    };
    let sent = in_time(stack.clone().oneshot(post(full("once"))));
    let (response, body) = tokio::join!(sent, serve);
    let response = response.unwrap();
    assert_eq!(&body, b"once");
    // More than one attempt would be reported.
    assert!(Report::of(response.extensions()).is_none());
}

#[tokio::test]
async fn connection_that_dies_with_the_request_is_not_replaced() {
    let server = Server::bind().await;
    let upstream = server.upstream();
    let trail = Trail::new();
    assert!(trail.choose(&Peer::new("peer"), None));
    let mut request = post(full("once"));
    request.extensions_mut().insert(trail.clone());
    let ask = async {
        read(&upstream, get()).await;
        send(&upstream, request).await
    };
    let serve = async {
        let mut end = server.accept().await;
        end.answer().await;
        end.head().await;
        drop(end);
        let again = tokio::time::timeout(Duration::from_millis(50), server.0.accept());
        assert!(again.await.is_err(), "it connects again");
    };
    let (failed, ()) = tokio::join!(ask, serve);
    let evidence = classify(&*failed.unwrap_err());
    assert_eq!(evidence, (Stage::MaybeProcessed, FailureKind::Reset));
    assert_eq!(trail.reused(), Some(true));
}

#[tokio::test(start_paused = true)]
async fn new_connection_that_ends_before_it_takes_the_request_proves_that_nothing_was_sent() {
    let (wires, ends) = wires(|it| it);
    // Whatever is connected is closed at once.
    drop(ends);
    let pool = PoolOptions::new().build_with(wires);
    let upstream = pool.upstream("http://upstream.test").unwrap();
    let failed = send(&upstream, post(full("once"))).await;
    let evidence = classify(&*failed.unwrap_err());
    assert_eq!(evidence, (Stage::NotSent, FailureKind::Reset));
}

#[tokio::test(start_paused = true)]
async fn connection_that_says_something_while_it_is_idle_is_replaced() {
    let (upstream, mut ends) = wired(PoolOptions::new());
    let (_, mut end) = tokio::join!(read(&upstream, get()), async {
        let mut end = ends.accept().await;
        end.answer().await;
        end
    });
    // As servers do before they close.
    end.write("HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\n\r\n")
        .await;
    let (body, head) = tokio::join!(read(&upstream, post(full(""))), async {
        ends.accept().await.answer().await
    });
    assert_eq!(body, "ok");
    assert!(head.starts_with("POST"));
}

#[tokio::test]
async fn failure_of_a_body_comes_when_its_reader_has_had_a_turn() {
    let server = Server::bind().await;
    let upstream = server.upstream();
    let (response, ()) = tokio::join!(send(&upstream, get()), async {
        let mut end = server.accept().await;
        end.head().await;
        end.write("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\npart")
            .await;
    });
    settle().await;
    let mut body = tokio_test::task::spawn(response.unwrap().into_body());
    let poll = |body: &mut tokio_test::task::Spawn<UpstreamBody>| {
        body.enter(|cx, body| http_body::Body::poll_frame(body, cx))
    };
    let frame = tokio_test::assert_ready!(poll(&mut body)).unwrap().unwrap();
    assert_eq!(frame.into_data().unwrap(), "part");
    while poll(&mut body).is_pending() {
        settle().await;
        assert!(body.is_woken());
    }
    assert!(tokio_test::assert_ready!(poll(&mut body)).is_none());
}

fn classify(error: &(dyn std::error::Error + 'static)) -> (Stage, FailureKind) {
    use tower_failover::failure::{Classify, KnownErrors};
    let evidence = KnownErrors.classify(error).expect("a known error");
    (evidence.stage, evidence.kind)
}
