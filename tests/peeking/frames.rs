//! Frame by frame: what is held, what is given out, and what the body says of itself.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body as _, Frame, SizeHint};
use http_body_util::BodyExt;
use tokio_test::{assert_pending, assert_ready};
use tower_failover::peek::{FirstTrailers, PeekLayer};

use crate::{
    call, call_scripted, data, frames, grpc, grpc_status, ready,
    support::scripted_body::{Failed, ScriptedBody, Step},
    trailers,
};

type Polled = Poll<Option<Result<Frame<Bytes>, Failed>>>;

fn first_trailers<B>(response: &http::Response<B>) -> Option<HeaderMap> {
    let trailers = FirstTrailers::of(response.extensions());
    trailers.map(|trailers| trailers.headers().clone())
}

#[tokio::test]
async fn data_is_given_out_as_it_came() {
    let fields = trailers(&[("grpc-status", "0"), ("grpc-message", "well")]);
    let (call, script) = call_scripted([
        data("hello"),
        data("world"),
        Step::Trailers(fields.clone()),
        Step::End,
    ]);
    let response = ready(call).unwrap();
    assert_eq!(script.polls(), 1, "one frame is enough");
    assert_eq!(first_trailers(&response), None);
    let expected = ["hello", "world", &format!("{fields:?}")];
    assert_eq!(frames(response.into_body()).await, expected);
    assert_eq!(script.polls(), 4);
}

#[tokio::test]
async fn held_until_the_first_frame() {
    let (mut call, script) = call_scripted([]);
    assert_pending!(call.poll());
    script.push_silently(data("hello"));
    assert!(!call.is_woken());
    script.wake();
    assert!(call.is_woken());
    let response = assert_ready!(call.poll()).unwrap();
    script.push(Step::End);
    assert_eq!(frames(response.into_body()).await, ["hello"]);
}

#[test]
fn body_wakes_whoever_reads_it_after_the_head_was_given_out() {
    let (call, script) = call_scripted([data("hello")]);
    let mut body = tokio_test::task::spawn(ready(call).unwrap().into_body());
    let mut next = || body.enter(|cx, body| body.poll_frame(cx));
    assert!(next().is_ready());
    assert!(next().is_pending());
    script.push(data("world"));
    assert!(body.is_woken());
}

#[tokio::test]
async fn trailers_that_come_first_are_shown_and_still_given_out() {
    let fields = trailers(&[("grpc-status", "14"), ("grpc-message", "gone")]);
    let (call, _script) = call_scripted([Step::Trailers(fields.clone()), Step::End]);
    let response = ready(call).unwrap();
    let shown = FirstTrailers::of(response.extensions()).unwrap();
    assert_eq!(shown.headers(), &fields);
    assert_eq!(shown.get("Grpc-Message").unwrap(), "gone");
    assert_eq!(shown.get("grpc-status-details-bin"), None);
    assert_eq!(response.headers().len(), 1, "the head is what it was");
    assert_eq!(frames(response.into_body()).await, [format!("{fields:?}")]);
}

/// A server that was told of no bytes would frame the body by its length, and have no place for trailers.
#[tokio::test]
async fn trailers_that_come_first_do_not_make_the_body_look_empty() {
    let (call, _script) = call_scripted([Step::Trailers(grpc_status("14")), Step::End]);
    let mut body = ready(call).unwrap().into_body();
    assert!(!body.is_end_stream());
    assert_eq!(body.size_hint().exact(), None);
    assert!(body.frame().await.unwrap().unwrap().is_trailers());
    assert!(body.frame().await.is_none());
}

#[tokio::test]
async fn body_that_ends_first_is_not_asked_again() {
    let (call, script) = call_scripted([Step::End]);
    let response = ready(call).unwrap();
    assert_eq!(first_trailers(&response), Some(HeaderMap::new()));
    let mut body = response.into_body();
    for _ in 0..3 {
        assert!(body.frame().await.is_none());
    }
    assert_eq!(script.polls(), 1);
}

