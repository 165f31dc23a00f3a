//! The end and the failure of the source are remembered.

use std::{
    convert::Infallible,
    error::Error,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body::{Body, Frame};
use tokio_test::task;
use tower_failover::replay::{Replay, Unreplayable};

use crate::{
    Attempt, ROOMY, data, large, replay, some_trailers,
    support::scripted_body::{ScriptedBody, Step},
};

#[test]
fn ended_source_is_not_polled_again() {
    let (replay, script) = replay([data("one"), Step::End], ROOMY);
    let mut first = Attempt::start(&replay);
    first.bytes();
    first.end();
    let mut second = Attempt::start(&replay);
    assert_eq!(second.bytes(), b"one");
    second.end();
    assert_eq!(script.polls(), 2);
}

#[test]
fn failed_source_fails_for_ever() {
    let (replay, script) = replay([data("one"), Step::Fail("reset by peer"), Step::End], ROOMY);
    let mut first = Attempt::start(&replay);
    first.data();
    for _ in 0..3 {
        let error = first.error();
        assert!(error.is_source_failed() && !error.is_revoked());
        assert_eq!(error.source().unwrap().to_string(), "reset by peer");
        assert!(!error.to_string().contains("reset"));
    }
    assert!(!first.is_end_stream());
    assert_eq!(first.exact(), None);
    assert_eq!(script.polls(), 2);
    assert!(replay.has_source_failed());
    assert!(!replay.is_sent_in_full());
}

#[test]
fn failed_source_is_not_replayable() {
    let (replay, _script) = replay([data("one"), Step::Fail("reset")], ROOMY);
    assert!(!replay.has_source_failed());
    let mut first = Attempt::start(&replay);
    first.data();
    first.error();
    assert_eq!(replay.check(), Err(Unreplayable::SourceFailed));
    assert_eq!(replay.start().unwrap_err(), Unreplayable::SourceFailed);
}

#[test]
fn failed_source_is_no_clean_end_for_an_attempt_that_lags() {
    let (replay, script) = replay([large(1), large(2), Step::Fail("reset")], ROOMY);
    let mut first = Attempt::start(&replay);
    let mut lagging = Attempt::start(&replay);
    first.data();
    first.data();
    first.error();
    let read = lagging.read();
    assert_eq!(read.bytes.len(), 10_000);
    assert!(read.error.unwrap().is_source_failed());
    assert_eq!(script.polls(), 3);
}

#[test]
fn log_of_a_failed_source_is_freed() {
    let (replay, _script) = replay([large(1), large(2), Step::Fail("reset")], ROOMY);
    let mut first = Attempt::start(&replay);
    let mut lagging = Attempt::start(&replay);
    lagging.data();
    first.read();
    assert_eq!(replay.bytes_held(), 5000);
    lagging.read();
    assert_eq!(replay.bytes_held(), 0);
}

#[test]
fn source_that_panicked_fails_for_ever() {
    let (replay, script) = replay([data("one"), Step::Panic, Step::End], ROOMY);
    let mut first = Attempt::start(&replay);
    first.data();
    let mut waiting = Attempt::start(&replay);
    assert!(catch_unwind(AssertUnwindSafe(|| first.poll())).is_err());
    for _ in 0..2 {
        assert!(first.error().is_source_failed());
    }
    waiting.data();
    assert!(waiting.error().is_source_failed());
    assert!(replay.has_source_failed());
    assert_eq!(replay.check(), Err(Unreplayable::SourceFailed));
    assert_eq!(script.polls(), 2);
    drop(waiting);
    assert_eq!(replay.bytes_held(), 0);
}

#[test]
fn source_that_panicked_is_seen_to_have_failed_at_the_first_look() {
    let looks: [fn(&Replay<ScriptedBody>) -> bool; 2] = [
        |replay| replay.check() == Err(Unreplayable::SourceFailed),
        Replay::has_source_failed,
    ];
    for look in looks {
        let (replay, _script) = replay([data("one"), Step::Panic], ROOMY);
        let mut first = Attempt::start(&replay);
        first.data();
        assert!(catch_unwind(AssertUnwindSafe(|| first.poll())).is_err());
        assert!(look(&replay));
        assert!(first.error().is_source_failed());
    }
}

#[test]
fn attempt_that_waits_is_woken_when_the_one_that_saw_a_panic_is_dropped() {
    let (replay, script) = replay([], ROOMY);
    let mut waiting = Attempt::start(&replay);
    waiting.pending();
    let mut panicking = Attempt::start(&replay);
    script.push_silently(Step::Panic);
    assert!(catch_unwind(AssertUnwindSafe(|| panicking.poll())).is_err());
    assert!(!waiting.is_woken());
    drop(panicking);
    assert!(waiting.is_woken());
    assert!(waiting.error().is_source_failed());
}

/// Yields one chunk at its second poll, and panics when it is then asked for its length.
struct PanicsWhenAsked {
    polls: usize,
}

impl Body for PanicsWhenAsked {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.polls += 1;
        match self.polls {
            2 => Poll::Ready(Some(Ok(Frame::data(Bytes::from("one"))))),
            _ => Poll::Pending,
        }
    }

    fn is_end_stream(&self) -> bool {
        assert!(self.polls < 2, "asked");
        false
    }
}

#[test]
fn attempt_that_waits_is_woken_though_the_one_that_pulled_panics() {
    let replay = Replay::new(PanicsWhenAsked { polls: 0 }, ROOMY);
    let [mut waiting, mut panicking] = [(); 2].map(|()| task::spawn(replay.start().unwrap()));
    assert!(waiting.enter(|cx, body| body.poll_frame(cx)).is_pending());
    let poll = || panicking.enter(|cx, body| body.poll_frame(cx));
    assert!(catch_unwind(AssertUnwindSafe(poll)).is_err());
    assert!(waiting.is_woken());
}

