//! Over real connections: what hyper's servers send, and what breaks off.

use std::{
    future::poll_fn,
    sync::{Arc, Mutex},
};

use bytes::Bytes;
use futures_util::poll;
use h2::Reason;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use tokio::net::TcpListener;
use tower::{Layer, ServiceExt};
use tower_failover::peek::{FirstTrailers, PeekLayer};

use super::servers::{Body, Http, body, get, serve, serve_written, telling};
use crate::{frames, grpc, grpc_status, in_time};

fn text(body: Body) -> Response<Body> {
    let response = Response::builder().header("content-type", "text/plain");
    response.body(body).unwrap()
}

#[tokio::test]
async fn frames_of_a_server_pass_one_by_one() {
    for http in Http::BOTH {
        let (layer, head_seen) = telling();
        let (base, mut sender) = serve_written(grpc).await;
        let send = async {
            head_seen.notified().await;
            sender.send_data("hello".into()).await.unwrap();
        };
        let both = async { tokio::join!(get(http, &layer, &base), send) };
        let (response, ()) = in_time(both).await;
        let response = response.unwrap();
        assert!(FirstTrailers::of(response.extensions()).is_none());
        let mut body = response.into_body();
        let hello = in_time(body.frame()).await.unwrap().unwrap();
        assert_eq!(hello.into_data().unwrap(), "hello", "{http:?}");
        sender.send_data("world".into()).await.unwrap();
        let world = in_time(body.frame()).await.unwrap().unwrap();
        assert_eq!(world.into_data().unwrap(), "world", "{http:?}");
        drop(sender);
        assert_eq!(in_time(frames(body)).await.concat(), "");
    }
}

#[tokio::test]
async fn trailers_behind_data_are_not_looked_for() {
    let base = serve(|_| grpc(body(&["hello", "world"], Some(grpc_status("14"))))).await;
    let response = get(Http::Two, &PeekLayer::new(), &base).await.unwrap();
    assert!(FirstTrailers::of(response.extensions()).is_none());
    let frames = frames(response.into_body()).await;
    let expected = ["hello", "world", &format!("{:?}", grpc_status("14"))];
    assert_eq!(frames, expected);
}

#[tokio::test]
async fn trailers_behind_the_head_are_shown() {
    let base = serve(|_| grpc(body(&[], Some(grpc_status("14"))))).await;
    let response = get(Http::Two, &PeekLayer::new(), &base).await.unwrap();
    assert!(!response.headers().contains_key("grpc-status"));
    let shown = FirstTrailers::of(response.extensions()).unwrap();
    assert_eq!(shown.headers(), &grpc_status("14"));
    let frames = frames(response.into_body()).await;
    assert_eq!(frames, [format!("{:?}", grpc_status("14"))]);
}

#[tokio::test]
async fn trailers_in_place_of_the_head_are_a_head() {
    let base = serve(|_| {
        let mut response = grpc(Full::<Bytes>::default());
        response.headers_mut().extend(grpc_status("14"));
        response
    })
    .await;
    let response = get(Http::Two, &PeekLayer::new(), &base).await.unwrap();
    assert_eq!(response.headers()["grpc-status"], "14");
    assert!(FirstTrailers::of(response.extensions()).is_none());
    assert!(frames(response.into_body()).await.is_empty());
}

/// END_STREAM on the head: there is nothing to wait for.
#[tokio::test]
async fn head_alone_passes() {
    let base = serve(|_| grpc(Full::<Bytes>::default())).await;
    for http in Http::BOTH {
        let response = get(http, &PeekLayer::new(), &base).await.unwrap();
        assert!(FirstTrailers::of(response.extensions()).is_none());
        assert!(http_body::Body::is_end_stream(response.body()));
    }
}

/// The server sends no byte of the body before its client has the head.
#[tokio::test]
async fn head_of_another_response_does_not_wait_for_its_body() {
    for http in Http::BOTH {
        let (base, mut sender) = serve_written(text).await;
        let response = get(http, &PeekLayer::new(), &base).await.unwrap();
        sender.send_data("late".into()).await.unwrap();
        drop(sender);
        let frames = frames(response.into_body()).await;
        assert_eq!(frames.concat(), "late", "{http:?}");
    }
}

#[tokio::test]
async fn head_of_grpc_waits_for_its_body() {
    for http in Http::BOTH {
        let (layer, head_seen) = telling();
        let (base, mut sender) = serve_written(grpc).await;
        let mut call = Box::pin(get(http, &layer, &base));
        tokio::select! {
            _ = &mut call => panic!("not held"),
            () = head_seen.notified() => {}
        }
        assert!(poll!(&mut call).is_pending(), "{http:?}");
        sender.send_data("hello".into()).await.unwrap();
        let response = call.await.unwrap();
        drop(sender);
        let frames = frames(response.into_body()).await;
        assert_eq!(frames.concat(), "hello", "{http:?}");
    }
}

#[tokio::test]
async fn client_that_goes_leaves_no_stream_open() {
    let (layer, head_seen) = telling();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    // Others keep the connection open.
    let upstream = Http::Two.pool().upstream(&base).unwrap();
    let request = Request::get("/").body(Full::<Bytes>::default()).unwrap();
    let mut call = Box::pin(layer.layer(upstream.clone()).oneshot(request));
    let peer = async {
        let (stream, _) = listener.accept().await.unwrap();
        let mut connection = h2::server::handshake(stream).await.unwrap();
        let (_, mut respond) = connection.accept().await.unwrap().unwrap();
        let mut stream = respond.send_response(grpc(()), false).unwrap();
        tokio::select! {
            _ = connection.accept() => panic!("the client is gone before its stream"),
            reason = poll_fn(|cx| stream.poll_reset(cx)) => reason.unwrap(),
        }
    };
    let client = async {
        tokio::select! {
            _ = &mut call => panic!("not held"),
            () = head_seen.notified() => {}
        }
        drop(call);
    };
    let (reason, ()) = in_time(async { tokio::join!(peer, client) }).await;
    assert_eq!(reason, Reason::CANCEL);
    drop(upstream);
}

/// Both sides of a gateway are real: nothing of what the layer has seen shows in the frames of the answer.
#[tokio::test]
async fn trailers_that_came_first_come_out_of_a_server_as_they_went_in() {
    let base = serve(|_| grpc(body(&[], Some(grpc_status("14"))))).await;
    let upstream = Http::Two.pool::<Full<Bytes>>().upstream(&base).unwrap();
    let request = Request::get("/").body(Full::default()).unwrap();
    let response = PeekLayer::new().layer(upstream).oneshot(request).await;
    let response = Arc::new(Mutex::new(Some(response.unwrap())));
    let gateway = serve(move |_| response.lock().unwrap().take().expect("called once")).await;
    let upstream = Http::Two.pool::<Full<Bytes>>().upstream(&gateway).unwrap();
    let request = Request::get("/").body(Full::default()).unwrap();
    let response = in_time(upstream.oneshot(request)).await.unwrap();
    assert!(!response.headers().contains_key("content-length"));
    let collected = response.into_body().collect().await.unwrap();
    assert_eq!(collected.trailers(), Some(&grpc_status("14")));
}
