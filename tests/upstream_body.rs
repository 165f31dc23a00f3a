//! What is taken for the end of an upstream's response in HTTP/2.

use std::{convert::Infallible, future::poll_fn, time::Duration};

use bytes::Bytes;
use h2::{Reason, SendStream};
use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt, StreamBody, combinators::BoxBody};
use tokio::net::TcpListener;
use tower::ServiceExt;
use tower_failover::upstream::{PoolOptions, UpstreamBodyError};

type Body = BoxBody<Bytes, Infallible>;

/// What a client reads of a response that begins with `abc`, and that the peer ends by `end`.
async fn read(
    request: Request<Body>,
    end: impl FnOnce(&mut SendStream<Bytes>) + Send + 'static,
) -> Result<Bytes, UpstreamBodyError> {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let peer = async move {
        let (stream, _) = listener.accept().await.unwrap();
        let mut connection = h2::server::handshake(stream).await.unwrap();
        let (_request, mut respond) = connection.accept().await.unwrap().unwrap();
        let mut stream = respond.send_response(Response::new(()), false).unwrap();
        stream.send_data("abc".into(), false).unwrap();
        // The head and the data go first, so that what follows does not overtake them.
        let flushed = poll_fn(|cx| {
            let _ = connection.poll_closed(cx);
            std::task::Poll::Ready(())
        });
        flushed.await;
        end(&mut stream);
        let _ = poll_fn(|cx| connection.poll_closed(cx)).await;
    };
    let peer = tokio::spawn(peer);
    let pool = PoolOptions::new().http2(true).build::<Body>();
    let call = async {
        let response = pool
            .upstream(&base)
            .unwrap()
            .oneshot(request)
            .await
            .unwrap();
        let body = response.into_body().collect().await;
        body.map(|body| body.to_bytes())
    };
    let read = tokio::time::timeout(Duration::from_secs(10), call).await;
    peer.abort();
    read.expect("it ends")
}

fn get() -> Request<Body> {
    Request::new(http_body_util::Empty::new().boxed())
}

/// Its upload does not end.
fn post() -> Request<Body> {
    let body = StreamBody::new(futures_util::stream::pending());
    Request::post("/").body(BodyExt::boxed(body)).unwrap()
}

#[tokio::test]
async fn response_without_an_upload_that_is_reset_is_cut_off() {
    for reason in [Reason::NO_ERROR, Reason::CANCEL, Reason::INTERNAL_ERROR] {
        let read = read(get(), move |stream| stream.send_reset(reason)).await;
        assert!(read.is_err(), "{reason:?}: {read:?}");
    }
}

#[tokio::test]
async fn response_that_comes_before_the_end_of_an_upload_may_stop_it() {
    let read = read(post(), |stream| stream.send_reset(Reason::NO_ERROR));
    assert_eq!(read.await.unwrap(), "abc");
}

#[tokio::test]
async fn response_that_ends_is_whole() {
    let by_data = read(get(), |stream| {
        stream.send_data("def".into(), true).unwrap()
    });
    assert_eq!(by_data.await.unwrap(), "abcdef");
    let by_trailers = read(get(), |stream| {
        stream.send_trailers(HeaderMap::new()).unwrap();
    });
    assert_eq!(by_trailers.await.unwrap(), "abc");
}