#[test]
fn source_that_goes_on_past_its_length_has_failed() {
    let steps = [data("1234"), data(""), data("5"), Step::End];
    let (body, _script) = ScriptedBody::new(steps);
    let replay = Replay::new(body.of_length(4), ROOMY);
    let mut first = Attempt::start(&replay);
    first.data();
    first.data();
    assert!(first.error().is_source_failed());
    assert_eq!(replay.check(), Err(Unreplayable::SourceFailed));
}

#[test]
fn short_source_that_tells_its_end_has_failed() {
    for steps in [vec![Step::End], vec![data("half"), Step::End]] {
        let (body, _script) = ScriptedBody::new(steps);
        let replay = Replay::new(body.of_length(8).telling_its_end(), ROOMY);
        let mut first = Attempt::start(&replay);
        assert!(first.read().error.unwrap().is_source_failed());
        assert!(!first.is_end_stream() && !replay.is_sent_in_full());
    }
}

#[test]
fn source_that_ends_short_of_its_length_has_failed() {
    let (body, _script) = ScriptedBody::new([data("half"), Step::End]);
    let replay = Replay::new(body.of_length(8), ROOMY);
    let mut first = Attempt::start(&replay);
    first.data();
    assert!(first.error().is_source_failed());
    assert!(first.error().is_source_failed());
    assert_eq!(replay.check(), Err(Unreplayable::SourceFailed));
    assert!(!replay.is_sent_in_full());
}

#[test]
fn trailers_short_of_the_length_are_no_clean_end() {
    let steps = [data("half"), Step::Trailers(some_trailers()), Step::End];
    let (body, script) = ScriptedBody::new(steps);
    let replay = Replay::new(body.of_length(8), ROOMY);
    let mut first = Attempt::start(&replay);
    let mut lagging = Attempt::start(&replay);
    first.data();
    assert!(first.error().is_source_failed());
    lagging.data();
    assert!(lagging.error().is_source_failed());
    assert!(!replay.is_sent_in_full());
    assert!(script.is_dropped());
}

#[test]
fn source_that_keeps_its_length_has_not_failed() {
    let steps = [
        data("half"),
        data("half"),
        Step::Trailers(some_trailers()),
        Step::End,
    ];
    let (body, _script) = ScriptedBody::new(steps);
    let replay = Replay::new(body.of_length(8), ROOMY);
    for _ in 0..2 {
        let read = Attempt::start(&replay).read();
        assert!(read.error.is_none());
        assert_eq!(read.bytes, b"halfhalf");
    }
}

#[test]
fn knows_that_a_request_was_sent_in_full() {
    let (replay, script) = replay([data("one"), Step::End], ROOMY);
    let mut first = Attempt::start(&replay);
    assert!(!replay.is_sent_in_full());
    first.data();
    assert!(!replay.is_sent_in_full());
    first.end();
    assert!(replay.is_sent_in_full());
    assert_eq!(script.polls(), 2);
}

#[test]
fn request_whose_body_was_dropped_behind_its_end_was_sent_in_full() {
    let (replay, _script) = replay([data("one"), Step::End], ROOMY);
    Attempt::start(&replay).bytes();
    assert!(replay.is_sent_in_full());
    replay.revoke_all();
    let mut second = Attempt::start(&replay);
    assert!(!replay.is_sent_in_full());
    second.bytes();
    drop(second);
    assert!(replay.is_sent_in_full());
}

#[test]
fn request_that_two_handles_have_sent_was_sent_in_full_when_one_is_revoked() {
    for revoked in 0..2 {
        let (replay, _script) = replay([data("one"), Step::End], ROOMY);
        let mut handles = [Attempt::start(&replay), Attempt::start(&replay)];
        let ids = handles.each_ref().map(|handle| handle.0.id());
        handles.iter_mut().for_each(|handle| {
            handle.bytes();
        });
        replay.revoke(ids[revoked]);
        assert!(replay.is_sent_in_full());
        replay.revoke(ids[1 - revoked]);
        assert!(!replay.is_sent_in_full());
    }
}

#[test]
fn request_of_known_length_was_sent_in_full_without_asking_for_the_end() {
    let (body, _script) = ScriptedBody::new([data("one")]);
    let replay = Replay::new(body.of_length(3), ROOMY);
    let mut first = Attempt::start(&replay);
    assert!(!replay.is_sent_in_full());
    first.data();
    assert!(replay.is_sent_in_full());
    drop(first);
    assert!(replay.is_sent_in_full());
}

#[test]
fn request_whose_body_was_dropped_before_its_end_was_not_sent_in_full() {
    let (body, _script) = ScriptedBody::new([data("one"), data("two"), Step::End]);
    let replay = Replay::new(body.of_length(6), ROOMY);
    let mut first = Attempt::start(&replay);
    first.data();
    drop(first);
    assert!(!replay.is_sent_in_full());
    Attempt::start(&replay).data();
    assert!(!replay.is_sent_in_full());
}

#[test]
fn committed_request_was_sent_in_full_once_it_is_read() {
    let (replay, _script) = replay([large(1), large(2), Step::End], ROOMY);
    let mut first = Attempt::start(&replay);
    first.data();
    replay.commit();
    assert!(!replay.is_sent_in_full());
    first.data();
    first.end();
    drop(first);
    assert!(replay.is_sent_in_full());
}
