//! Past the cap the attempt under way goes on in full, and nothing is kept any more.

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use tower_failover::replay::{Replay, ReplayMemory, Unreplayable};

use crate::{
    Attempt, ROOMY, data, large, replay, some_trailers,
    support::scripted_body::{ScriptedBody, Step},
};

#[test]
fn body_at_the_cap_is_replayed() {
    let (replay, _script) = replay([large(1), data(vec![2; 24]), Step::End], 5_024);
    let first = Attempt::start(&replay).bytes();
    assert_eq!(replay.check(), Ok(()));
    assert_eq!(replay.bytes_held(), 5_024);
    assert_eq!(Attempt::start(&replay).bytes(), first);
}

#[test]
fn body_one_byte_over_the_cap_goes_on_in_full_and_is_not_replayed() {
    let memory = ReplayMemory::default();
    let (body, _script) = ScriptedBody::new([large(1), large(2), data("x"), large(3), Step::End]);
    let replay = Replay::with_memory(body, 10_000, memory.clone());
    let mut first = Attempt::start(&replay);
    first.data();
    first.data();
    assert_eq!(replay.check(), Ok(()));
    assert_eq!(first.data(), "x");
    assert_eq!(replay.check(), Err(Unreplayable::OverCap));
    assert_eq!((replay.bytes_held(), memory.held()), (0, 0));
    assert_eq!(first.bytes(), [3; 5000]);
    assert_eq!((replay.bytes_held(), memory.held()), (0, 0));
    assert_eq!(replay.start().unwrap_err(), Unreplayable::OverCap);
}

#[test]
fn trailers_of_a_body_past_the_cap_arrive() {
    let steps = [large(1), Step::Trailers(some_trailers()), Step::End];
    let (replay, _script) = replay(steps, 10);
    let read = Attempt::start(&replay).read();
    assert_eq!(read.bytes, [1; 5000]);
    assert_eq!(read.trailers, Some(some_trailers()));
    assert!(read.error.is_none());
}

#[test]
fn reason_stays_the_first_one() {
    let (replay, _script) = replay([large(1), Step::End], 10);
    Attempt::start(&replay).bytes();
    replay.commit();
    assert_eq!(replay.check(), Err(Unreplayable::OverCap));
    let (replay, _script) = crate::replay([large(1), Step::End], 10);
    let mut first = Attempt::start(&replay);
    replay.commit();
    first.bytes();
    assert_eq!(replay.check(), Err(Unreplayable::Committed));
}

#[test]
fn cap_of_zero_lets_an_untouched_body_be_started_again() {
    let (replay, _script) = replay([Step::Pending, data("one"), Step::End], 0);
    let mut first = Attempt::start(&replay);
    first.pending();
    replay.revoke_all();
    let mut second = Attempt::start(&replay);
    assert_eq!(replay.check(), Ok(()));
    assert_eq!(second.bytes(), b"one");
}

#[test]
fn cap_of_zero_does_not_let_a_touched_body_be_started_again() {
    let (replay, _script) = replay([data("1"), data("2"), Step::End], 0);
    let mut first = Attempt::start(&replay);
    first.data();
    assert_eq!(replay.start().unwrap_err(), Unreplayable::OverCap);
    assert_eq!(replay.bytes_held(), 0);
    assert_eq!(first.bytes(), b"2");
}

#[test]
fn known_length_over_the_cap_never_starts_a_log() {
    let memory = ReplayMemory::default();
    let (body, _script) = ScriptedBody::new([data("small"), large(1), Step::End]);
    let replay = Replay::with_memory(body.of_length(5_005), 5_004, memory.clone());
    assert_eq!(replay.check(), Ok(()));
    let mut first = Attempt::start(&replay);
    first.data();
    assert_eq!((replay.bytes_held(), memory.held()), (0, 0));
    assert_eq!(replay.check(), Err(Unreplayable::OverCap));
    assert_eq!(first.bytes().len(), 5000);
}

#[test]
fn known_length_at_the_cap_is_replayed() {
    let (body, _script) = ScriptedBody::new([data("small"), large(1), Step::End]);
    let replay = Replay::new(body.of_length(5_005), 5_005);
    assert_eq!(Attempt::start(&replay).bytes().len(), 5_005);
    assert_eq!(Attempt::start(&replay).bytes().len(), 5_005);
}

#[test]
fn largest_cap_does_not_overflow() {
    let (replay, _script) = replay([large(1), large(2), Step::End], u64::MAX);
    for _ in 0..2 {
        assert_eq!(Attempt::start(&replay).bytes().len(), 10_000);
    }
}

#[test]
fn chunk_over_the_cap_is_handed_on_without_being_copied() {
    let chunk = Bytes::from(vec![7; 4096]);
    let (replay, _script) = replay([Step::Data(chunk.clone()), Step::End], 100);
    assert_eq!(Attempt::start(&replay).data().as_ptr(), chunk.as_ptr());
    assert!(chunk.is_unique());
}

#[test]
fn cap_counts_one_body_and_not_its_neighbour() {
    let memory = ReplayMemory::default();
    let replays = [1, 2].map(|byte| {
        let body = Full::new(Bytes::from(vec![byte; 5000]));
        Replay::with_memory(body, 5000, memory.clone())
    });
    for replay in replays.iter().chain(&replays) {
        let read = replay.start().unwrap().collect();
        assert_eq!(tokio_test::block_on(read).unwrap().to_bytes().len(), 5000);
    }
}

#[test]
fn memory_limit_near_the_largest_number_does_not_overflow() {
    let memory = ReplayMemory::new(usize::MAX);
    let (body, _script) = ScriptedBody::new([large(1), Step::End]);
    let replay = Replay::with_memory(body, ROOMY, memory.clone());
    Attempt::start(&replay).bytes();
    assert_eq!(replay.check(), Ok(()));
    assert!((5000..5_200).contains(&memory.held()));
}
