//! What is held is counted, shared fairly, and given back.

use bytes::Bytes;
use tower_failover::replay::{Replay, ReplayMemory, Unreplayable};

use crate::{
    Attempt, ROOMY, data, large, replay, some_trailers,
    support::scripted_body::{Script, ScriptedBody, Step},
};

fn counted(
    steps: impl IntoIterator<Item = Step>,
    memory: &ReplayMemory,
) -> (Replay<ScriptedBody>, Script) {
    let (body, script) = ScriptedBody::new(steps);
    (Replay::with_memory(body, ROOMY, memory.clone()), script)
}

#[test]
fn nothing_is_held_before_a_frame_is_pulled() {
    let memory = ReplayMemory::default();
    let (replay, _script) = counted([large(1)], &memory);
    let _first = Attempt::start(&replay);
    assert_eq!(memory.held(), 0);
}

#[test]
fn two_bodies_share_the_limit() {
    let memory = ReplayMemory::new(12_500);
    let [(one, _), (two, _)] = [1, 2].map(|byte| {
        let steps = [large(byte), large(byte), Step::End];
        counted(steps, &memory)
    });
    assert_eq!(Attempt::start(&one).bytes().len(), 10_000);
    let held = memory.held();
    assert!((10_000..=12_500).contains(&held));
    let mut second = Attempt::start(&two);
    second.data();
    assert_eq!(two.check(), Err(Unreplayable::NoMemory));
    assert_eq!(two.start().unwrap_err(), Unreplayable::NoMemory);
    assert_eq!(second.bytes().len(), 5000);
    assert_eq!((two.bytes_held(), memory.held()), (0, held));
    assert_eq!(Attempt::start(&one).bytes().len(), 10_000);
}

#[test]
fn what_one_body_gives_back_another_can_take() {
    let memory = ReplayMemory::new(7_500);
    let [(one, _), (two, _)] = [1, 2].map(|byte| counted([large(byte), Step::End], &memory));
    Attempt::start(&one).bytes();
    drop(one);
    Attempt::start(&two).bytes();
    assert_eq!(two.check(), Ok(()));
}

#[test]
fn commit_gives_back() {
    let memory = ReplayMemory::default();
    let (replay, _script) = counted([large(1), large(2), large(3)], &memory);
    let mut first = Attempt::start(&replay);
    first.data();
    first.data();
    assert!(memory.held() >= 10_000);
    replay.commit();
    assert_eq!((replay.bytes_held(), memory.held()), (0, 0));
    first.data();
    assert_eq!((replay.bytes_held(), memory.held()), (0, 0));
}

#[test]
fn drop_gives_back() {
    let memory = ReplayMemory::default();
    let (replay, script) = counted([large(1), Step::Trailers(some_trailers())], &memory);
    Attempt::start(&replay).data();
    assert!(memory.held() >= 5000);
    drop(replay);
    assert_eq!(memory.held(), 0);
    assert!(script.is_dropped());
}

#[test]
fn dropping_the_owner_gives_back_though_a_revoked_handle_lives() {
    let memory = ReplayMemory::default();
    let (replay, script) = counted([large(1), large(2)], &memory);
    let mut first = Attempt::start(&replay);
    first.data();
    replay.revoke_all();
    drop(replay);
    assert_eq!(memory.held(), 0);
    assert!(script.is_dropped());
    assert!(first.error().is_revoked());
}

#[test]
fn overflow_of_the_memory_gives_back() {
    let memory = ReplayMemory::new(12_500);
    let (replay, _script) = counted([large(1), large(2), large(3), Step::End], &memory);
    let mut first = Attempt::start(&replay);
    first.data();
    first.data();
    assert!(memory.held() >= 10_000);
    first.data();
    assert_eq!((replay.bytes_held(), memory.held()), (0, 0));
}

#[test]
fn cancellation_gives_back() {
    let memory = ReplayMemory::default();
    let (replay, _script) = counted([large(1)], &memory);
    let mut first = Attempt::start(&replay);
    first.data();
    first.pending();
    drop((replay, first));
    assert_eq!(memory.held(), 0);
}

