//! Whom a connection wakes.

use std::pin::pin;

use http_body::Body as _;
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
