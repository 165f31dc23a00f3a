//! `size_hint` and `is_end_stream` speak of what a handle has still to yield.

use bytes::Bytes;
use http_body::Body;
use http_body_util::Full;
use tower_failover::{ReplayBody, replay::Replay};

use crate::{
    Attempt, ROOMY, data, large, replay, some_trailers,
    support::scripted_body::{ScriptedBody, Step},
};

#[test]
fn known_length_is_exact_at_every_point_of_every_pass() {
    let steps = [large(1), data("a"), large(2), Step::End];
    let (body, _script) = ScriptedBody::new(steps);
    let replay = Replay::new(body.of_length(10_001), ROOMY);
    for _ in 0..3 {
        let mut attempt = Attempt::start(&replay);
        for left in [10_001, 5001, 5000] {
            assert_eq!(attempt.exact(), Some(left));
            attempt.data();
        }
        assert_eq!(attempt.exact(), Some(0));
        attempt.end();
        assert_eq!(attempt.exact(), Some(0));
        assert!(attempt.is_end_stream());
    }
}

#[test]
fn known_length_is_exact_for_a_handle_started_in_the_middle() {
    let (body, _script) = ScriptedBody::new([large(1), large(2), Step::End]);
    let replay = Replay::new(body.of_length(10_000), ROOMY);
    let mut first = Attempt::start(&replay);
    first.data();
    let mut second = Attempt::start(&replay);
    assert_eq!(second.exact(), Some(10_000));
    first.data();
    assert_eq!(second.exact(), Some(10_000));
    second.data();
    assert_eq!((first.exact(), second.exact()), (Some(0), Some(5000)));
}

#[test]
fn known_length_is_exact_past_the_cap() {
    let (body, _script) = ScriptedBody::new([large(1), large(2), Step::End]);
    let replay = Replay::new(body.of_length(10_000), 10);
    let mut first = Attempt::start(&replay);
    first.data();
    assert!(replay.check().is_err());
    assert_eq!(first.exact(), Some(5000));
}

#[test]
fn unknown_length_is_at_least_what_is_logged() {
    let (replay, _script) = replay([large(1), large(2), Step::End], ROOMY);
    let mut first = Attempt::start(&replay);
    first.data();
    first.data();
    let hint = first.0.size_hint();
    assert_eq!((hint.lower(), hint.upper()), (0, None));
    let mut second = Attempt::start(&replay);
    let hint = second.0.size_hint();
    assert_eq!((hint.lower(), hint.upper()), (10_000, None));
    second.data();
    assert_eq!(second.0.size_hint().lower(), 5000);
}

#[test]
fn unknown_length_is_exact_once_the_source_has_ended() {
    let (replay, _script) = replay([large(1), data("ab"), Step::End], ROOMY);
    Attempt::start(&replay).bytes();
    let mut second = Attempt::start(&replay);
    assert_eq!(second.exact(), Some(5_002));
    second.data();
    assert_eq!(second.exact(), Some(2));
}

#[test]
fn end_is_told_with_the_last_frame_of_a_replay_and_not_before() {
    let (replay, _script) = replay([large(1), large(2), Step::End], ROOMY);
    let mut first = Attempt::start(&replay);
    first.data();
    first.data();
    assert!(!first.is_end_stream());
    first.end();
    assert!(first.is_end_stream());
    let mut second = Attempt::start(&replay);
    assert!(!second.is_end_stream());
    second.data();
    assert!(!second.is_end_stream());
    second.data();
    assert!(second.is_end_stream());
    second.end();
}

#[test]
fn end_is_told_with_the_last_frame_when_the_source_tells_it() {
    let (body, script) = ScriptedBody::new([large(1), large(2), Step::End]);
    let replay = Replay::new(body.telling_its_end(), ROOMY);
    for _ in 0..2 {
        let mut attempt = Attempt::start(&replay);
        attempt.data();
        assert!(!attempt.is_end_stream());
        attempt.data();
        assert!(attempt.is_end_stream());
        attempt.end();
    }
    assert_eq!(script.polls(), 2);
}

#[test]
fn end_is_not_told_before_the_trailers() {
    let steps = [data("abc"), Step::Trailers(some_trailers()), Step::End];
    let (body, _script) = ScriptedBody::new(steps);
    let replay = Replay::new(body.of_length(3).telling_its_end(), ROOMY);
    for _ in 0..2 {
        let mut attempt = Attempt::start(&replay);
        attempt.data();
        assert_eq!(attempt.exact(), Some(0));
        assert!(!attempt.is_end_stream());
        attempt.trailers();
        assert!(attempt.is_end_stream());
    }
}

#[test]
fn hints_are_those_of_the_source_before_the_first_frame() {
    let replay = Replay::new(Full::new(Bytes::from("abc")), ROOMY);
    let body = replay.start().unwrap();
    assert_eq!(body.size_hint().exact(), Some(3));
    assert!(!body.is_end_stream());
}

#[test]
fn hints_near_the_largest_number_do_not_overflow() {
    let (body, _script) = ScriptedBody::new([large(1), large(2)]);
    let replay = Replay::new(body.of_length(u64::MAX), u64::MAX);
    let mut first = Attempt::start(&replay);
    first.data();
    let second = Attempt::start(&replay);
    assert_eq!(first.exact(), Some(u64::MAX - 5000));
    assert_eq!(second.exact(), Some(u64::MAX));
}

#[test]
fn length_that_was_unknown_stays_so_ahead_of_trailers() {
    let steps = [large(1), Step::Trailers(some_trailers()), Step::End];
    let (replay, _script) = replay(steps, ROOMY);
    Attempt::start(&replay).read();
    let mut second = Attempt::start(&replay);
    assert_eq!(second.exact(), None);
    assert_eq!(second.0.size_hint().lower(), 5000);
    second.data();
    assert!(!second.is_end_stream());
    second.trailers();
    assert_eq!(second.exact(), Some(0));
}

#[test]
fn default_is_an_empty_body_whatever_the_source() {
    let mut body = ReplayBody::<ScriptedBody>::default();
    assert!(body.is_end_stream());
    assert_eq!(body.size_hint().exact(), Some(0));
    let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
    let polled = std::pin::Pin::new(&mut body).poll_frame(&mut cx);
    assert!(matches!(polled, std::task::Poll::Ready(None)));
}