/// A server relies on it to notice that a body is short of the length that its head has promised.
#[tokio::test]
async fn body_that_ends_short_does_not_look_whole() {
    let (body, _script) = ScriptedBody::new([Step::End]);
    let response = ready(call(&PeekLayer::new(), grpc(body.of_length(10)))).unwrap();
    let body = response.into_body();
    assert_eq!(body.size_hint().exact(), Some(10));
    assert!(!body.is_end_stream());
}

#[tokio::test]
async fn hints_are_those_of_the_whole_body() {
    let (body, _script) = ScriptedBody::new([data("hello"), data("world"), Step::End]);
    let body = body.of_length(10).telling_its_end();
    let mut body = ready(call(&PeekLayer::new(), grpc(body)))
        .unwrap()
        .into_body();
    for left in [10, 5, 0] {
        assert_eq!(body.size_hint().exact(), Some(left));
        assert_eq!(body.is_end_stream(), left == 0);
        body.frame().await;
    }
}

/// The inner body has nothing more after it: what is held is not its end.
#[tokio::test]
async fn only_frame_is_not_taken_for_the_end() {
    for step in [data("hello"), Step::Trailers(grpc_status("0"))] {
        let (body, script) = ScriptedBody::new([step, Step::End]);
        let body = body.telling_its_end();
        let mut body = ready(call(&PeekLayer::new(), grpc(body)))
            .unwrap()
            .into_body();
        assert_eq!(script.left(), 1);
        assert!(!body.is_end_stream());
        body.frame().await.unwrap().unwrap();
        assert!(body.is_end_stream());
    }
}

#[tokio::test]
async fn data_without_a_byte_is_waited_past_and_kept() {
    let fields = grpc_status("14");
    let (call, script) = call_scripted([
        data(""),
        data(""),
        Step::Trailers(fields.clone()),
        Step::End,
    ]);
    let response = ready(call).unwrap();
    assert_eq!(script.polls(), 3);
    assert_eq!(first_trailers(&response), Some(fields.clone()));
    let expected = ["", "", &format!("{fields:?}")];
    assert_eq!(frames(response.into_body()).await, expected);
}

#[tokio::test]
async fn data_behind_data_without_a_byte_keeps_its_place_and_length() {
    let (body, _script) = ScriptedBody::new([data(""), data("hello"), data("world"), Step::End]);
    let response = ready(call(&PeekLayer::new(), grpc(body.of_length(10)))).unwrap();
    assert_eq!(first_trailers(&response), None);
    let body = response.into_body();
    assert_eq!(body.size_hint().exact(), Some(10));
    assert_eq!(frames(body).await, ["", "hello", "world"]);
}

#[tokio::test]
async fn data_without_a_byte_is_not_waited_past_for_ever() {
    let endless = std::iter::repeat_n(data(""), 40);
    let (call, script) = call_scripted(endless.chain([data("hello"), Step::End]));
    let response = ready(call).unwrap();
    assert_eq!(script.polls(), 17);
    assert_eq!(first_trailers(&response), None);
    let frames = frames(response.into_body()).await;
    assert_eq!(frames.len(), 41);
    assert_eq!(frames.last().unwrap(), "hello");
}

#[tokio::test]
async fn body_that_fails_after_data_fails_where_it_did() {
    let (call, _script) = call_scripted([data("hello"), Step::Fail("cut")]);
    let body = ready(call).unwrap().into_body();
    assert_eq!(frames(body).await, ["hello", "error: cut"]);
}

#[test]
fn extremes_of_a_hint_are_no_panic() {
    struct Boundless;
    impl http_body::Body for Boundless {
        type Data = Bytes;
        type Error = Failed;
        fn poll_frame(self: Pin<&mut Self>, _: &mut Context<'_>) -> Polled {
            Poll::Ready(Some(Ok(Frame::data(Bytes::from("hello")))))
        }
        fn size_hint(&self) -> SizeHint {
            SizeHint::with_exact(u64::MAX)
        }
    }
    let response = ready(call(&PeekLayer::new(), grpc(Boundless))).unwrap();
    let hint = response.body().size_hint();
    assert_eq!((hint.lower(), hint.upper()), (u64::MAX, None));
}
