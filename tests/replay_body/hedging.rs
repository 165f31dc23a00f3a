//! Several handles that live at once share the source.

use std::{
    sync::{Arc, Mutex},
    task::{Context, Poll, Wake, Waker},
};

use http_body::Body;

use crate::{Attempt, Handle, ROOMY, data, large, replay, support::scripted_body::Step};

#[test]
fn two_handles_read_the_same_in_turns() {
    let steps = (0..50).map(|i| data(vec![i; 100 * usize::from(i % 10)]));
    let (replay, script) = replay(steps.chain([Step::End]), ROOMY);
    let mut handles = [Attempt::start(&replay), Attempt::start(&replay)];
    let mut read = [Vec::new(), Vec::new()];
    let mut ended = [false; 2];
    for turn in 0.. {
        if ended == [true; 2] {
            break;
        }
        let i = [0, 1, 1, 0, 0, 0][turn % 6];
        match handles[i].poll() {
            Poll::Ready(Some(frame)) => {
                read[i].extend_from_slice(&frame.unwrap().into_data().unwrap());
            }
            Poll::Ready(None) => ended[i] = true,
            Poll::Pending => panic!("nothing is pending"),
        }
    }
    assert_eq!(read[0], read[1]);
    assert_eq!(script.polls(), 51);
}

#[test]
fn what_one_handle_pulls_wakes_the_other() {
    let (replay, script) = replay([], ROOMY);
    let [mut one, mut two] = [Attempt::start(&replay), Attempt::start(&replay)];
    for text in ["a", "b", "c"] {
        one.pending();
        two.pending();
        script.push(data(text));
        assert!(two.is_woken());
        assert_eq!(two.data(), text);
        assert!(one.is_woken());
        assert_eq!(one.data(), text);
    }
}

#[test]
fn source_wakes_every_handle_that_waits() {
    let (replay, script) = replay([], ROOMY);
    let [mut one, mut two] = [Attempt::start(&replay), Attempt::start(&replay)];
    one.pending();
    two.pending();
    script.push(data("a"));
    assert!(one.is_woken() && two.is_woken());
    assert_eq!(one.data(), "a");
    one.pending();
    script.push(data("b"));
    assert_eq!(one.data(), "b");
}

#[test]
fn empty_frame_does_not_strand_the_other_handle() {
    let (replay, script) = replay([], ROOMY);
    let [mut one, mut two] = [Attempt::start(&replay), Attempt::start(&replay)];
    one.pending();
    two.pending();
    script.push(data(""));
    assert_eq!(two.data(), "");
    assert!(one.is_woken());
    one.pending();
    script.push(data("a"));
    assert!(one.is_woken());
    assert_eq!(one.data(), "a");
}

#[test]
fn end_and_failure_wake_the_other_handle() {
    for last in [Step::End, Step::Fail("reset")] {
        let (replay, script) = replay([], ROOMY);
        let [mut one, mut two] = [Attempt::start(&replay), Attempt::start(&replay)];
        one.pending();
        two.pending();
        script.push(last.clone());
        let seen = two.poll();
        assert!(one.is_woken());
        match last {
            Step::End => one.end(),
            _ => assert!(one.error().is_source_failed()),
        }
        assert!(seen.is_ready());
        assert_eq!(script.polls(), 3);
    }
}

#[test]
fn handle_that_is_dropped_leaves_its_wait_to_the_other() {
    let (replay, script) = replay([], ROOMY);
    let [mut one, mut two] = [Attempt::start(&replay), Attempt::start(&replay)];
    one.pending();
    two.pending();
    drop(two);
    assert!(!one.is_woken());
    script.push(data("a"));
    assert!(one.is_woken());
    assert_eq!(one.data(), "a");
}

#[test]
fn revoking_wakes_every_handle() {
    let (replay, _script) = replay([], ROOMY);
    let mut handles = [Attempt::start(&replay), Attempt::start(&replay)];
    handles.iter_mut().for_each(Attempt::pending);
    replay.revoke_all();
    for handle in &mut handles {
        assert!(handle.is_woken());
        assert!(handle.error().is_revoked());
    }
}