#[test]
fn trailers_count() {
    let memory = ReplayMemory::new(300);
    let (replay, _script) = counted([Step::Trailers(some_trailers()), Step::End], &memory);
    assert!(Attempt::start(&replay).read().trailers.is_some());
    assert_eq!(replay.check(), Err(Unreplayable::NoMemory));
    assert_eq!(memory.held(), 0);
}

#[test]
fn tiny_chunks_do_not_pin_their_read_buffers() {
    let buffer = Bytes::from(vec![7; 1 << 16]);
    let chunks = (0..6000).map(|at| buffer.slice(at * 10..at * 10 + 10));
    let steps = chunks.map(Step::Data).chain([Step::End]);
    let memory = ReplayMemory::default();
    let (replay, script) = counted(steps, &memory);
    assert_eq!(Attempt::start(&replay).bytes().len(), 60_000);
    assert_eq!(script.left(), 0);
    assert!(buffer.is_unique());
    assert_eq!(replay.bytes_held(), 60_000);
    assert!((60_000..72_000).contains(&memory.held()), "{memory:?}");
}

#[test]
fn tiny_chunks_are_bounded_by_the_memory_they_take() {
    let memory = ReplayMemory::new(4 << 10);
    let (replay, _script) = counted((0..1000).map(|_| data("0123456789")), &memory);
    let mut first = Attempt::start(&replay);
    for _ in 0..1000 {
        first.data();
        assert!(memory.held() <= memory.limit());
    }
    assert_eq!(replay.check(), Err(Unreplayable::NoMemory));
    assert_eq!(memory.held(), 0);
}

#[test]
fn tiny_chunks_between_large_ones_are_replayed_in_order() {
    let steps = (0..200_usize).map(|i| {
        let length = [3, 900, 40, 511, 512, 1, 4096][i % 7];
        data(vec![i as u8; length])
    });
    let (replay, _script) = replay(steps.chain([Step::End]), ROOMY);
    let first = Attempt::start(&replay).bytes();
    assert_eq!(Attempt::start(&replay).bytes(), first);
}

#[test]
fn large_chunks_are_not_copied() {
    let chunk = Bytes::from(vec![7; 4096]);
    let (body, _script) = ScriptedBody::new([Step::Data(chunk.clone()), Step::End]);
    let replay = Replay::new(body.of_length(4096), ROOMY);
    for _ in 0..3 {
        assert_eq!(Attempt::start(&replay).data().as_ptr(), chunk.as_ptr());
    }
    assert!(!chunk.is_unique());
    replay.commit();
    assert!(chunk.is_unique());
}

#[test]
fn large_chunks_of_a_body_of_unknown_length_do_not_pin_their_read_buffers() {
    let chunk = Bytes::from(vec![7; 200_000]);
    let (replay, _script) = replay([Step::Data(chunk.clone()), Step::End], ROOMY);
    let first = Attempt::start(&replay).data();
    assert_eq!(first.as_ptr(), chunk.as_ptr());
    drop(first);
    assert!(chunk.is_unique());
    assert_eq!(Attempt::start(&replay).bytes(), chunk);
}

#[test]
fn first_pass_hands_on_tiny_chunks_without_copying_them() {
    let chunk = Bytes::from(vec![7; 10]);
    let (replay, _script) = replay([Step::Data(chunk.clone()), Step::End], ROOMY);
    assert_eq!(Attempt::start(&replay).data().as_ptr(), chunk.as_ptr());
}

#[test]
fn slow_handle_of_a_committed_body_holds_no_more_than_it_has_not_read() {
    let memory = ReplayMemory::default();
    let rounds = if cfg!(miri) { 100 } else { 1_500 };
    let (replay, _script) = counted((0..rounds * 13).map(|_| data(vec![7; 300])), &memory);
    let [mut fast, mut slow] = [Attempt::start(&replay), Attempt::start(&replay)];
    replay.commit();
    for _ in 0..rounds {
        // A little more than a block at a time: the slow one never catches up.
        (0..13).for_each(|_| drop(fast.data()));
        slow.data();
        let held = memory.held() as u64;
        assert!(held < replay.bytes_held() * 2 + 10_000, "{held}");
    }
    drop(slow);
    assert_eq!(memory.held(), 0);
}
