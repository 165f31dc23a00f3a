//! A handle that was revoked aborts its exchange, and takes nothing more.

use crate::{Attempt, ROOMY, data, large, replay, support::scripted_body::Step};

#[test]
fn wakes_a_revoked_handle_with_an_error() {
    let (replay, script) = replay([], ROOMY);
    let mut first = Attempt::start(&replay);
    first.pending();
    assert!(!first.is_woken());
    replay.revoke_all();
    assert!(first.is_woken());
    let error = first.error();
    assert!(error.is_revoked() && !error.is_source_failed());
    assert!(!error.is_left_behind());
    assert!(first.error().is_revoked());
    assert_eq!(script.polls(), 1);
}

#[test]
fn revoked_handle_takes_nothing_more_from_the_source() {
    let (replay, script) = replay([data("one"), data("two"), Step::End], ROOMY);
    let mut first = Attempt::start(&replay);
    first.data();
    replay.revoke_all();
    assert!(first.error().is_revoked());
    assert_eq!(script.polls(), 1);
    assert_eq!(Attempt::start(&replay).bytes(), b"onetwo");
}

#[test]
fn revoked_handle_takes_nothing_more_from_the_log() {
    let (replay, _script) = replay([large(1), large(2), Step::End], ROOMY);
    Attempt::start(&replay).read();
    let mut second = Attempt::start(&replay);
    second.data();
    replay.revoke_all();
    assert!(second.error().is_revoked());
}

#[test]
fn revoked_handle_promises_nothing() {
    let (replay, _script) = replay([data("one"), Step::End], ROOMY);
    let mut first = Attempt::start(&replay);
    first.data();
    replay.revoke_all();
    assert!(!first.is_end_stream());
    assert_eq!(first.exact(), None);
}

#[test]
fn revoked_handle_that_yielded_everything_stays_at_its_end() {
    let (replay, _script) = replay([data("one"), Step::End], ROOMY);
    let mut first = Attempt::start(&replay);
    assert_eq!(first.bytes(), b"one");
    let mut replayed = Attempt::start(&replay);
    assert_eq!(replayed.bytes(), b"one");
    replay.revoke_all();
    for attempt in [&mut first, &mut replayed] {
        attempt.end();
        assert!(attempt.is_end_stream());
        assert_eq!(attempt.exact(), Some(0));
    }
}

#[test]
fn revoked_handle_that_was_told_its_end_stays_at_it() {
    let (body, script) = crate::ScriptedBody::new([data("one"), Step::End]);
    let replay = crate::Replay::new(body.telling_its_end(), ROOMY);
    let mut first = Attempt::start(&replay);
    first.data();
    replay.revoke_all();
    first.end();
    assert_eq!(script.polls(), 1);
}

#[test]
fn revoked_handle_that_yielded_all_but_its_end_is_an_error() {
    let (replay, _script) = replay([data("one"), Step::End], ROOMY);
    let mut first = Attempt::start(&replay);
    first.data();
    replay.revoke_all();
    assert!(first.error().is_revoked());
}

#[test]
fn nothing_waits_for_a_revoked_handle_to_be_dropped() {
    let (replay, _script) = replay([data("one"), Step::End], ROOMY);
    let mut first = Attempt::start(&replay);
    first.data();
    replay.revoke_all();
    assert_eq!(Attempt::start(&replay).bytes(), b"one");
    assert!(first.error().is_revoked());
}

#[test]
fn starting_does_not_revoke() {
    let (replay, _script) = replay([data("one"), data("two"), Step::End], ROOMY);
    let mut first = Attempt::start(&replay);
    first.data();
    let _second = Attempt::start(&replay);
    assert_eq!(first.bytes(), b"two");
}

#[test]
fn revoking_does_not_touch_handles_started_later() {
    let (replay, _script) = replay([data("one"), Step::End], ROOMY);
    replay.revoke_all();
    let mut first = Attempt::start(&replay);
    replay.revoke_all();
    replay.revoke_all();
    assert_eq!(Attempt::start(&replay).bytes(), b"one");
    assert!(first.error().is_revoked());
}

#[test]
fn dropping_a_handle_leaves_the_body_replayable() {
    let (replay, script) = replay([data("one"), data("two"), Step::End], ROOMY);
    let mut first = Attempt::start(&replay);
    first.data();
    drop(first);
    assert_eq!(script.polls(), 1);
    assert_eq!(Attempt::start(&replay).bytes(), b"onetwo");
}