#[test]
fn handle_that_moves_to_another_task_is_woken_there() {
    let (replay, script) = replay([], ROOMY);
    let mut first = Attempt::start(&replay);
    first.pending();
    let mut moved = Attempt(tokio_test::task::spawn(first.0.into_inner()));
    moved.pending();
    script.push(data("a"));
    assert!(moved.is_woken());
    assert_eq!(moved.data(), "a");
}

#[test]
fn overflow_leaves_the_body_to_the_handle_that_pulled() {
    let (replay, _script) = replay([large(1), large(2), large(3), Step::End], 7_500);
    let [mut ahead, mut behind] = [Attempt::start(&replay), Attempt::start(&replay)];
    ahead.data();
    behind.data();
    ahead.data();
    assert!(behind.error().is_left_behind());
    assert_eq!(ahead.bytes(), [3; 5000]);
    assert_eq!(replay.bytes_held(), 0);
}

#[test]
fn overflow_wakes_the_handle_that_it_revokes() {
    let (replay, script) = replay([], 0);
    let [mut one, mut two] = [Attempt::start(&replay), Attempt::start(&replay)];
    one.pending();
    two.pending();
    script.push(data("a"));
    assert_eq!(two.data(), "a");
    assert!(one.is_woken());
    assert!(one.error().is_left_behind());
}

#[test]
fn committed_body_is_kept_for_the_slowest_handle() {
    let steps = [large(1), large(2), large(3), Step::End];
    let (replay, _script) = replay(steps, ROOMY);
    let [mut ahead, mut behind] = [Attempt::start(&replay), Attempt::start(&replay)];
    ahead.data();
    replay.commit();
    assert_eq!(replay.bytes_held(), 5000);
    ahead.data();
    assert_eq!(replay.bytes_held(), 10_000);
    behind.data();
    assert_eq!(replay.bytes_held(), 5000);
    drop(behind);
    assert_eq!(replay.bytes_held(), 0);
    assert_eq!(ahead.bytes(), [3; 5000]);
}

#[test]
fn handle_that_waits_behind_a_small_frame_misses_nothing_of_a_committed_body() {
    let (replay, _script) = replay([data("a"), data("b"), data("c"), Step::End], ROOMY);
    let [mut waits, mut pulls, mut lags] = [0; 3].map(|_| Attempt::start(&replay));
    assert_eq!(waits.data(), "a");
    assert_eq!(pulls.data(), "a");
    replay.commit();
    assert_eq!(pulls.data(), "b");
    assert_eq!(lags.data(), "a");
    assert_eq!(waits.bytes(), b"bc");
    assert_eq!(pulls.bytes(), b"c");
    assert_eq!(lags.bytes(), b"bc");
}

/// A task that ends when it is woken, and takes its handle with it.
struct EndsWhenWoken(Mutex<Option<Handle>>);

impl Wake for EndsWhenWoken {
    fn wake(self: Arc<Self>) {
        let handle = self.0.lock().unwrap().take();
        drop(handle);
    }
}

#[test]
fn waker_that_drops_a_handle_does_not_deadlock() {
    for wakes in 0..4 {
        let (replay, script) = replay([data("one")], ROOMY);
        let mut other = Attempt::start(&replay);
        let task = Arc::new(EndsWhenWoken(Mutex::new(None)));
        let waker = Waker::from(Arc::clone(&task));
        let mut handle = replay.start().unwrap();
        let id = handle.id();
        let mut cx = Context::from_waker(&waker);
        let mut poll = || std::pin::Pin::new(&mut handle).poll_frame(&mut cx);
        assert!(poll().is_ready());
        assert!(poll().is_pending());
        *task.0.lock().unwrap() = Some(handle);
        other.data();
        match wakes {
            0 => replay.revoke_all(),
            1 => replay.revoke(id),
            2 => script.push(data("two")),
            _ => {
                let mut third = Attempt::start(&replay);
                script.push(Step::Pending);
                third.data();
            }
        }
        assert!(task.0.lock().unwrap().is_none(), "not woken");
        drop(replay);
    }
}
