//! Whom a connection wakes.

use std::{future::poll_fn, pin::pin};

use http_body::Body as _;
use tokio::task::coop::consume_budget;
use tokio_test::{assert_pending, assert_ready, task};

use super::super::*;

#[tokio::test(start_paused = true)]
async fn request_wakes_neither_the_one_before_it_nor_itself() {
    let (mut upstream, mut ends) = wired(PoolOptions::new());
    let mut first = task::spawn(upstream.call(get()));
    assert_pending!(first.poll());
    let mut end = ends.accept().await;
    end.answer().await;
    assert!(first.is_woken());
    let response = assert_ready!(first.poll()).unwrap();
    assert!(!first.is_woken());

    let mut second = task::spawn(upstream.call(get()));
    assert_pending!(second.poll());
    assert!(!first.is_woken() && !second.is_woken());
    end.answer().await;
    assert!(!first.is_woken() && second.is_woken());
    drop(response);
    let response = assert_ready!(second.poll()).unwrap();
    let mut body = task::spawn(response.into_body());
    let frame = assert_ready!(body.enter(|cx, body| body.poll_frame(cx)));
    assert_eq!(frame.unwrap().unwrap().into_data().unwrap(), "ok");
    assert!(!first.is_woken() && !second.is_woken() && !body.is_woken());
    // Nor does the connection's end wake anyone.
    drop(end);
    assert!(!first.is_woken() && !second.is_woken() && !body.is_woken());
}

#[tokio::test(start_paused = true)]
async fn body_is_woken_for_what_comes_and_not_by_what_it_takes() {
    let (mut upstream, mut ends) = wired(PoolOptions::new());
    let mut sent = task::spawn(upstream.call(get()));
    assert_pending!(sent.poll());
    let mut end = ends.accept().await;
    end.head().await;
    end.write("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
        .await;
    let response = assert_ready!(sent.poll()).unwrap();
    let mut body = task::spawn(response.into_body());
    for _ in 0..3 {
        assert_pending!(body.enter(|cx, body| body.poll_frame(cx)));
        assert!(!body.is_woken());
        end.write("2\r\nok\r\n").await;
        assert!(body.is_woken());
        let frame = assert_ready!(body.enter(|cx, body| body.poll_frame(cx)));
        assert_eq!(frame.unwrap().unwrap().into_data().unwrap(), "ok");
        assert!(!body.is_woken() && !sent.is_woken());
    }
    end.write("0\r\n\r\n").await;
    assert!(assert_ready!(body.enter(|cx, body| body.poll_frame(cx))).is_none());
    assert!(!body.is_woken());
}

#[tokio::test(start_paused = true)]
async fn body_may_go_to_another_task() {
    let (mut upstream, mut ends) = wired(PoolOptions::new());
    let mut sent = task::spawn(upstream.call(get()));
    assert_pending!(sent.poll());
    let mut end = ends.accept().await;
    end.head().await;
    end.write("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n")
        .await;
    let mut body = assert_ready!(sent.poll()).unwrap().into_body();
    let mut one = task::spawn(());
    let mut other = task::spawn(());
    assert_pending!(one.enter(|cx, _| pin!(&mut body).poll_frame(cx)));
    assert_pending!(other.enter(|cx, _| pin!(&mut body).poll_frame(cx)));
    end.write("ok").await;
    assert!(!one.is_woken() && other.is_woken());
}

#[tokio::test]
async fn response_that_is_there_is_told_of_whatever_else_its_task_has_done() {
    // A task may do 128 things before it lets others have a turn.
    for done in 0..=128 {
        let server = Server::bind().await;
        let mut sent = task::spawn(server.upstream().oneshot(get()));
        assert_pending!(sent.poll());
        let mut end = server.accept().await;
        settle().await;
        assert_pending!(sent.poll());
        end.head().await;
        end.write("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf")
            .await;
        settle().await;
        assert!(sent.is_woken());
        let polled = poll_fn(|cx| {
            for _ in 0..done {
                let _ = pin!(consume_budget()).poll(cx);
            }
            Poll::Ready(sent.poll())
        });
        if polled.await.is_pending() {
            settle().await;
            assert!(sent.is_woken(), "{done}");
            assert!(sent.await.is_ok());
        }
    }
}
