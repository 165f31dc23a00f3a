//! The request's body across attempts.

use std::pin::pin;

use http_body::Body as _;
use http_body_util::channel::{Channel, Sender};
use tokio::sync::oneshot;
use tower_failover::replay::ReplayMemory;

use crate::support::script::status;
use crate::*;

type Upload = Channel<Bytes, io::Error>;

fn upload() -> (Sender<Bytes, io::Error>, Request<Upload>) {
    let (client, body) = Channel::new(1);
    (client, Request::put("/").body(body).unwrap())
}

async fn send(client: &mut Sender<Bytes, io::Error>, text: &'static str) {
    client
        .send_data(Bytes::from_static(text.as_bytes()))
        .await
        .unwrap();
}

async fn run_upload(
    layer: FailoverLayer,
    script: &Script<Upload>,
    request: Request<Upload>,
) -> Result<Response<Body>, Error> {
    layer.layer(script.strict()).oneshot(request).await
}

async fn first_frame(request: Request<ReplayBody<Upload>>) -> (Bytes, ReplayBody<Upload>) {
    let mut body = request.into_body();
    let frame = body.frame().await.unwrap().unwrap();
    (frame.into_data().unwrap(), body)
}

#[tokio::test(start_paused = true)]
async fn early_503_fails_over_in_the_middle_of_an_upload() {
    let (mut client, request) = upload();
    let (started, second) = oneshot::channel();
    let script = Script::new()
        .then(|request| async {
            let (data, body) = first_frame(request).await;
            assert_eq!(data, "one ");
            // The upstream's end goes on with the body beside the response, as hyper's does.
            tokio::spawn(async move {
                let mut body = pin!(body);
                let error = body.frame().await.unwrap().unwrap_err();
                assert!(error.is_revoked());
            });
            status(503)
        })
        .then(|request| async {
            started.send(()).unwrap();
            assert_eq!(body(request).await, "one two");
            status(200)
        });
    let uploading = async {
        send(&mut client, "one ").await;
        second.await.unwrap();
        send(&mut client, "two").await;
        drop(client);
    };
    let running = run_upload(layer(), &script, request);
    let (response, ()) = tokio::join!(running, uploading);
    assert_eq!(response.unwrap().status(), 200);
}

#[tokio::test(start_paused = true)]
async fn early_503_is_not_held_and_the_upload_goes_on() {
    let (mut client, request) = upload();
    let script = Script::new()
        .then(|request| async {
            first_frame(request).await;
            status(503)
        })
        .then(|_| async { Err(reset()) })
        .then(|_| async { Err(reset()) });
    let running = run_upload(layer(), &script, request);
    let (response, ()) = tokio::join!(running, send(&mut client, "one"));
    // Its own exchange was broken off to take the body: there is nothing left to deliver.
    assert_eq!(response.unwrap_err().kind(), FailureKind::Reset);
}

#[tokio::test(start_paused = true)]
async fn early_503_that_is_final_lets_the_upload_go_on() {
    let (mut client, request) = upload();
    let (give, taken) = oneshot::channel();
    let script = Script::new().then(|request| async {
        let (_, body) = first_frame(request).await;
        let _ = give.send(body);
        status(503)
    });
    let layer = layer().max_attempts(1);
    let running = run_upload(layer, &script, request);
    let (response, ()) = tokio::join!(running, send(&mut client, "one "));
    assert_eq!(response.unwrap().status(), 503);
    let body = taken.await.unwrap();
    let sending = async {
        send(&mut client, "two").await;
        drop(client);
    };
    let (rest, ()) = tokio::join!(body.collect(), sending);
    assert_eq!(rest.unwrap().to_bytes(), "two");
}

#[tokio::test(start_paused = true)]
async fn client_whose_upload_fails_is_not_sent_to_another_peer() {
    let (mut client, request) = upload();
    let script = Script::new()
        .then(|request| async {
            let error = request.into_body().collect().await.unwrap_err();
            assert!(error.is_source_failed());
            // What a transport makes of it hides the cause, as hyper's errors can.
            Err(reset())
        })
        .then(|_| async { status(200) });
    let running = run_upload(layer(), &script, request);
    let uploading = async {
        send(&mut client, "one").await;
        client.abort(io::Error::other("client went away"));
    };
    let (response, ()) = tokio::join!(running, uploading);
    let error = response.unwrap_err();
    assert_eq!(
        (error.kind(), error.status().as_u16()),
        (FailureKind::RequestBody, 400)
    );
    assert_eq!(script.steps_left(), 1);
}

#[tokio::test(start_paused = true)]
async fn log_is_freed_while_the_last_attempt_still_replays() {
    let memory = ReplayMemory::new(1 << 20);
    let layer = layer().max_attempts(2).replay_memory(memory.clone());
    let chunk = Bytes::from(vec![7; 1024]);
    let (mut client, request) = upload();
    let held = memory.clone();
    let script = Script::new()
        .then(|request| async {
            request.into_body().collect().await.unwrap();
            Err(reset())
        })
        .then(|request| async move {
            let mut body = pin!(request.into_body());
            let mut before = held.held();
            assert!(before >= 8 * 1024);
            while body.frame().await.is_some() {
                let now = held.held();
                assert!(now < before || now == 0, "{now} bytes held after {before}");
                before = now;
            }
            assert_eq!(before, 0);
            status(200)
        });
    let uploading = async {
        for _ in 0..8 {
            client.send_data(chunk.clone()).await.unwrap();
        }
        drop(client);
    };
    let (response, ()) = tokio::join!(run_upload(layer, &script, request), uploading);
    assert_eq!(response.unwrap().status(), 200);
    assert_eq!(memory.held(), 0);
}

#[tokio::test(start_paused = true)]
async fn log_is_freed_when_the_response_is_delivered() {
    let memory = ReplayMemory::new(1 << 20);
    let layer = layer().replay_memory(memory.clone());
    let (mut client, request) = upload();
    let (give, taken) = oneshot::channel();
    let script = Script::new().then(|request| async {
        let (_, body) = first_frame(request).await;
        let _ = give.send(body);
        status(200)
    });
    let running = run_upload(layer, &script, request);
    let (response, ()) = tokio::join!(running, send(&mut client, "one "));
    assert_eq!(response.unwrap().status(), 200);
    assert_eq!(memory.held(), 0);
    // The exchange is still alive, and what it reads from now on is not kept.
    let mut body = taken.await.unwrap();
    let (frame, ()) = tokio::join!(body.frame(), send(&mut client, "two"));
    assert_eq!(frame.unwrap().unwrap().into_data().unwrap(), "two");
    assert_eq!(memory.held(), 0);
}

#[tokio::test(start_paused = true)]
async fn body_that_finds_no_memory_is_sent_once() {
    let memory = ReplayMemory::new(0);
    let layer = layer().replay_memory(memory);
    let script = Script::new().then(|request| async {
        assert_eq!(body(request).await, "request body");
        status(503)
    });
    let outcome = outcome_of(layer, &script, request(Method::PUT)).await;
    assert_eq!(outcome, Ok(503));
}

#[tokio::test(start_paused = true)]
async fn each_attempt_is_told_the_length() {
    let script = Script::new()
        .then(|request| async move {
            assert_eq!(request.body().size_hint().exact(), Some(12));
            body(request).await;
            status(503)
        })
        .then(|request| async move {
            assert_eq!(request.body().size_hint().exact(), Some(12));
            assert!(!request.body().is_end_stream());
            status(200)
        });
    assert_eq!(outcome(&script, request(Method::PUT)).await, Ok(200));
}
