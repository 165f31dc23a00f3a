//! A committed body frees what nobody needs any more.

use tower_failover::replay::{ReplayMemory, Unreplayable};

use crate::{
    Attempt, ROOMY, data, large, replay, some_trailers,
    support::scripted_body::{ScriptedBody, Step},
};

#[test]
fn commit_frees_what_lies_behind_the_cursor_and_the_rest_as_it_is_read() {
    let memory = ReplayMemory::default();
    let (body, _script) = ScriptedBody::new([large(1), large(2), large(3), Step::End]);
    let replay = crate::Replay::with_memory(body, ROOMY, memory.clone());
    Attempt::start(&replay).bytes();
    replay.revoke_all();
    let mut second = Attempt::start(&replay);
    second.data();
    assert_eq!(replay.bytes_held(), 15_000);
    replay.commit();
    let mut held = memory.held();
    assert_eq!(replay.bytes_held(), 10_000);
    for left in [5000, 0] {
        second.data();
        assert_eq!(replay.bytes_held(), left);
        assert!(memory.held() < held);
        held = memory.held();
    }
    assert_eq!(held, 0);
    second.end();
}

#[test]
fn committed_body_is_not_started_again() {
    let (replay, _script) = replay([data("one")], ROOMY);
    replay.commit();
    assert_eq!(replay.check(), Err(Unreplayable::Committed));
    assert_eq!(replay.start().unwrap_err(), Unreplayable::Committed);
}

#[test]
fn commit_does_not_cut_the_attempt_under_way() {
    let steps = [
        data("one"),
        data("two"),
        Step::Trailers(some_trailers()),
        Step::End,
    ];
    let (replay, _script) = replay(steps, ROOMY);
    let mut first = Attempt::start(&replay);
    first.data();
    replay.commit();
    let read = first.read();
    assert_eq!(read.bytes, b"two");
    assert_eq!(read.trailers, Some(some_trailers()));
    assert!(read.error.is_none());
}

#[test]
fn committed_body_is_no_longer_kept() {
    let (replay, _script) = replay([large(1), large(2), Step::End], 1500);
    let mut first = Attempt::start(&replay);
    replay.commit();
    assert_eq!(first.data().len(), 5000);
    assert_eq!(replay.bytes_held(), 0);
    assert_eq!(first.bytes().len(), 5000);
}

#[test]
fn commit_frees_all_when_no_attempt_is_left() {
    let (replay, script) = replay([large(1), large(2)], ROOMY);
    let mut first = Attempt::start(&replay);
    first.data();
    drop(first);
    assert_eq!(replay.bytes_held(), 5000);
    replay.commit();
    assert_eq!(replay.bytes_held(), 0);
    assert!(script.is_dropped());
}

#[test]
fn source_of_a_body_that_can_be_started_again_is_not_dropped() {
    let (replay, script) = replay([large(1), large(2)], ROOMY);
    let mut first = Attempt::start(&replay);
    first.data();
    drop(first);
    replay.revoke_all();
    assert!(!script.is_dropped());
}

#[test]
fn handle_goes_on_when_the_owner_is_dropped() {
    let (replay, script) = replay([large(1), large(2), data("end")], ROOMY);
    let mut first = Attempt::start(&replay);
    first.data();
    drop(replay);
    assert_eq!(first.data()[0], 2);
    assert_eq!(first.data(), "end");
    first.pending();
    script.push(Step::End);
    assert!(first.is_woken());
    first.end();
    drop(first);
    assert!(script.is_dropped());
}

#[test]
fn handle_in_the_log_goes_on_when_the_owner_is_dropped() {
    let (replay, _script) = replay([large(1), large(2), Step::End], ROOMY);
    Attempt::start(&replay).bytes();
    let mut second = Attempt::start(&replay);
    drop(replay);
    assert_eq!(second.exact(), Some(10_000));
    assert_eq!(second.bytes().len(), 10_000);
}

#[test]
fn revoking_a_committed_body_frees_it() {
    let (replay, script) = replay([large(1), large(2), Step::End], ROOMY);
    Attempt::start(&replay).bytes();
    let mut second = Attempt::start(&replay);
    replay.commit();
    assert_eq!(replay.bytes_held(), 10_000);
    replay.revoke_all();
    assert_eq!(replay.bytes_held(), 0);
    assert!(script.is_dropped());
    assert!(second.error().is_revoked());
}
