//! Connections and streams that end behind the head.

use std::future::poll_fn;

use bytes::Bytes;
use h2::Reason;
use http::{Request, Response};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};
use tower::{Layer, ServiceExt};
use tower_failover::{
    BoxError, FailoverLayer,
    failure::{Classify, Evidence, FailureKind, KnownErrors, Stage},
    peek::FirstTrailers,
};

use super::servers::{Http, get, serve_written, telling, written};
use crate::{frames, grpc, grpc_status, in_time};

fn reset() -> Option<Evidence> {
    let (stage, kind) = (Stage::MaybeProcessed, FailureKind::Reset);
    Some(Evidence { stage, kind })
}

/// A server whose handler fails behind the head: a stream reset by HTTP/2, a connection cut by HTTP/1.
#[tokio::test]
async fn body_that_a_server_breaks_off_first_fails_the_call() {
    for http in Http::BOTH {
        let (layer, head_seen) = telling();
        let (base, sender) = serve_written(grpc).await;
        let abort = async {
            head_seen.notified().await;
            sender.abort("handler failed".into());
        };
        let both = async { tokio::join!(get(http, &layer, &base), abort) };
        let (response, ()) = in_time(both).await;
        let error = response.err().expect("no response");
        assert_eq!(KnownErrors.classify(&*error), reset(), "{http:?} {error:?}");
    }
}

#[cfg(feature = "reqwest")]
#[tokio::test]
async fn body_that_a_server_breaks_off_first_fails_a_call_through_reqwest() {
    let (layer, head_seen) = telling();
    let (base, sender) = serve_written(grpc).await;
    let pool = tower_failover::upstream::ReqwestPool::new(reqwest::Client::builder()).unwrap();
    let call = layer.layer(pool.upstream(&base).unwrap());
    let request = Request::get("/")
        .body(http_body_util::Full::<Bytes>::default())
        .unwrap();
    let abort = async {
        head_seen.notified().await;
        sender.abort("handler failed".into());
    };
    let both = async { tokio::join!(call.oneshot(request), abort) };
    let (response, ()) = in_time(both).await;
    let error = response.expect_err("no response");
    assert_eq!(KnownErrors.classify(&*error), reset(), "{error:?}");
}

/// In HTTP/1 the error does not say so: the failover knows it from the upload.
#[tokio::test]
async fn upload_that_fails_behind_a_head_is_its_senders_fault() {
    for http in Http::BOTH {
        let (layer, head_seen) = telling();
        let (base, _sender) = serve_written(grpc).await;
        let (upload, body) = written();
        let upstream = http.pool().upstream(&base).unwrap();
        let service = FailoverLayer::default().layer(layer.layer(upstream));
        let call = service.oneshot(Request::put("/").body(body).unwrap());
        let abort = async {
            head_seen.notified().await;
            upload.abort("sender failed".into());
        };
        let (response, ()) = in_time(async { tokio::join!(call, abort) }).await;
        let error = response.expect_err("no response");
        let got = (error.kind(), error.attempts());
        assert_eq!(got, (FailureKind::RequestBody, 1), "{http:?} {error:?}");
    }
}

#[tokio::test]
async fn connection_that_is_cut_behind_a_head_fails_the_call() {
    let heads = [
        "transfer-encoding: chunked\r\n\r\n",
        "transfer-encoding: chunked\r\n\r\n5\r\n",
        "content-length: 5\r\n\r\n",
    ];
    for head in heads {
        for by_reset in [false, true] {
            let (layer, head_seen) = telling();
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let base = format!("http://{}", listener.local_addr().unwrap());
            let cut = async {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut request = Vec::new();
                while !request.ends_with(b"\r\n\r\n") {
                    request.push(stream.read_u8().await.unwrap());
                }
                let head = format!("HTTP/1.1 200 OK\r\ncontent-type: application/grpc\r\n{head}");
                stream.write_all(head.as_bytes()).await.unwrap();
                head_seen.notified().await;
                if by_reset {
                    stream.set_zero_linger().unwrap();
                } else {
                    stream.shutdown().await.unwrap();
                }
            };
            let both = async { tokio::join!(get(Http::One, &layer, &base), cut) };
            let (response, ()) = in_time(both).await;
            let error = response.err().expect("no response");
            assert_eq!(KnownErrors.classify(&*error), reset(), "{head:?} {error:?}");
        }
    }
}

/// What becomes of a response whose stream the peer ends by `end` once its head has arrived.
async fn after_head(
    end: impl FnOnce(h2::SendStream<Bytes>),
) -> Result<Response<Vec<String>>, BoxError> {
    let (layer, head_seen) = telling();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let peer = async {
        let (stream, _) = listener.accept().await.unwrap();
        let mut connection = h2::server::handshake(stream).await.unwrap();
        let (_, mut respond) = connection.accept().await.unwrap().unwrap();
        let stream = respond.send_response(grpc(()), false).unwrap();
        tokio::select! {
            _ = connection.accept() => panic!("the client waits"),
            () = head_seen.notified() => {}
        }
        end(stream);
        // Until the client goes.
        let _ = poll_fn(|cx| connection.poll_closed(cx)).await;
    };
    let call = async {
        let response = get(Http::Two, &layer, &base).await?;
        let (parts, body) = response.into_parts();
        Ok(Response::from_parts(parts, frames(body).await))
    };
    in_time(async {
        tokio::select! {
            result = call => result,
            () = peer => panic!("the client waits"),
        }
    })
    .await
}

/// Refused or not: the peer had begun to answer.
#[tokio::test]
async fn stream_that_is_reset_behind_its_head_may_be_processed() {
    for reason in [
        Reason::REFUSED_STREAM,
        Reason::INTERNAL_ERROR,
        Reason::CANCEL,
        Reason::ENHANCE_YOUR_CALM,
    ] {
        let result = after_head(|mut stream| stream.send_reset(reason)).await;
        let error = result.expect_err("no response");
        assert_eq!(KnownErrors.classify(&*error), reset(), "{reason:?}");
    }
}

/// There was no upload that it could have asked to stop.
#[tokio::test]
async fn stream_that_is_reset_without_an_error_is_cut_off_all_the_same() {
    let result = after_head(|mut stream| stream.send_reset(Reason::NO_ERROR)).await;
    let error = result.expect_err("no response");
    assert_eq!(KnownErrors.classify(&*error), reset());
}

/// As servers end a stream that had been flushed: DATA without a byte, and END_STREAM.
#[tokio::test]
async fn data_without_a_byte_does_not_hide_trailers_or_the_end() {
    let ended = after_head(|mut stream| stream.send_data(Bytes::new(), true).unwrap());
    let response = ended.await.unwrap();
    let shown = FirstTrailers::of(response.extensions()).unwrap();
    assert!(shown.headers().is_empty());
    assert_eq!(response.body().concat(), "");

    let told = after_head(|mut stream| {
        stream.send_data(Bytes::new(), false).unwrap();
        stream.send_trailers(grpc_status("14")).unwrap();
    });
    let response = told.await.unwrap();
    let shown = FirstTrailers::of(response.extensions()).unwrap();
    assert_eq!(shown.headers(), &grpc_status("14"));
    let last = response.body().last().unwrap();
    assert_eq!(*last, format!("{:?}", grpc_status("14")));
}
