//! Frames are handed on as they arrive, replayed in order, and pulled only when needed.

use bytes::{Buf, Bytes};
use http_body_util::{BodyExt, Empty, Full};
use tower_failover::replay::{Replay, ReplayBody, Unreplayable};

use crate::{
    Attempt, ROOMY, data, large, replay, some_trailers,
    support::scripted_body::{ScriptedBody, Step},
};

#[test]
fn hands_on_each_frame_as_it_arrives() {
    let (replay, script) = replay([], ROOMY);
    let mut first = Attempt::start(&replay);
    first.pending();
    for text in ["one", "two"] {
        script.push(data(text));
        assert!(first.is_woken());
        assert_eq!(first.data(), text);
        first.pending();
    }
    assert!(!first.is_woken());
    script.push(Step::End);
    assert!(first.is_woken());
    first.end();
}

#[test]
fn polls_the_source_once_for_each_frame() {
    let (replay, script) = replay([data("one"), data("two"), Step::End], ROOMY);
    let mut first = Attempt::start(&replay);
    assert_eq!(script.polls(), 0);
    for polls in 1..=2 {
        first.data();
        assert_eq!(script.polls(), polls);
    }
    first.end();
    assert_eq!(script.polls(), 3);
}

#[test]
fn does_not_poll_the_source_while_no_attempt_reads() {
    let (replay, script) = replay([data("one"), data("two")], ROOMY);
    let first = Attempt::start(&replay);
    assert_eq!(replay.check(), Ok(()));
    assert!(!replay.is_sent_in_full());
    replay.revoke_all();
    drop(first);
    let _second = Attempt::start(&replay);
    replay.commit();
    assert_eq!(script.polls(), 0);
    assert_eq!(replay.bytes_held(), 0);
}

#[test]
fn does_not_poll_the_source_for_what_the_log_has() {
    let (replay, script) = replay([large(1), large(2), large(3)], ROOMY);
    let mut first = Attempt::start(&replay);
    first.data();
    first.data();
    let mut second = Attempt::start(&replay);
    assert_eq!(second.data()[0], 1);
    assert_eq!(second.data()[0], 2);
    assert_eq!(script.polls(), 2);
    assert_eq!(second.data()[0], 3);
    assert_eq!(script.polls(), 3);
}

#[test]
fn replays_frames_in_order() {
    let steps = [
        data("a"),
        data("bc"),
        large(1),
        data("d"),
        large(2),
        data("e"),
    ];
    let (replay, _script) = replay(steps.into_iter().chain([Step::End]), ROOMY);
    let first = Attempt::start(&replay).bytes();
    assert_eq!(first.len(), 10_005);
    for _ in 0..3 {
        assert_eq!(Attempt::start(&replay).bytes(), first);
    }
}

#[test]
fn replays_trailers() {
    let steps = [data("body"), Step::Trailers(some_trailers()), Step::End];
    let (replay, _script) = replay(steps, ROOMY);
    for _ in 0..3 {
        let mut attempt = Attempt::start(&replay);
        assert_eq!(attempt.data(), "body");
        assert_eq!(attempt.trailers(), some_trailers());
        attempt.end();
    }
}

#[test]
fn does_not_invent_trailers() {
    let (replay, _script) = replay([data("body"), Step::End], ROOMY);
    for _ in 0..2 {
        assert!(Attempt::start(&replay).read().trailers.is_none());
    }
}

#[test]
fn replays_trailers_without_data() {
    let (replay, _script) = replay([Step::Trailers(some_trailers()), Step::End], ROOMY);
    for _ in 0..2 {
        let read = Attempt::start(&replay).read();
        assert_eq!(read.trailers, Some(some_trailers()));
        assert!(read.bytes.is_empty());
    }
}

#[test]
fn later_attempt_goes_on_with_the_live_source() {
    let (replay, script) = replay([data("one")], ROOMY);
    let mut first = Attempt::start(&replay);
    assert_eq!(first.data(), "one");
    first.pending();
    replay.revoke_all();
    let mut second = Attempt::start(&replay);
    assert_eq!(second.data(), "one");
    second.pending();
    script.push(data("two"));
    assert!(second.is_woken());
    assert_eq!(second.data(), "two");
    script.push(Step::Trailers(some_trailers()));
    script.push(Step::End);
    assert_eq!(second.trailers(), some_trailers());
    second.end();
}

#[test]
fn first_chunk_is_not_sent_twice_when_the_log_was_empty() {
    let (replay, script) = replay([], ROOMY);
    let mut first = Attempt::start(&replay);
    first.pending();
    replay.revoke_all();
    let mut second = Attempt::start(&replay);
    second.pending();
    script.push(data("once"));
    script.push(Step::End);
    assert_eq!(second.bytes(), b"once");
}

#[test]
fn empty_frames_are_handed_on_and_not_kept() {
    let (replay, _script) = replay([data(""), data("a"), data(""), Step::End], ROOMY);
    let mut first = Attempt::start(&replay);
    assert_eq!(first.data(), "");
    assert_eq!(first.data(), "a");
    assert_eq!(first.data(), "");
    first.end();
    let mut second = Attempt::start(&replay);
    assert_eq!(second.data(), "a");
    second.end();
}

#[test]
fn empty_body_is_replayed_for_ever() {
    let replay = Replay::new(Empty::<Bytes>::new(), 0);
    replay.commit();
    assert!(replay.is_sent_in_full());
    for _ in 0..2 {
        let body = replay.start().unwrap();
        assert!(http_body::Body::is_end_stream(&body));
        assert_eq!(http_body::Body::size_hint(&body).exact(), Some(0));
        replay.revoke_all();
        let read = tokio_test::block_on(body.collect()).unwrap();
        assert_eq!(read.to_bytes(), "");
    }
    assert!(!replay.has_source_failed());
}

#[test]
fn reads_data_that_is_not_bytes() {
    let deque = || std::collections::VecDeque::from(vec![7; 15_000]);
    let replay = Replay::new(Full::new(deque()), ROOMY);
    let chain = Replay::new(Full::new(Bytes::from("ab").chain(Bytes::from("cd"))), ROOMY);
    for _ in 0..2 {
        let read = tokio_test::block_on(replay.start().unwrap().collect()).unwrap();
        assert_eq!(read.to_bytes(), vec![7; 15_000]);
        let read = tokio_test::block_on(chain.start().unwrap().collect()).unwrap();
        assert_eq!(read.to_bytes(), "abcd");
    }
}

#[test]
fn handles_are_send_sync_and_unpin_though_the_source_is_not_sync() {
    fn is_all<T: Send + Sync + Unpin + 'static>() {}
    is_all::<ReplayBody<ScriptedBody>>();
    is_all::<Replay<ScriptedBody>>();
    is_all::<ReplayBody<http_body_util::combinators::UnsyncBoxBody<Bytes, Unreplayable>>>();
}

#[test]
fn debug_of_a_handle_does_not_poll_or_lock_for_ever() {
    let (replay, script) = replay([data("one")], ROOMY);
    let mut first = Attempt::start(&replay);
    first.data();
    assert!(format!("{replay:?}").contains("bytes_held: 3"));
    assert!(format!("{:?}", *first.0).contains("ReplayBody"));
    assert_eq!(script.polls(), 1);
}
