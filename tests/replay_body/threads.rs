//! Handles, their owner, and the sender on threads of their own.

use std::{
    pin::pin,
    sync::{Arc, Barrier},
    task::{Context, Poll, Wake, Waker},
    thread::{self, Thread},
    time::{Duration, Instant},
};

use bytes::Bytes;
use http_body::Body;
use tower_failover::replay::{Replay, ReplayMemory, Unreplayable};

use crate::{
    Handle, ROOMY, Read, data, replay, some_trailers,
    support::scripted_body::{Script, ScriptedBody, Step},
};

const ROUNDS: usize = if cfg!(miri) { 5 } else { 300 };

/// So long nobody waits whose wake-up is not lost.
const STUCK: Duration = Duration::from_secs(60);

/// Frames that are gathered, and frames that are kept as they came.
const LENGTHS: [usize; 9] = [10, 300, 4096, 1, 5000, 700, 90, 4095, 3];

/// No two neighbouring windows of it are the same.
fn body() -> Vec<u8> {
    (0..LENGTHS.iter().sum())
        .map(|at| (at % 251) as u8)
        .collect()
}

/// Sends the whole body, its trailers and its end, frame by frame.
fn push(script: &Script) {
    let mut rest = Bytes::from(body());
    for length in LENGTHS {
        script.push(data(rest.split_to(length)));
        thread::yield_now();
    }
    script.push(Step::Trailers(some_trailers()));
    script.push(Step::End);
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Reads a handle to its end on this thread.
fn read(handle: Handle) -> Read {
    let mut handle = pin!(handle);
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut read = Read::default();
    loop {
        match handle.as_mut().poll_frame(&mut Context::from_waker(&waker)) {
            Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                Ok(data) => read.bytes.extend_from_slice(&data),
                Err(frame) => read.trailers = frame.into_trailers().ok(),
            },
            Poll::Ready(Some(Err(error))) => {
                read.error = Some(error);
                return read;
            }
            Poll::Ready(None) => return read,
            Poll::Pending => {
                let begun = Instant::now();
                thread::park_timeout(STUCK);
                assert!(begun.elapsed() < STUCK, "a wake-up is lost");
            }
        }
    }
}

impl Read {
    #[track_caller]
    fn assert_whole(&self) {
        assert!(self.error.is_none(), "{:?}", self.error);
        assert_eq!(self.bytes, body());
        assert_eq!(self.trailers, Some(some_trailers()));
    }

    /// Whole, or taken away on the way there.
    #[track_caller]
    fn assert_whole_or_revoked(&self) {
        match &self.error {
            None => self.assert_whole(),
            Some(error) => {
                assert!(!error.is_source_failed(), "{error:?}");
                assert!(body().starts_with(&self.bytes));
            }
        }
    }
}

#[test]
fn old_and_new_handle_read_while_the_client_sends() {
    for _ in 0..ROUNDS {
        let (replay, script) = replay([], ROOMY);
        let old = replay.start().unwrap();
        let id = old.id();
        let new = replay.start().unwrap();
        let begin = &Barrier::new(4);
        thread::scope(|scope| {
            let old = scope.spawn(|| (begin.wait(), read(old)).1);
            let new = scope.spawn(|| (begin.wait(), read(new)).1);
            scope.spawn(|| (begin.wait(), push(&script)));
            begin.wait();
            replay.revoke(id);
            old.join().unwrap().assert_whole_or_revoked();
            new.join().unwrap().assert_whole();
        });
        assert!(script.is_dropped() && replay.is_sent_in_full());
    }
}

#[test]
fn attempts_are_replaced_while_they_read() {
    for _ in 0..ROUNDS {
        let (replay, script) = replay([], ROOMY);
        let begin = &Barrier::new(3);
        thread::scope(|scope| {
            scope.spawn(|| (begin.wait(), push(&script)));
            let read_on = scope.spawn(|| {
                begin.wait();
                loop {
                    let read = read(replay.start().unwrap());
                    read.assert_whole_or_revoked();
                    if read.error.is_none() {
                        return read;
                    }
                }
            });
            begin.wait();
            for _ in 0..5 {
                replay.revoke_all();
                thread::yield_now();
            }
            read_on.join().unwrap().assert_whole();
        });
        read(replay.start().unwrap()).assert_whole();
    }
}

#[test]
fn every_started_handle_is_whole_or_revoked() {
    for _ in 0..ROUNDS {
        let (replay, script) = replay([], ROOMY);
        let begin = &Barrier::new(2);
        thread::scope(|scope| {
            scope.spawn(|| (begin.wait(), push(&script)));
            begin.wait();
            let handles: Vec<_> = (0..4)
                .map(|_| {
                    replay.revoke_all();
                    let handle = replay.start().unwrap();
                    scope.spawn(|| read(handle))
                })
                .collect();
            let reads: Vec<_> = handles.into_iter().map(|it| it.join().unwrap()).collect();
            reads.iter().for_each(Read::assert_whole_or_revoked);
            reads.last().unwrap().assert_whole();
        });
    }
}

#[test]
fn hedged_handles_are_both_whole() {
    for round in 0..ROUNDS {
        let (replay, script) = replay([], ROOMY);
        let begin = &Barrier::new(3);
        thread::scope(|scope| {
            let both = [(); 2].map(|()| {
                let handle = replay.start().unwrap();
                scope.spawn(|| (begin.wait(), read(handle)).1)
            });
            begin.wait();
            if round % 2 == 0 {
                // What is freed behind the slower of them is not what it has still to read.
                replay.commit();
            }
            push(&script);
            for read in both {
                read.join().unwrap().assert_whole();
            }
        });
        assert_eq!(replay.check().is_ok(), round % 2 == 1);
    }
}

#[test]
fn handle_that_is_dropped_leaves_the_other_whole() {
    for _ in 0..ROUNDS {
        let (replay, script) = replay([], ROOMY);
        let [one, other] = [(); 2].map(|()| replay.start().unwrap());
        let begin = &Barrier::new(3);
        thread::scope(|scope| {
            let other = scope.spawn(|| (begin.wait(), read(other)).1);
            // It may be the one that the source is to wake.
            scope.spawn(|| (begin.wait(), poll_once(one)));
            begin.wait();
            push(&script);
            other.join().unwrap().assert_whole();
        });
    }
}

fn poll_once(mut handle: Handle) {
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let _ = pin!(&mut handle).poll_frame(&mut Context::from_waker(&waker));
}

#[test]
fn log_that_finds_no_room_leaves_one_handle_whole() {
    for _ in 0..ROUNDS {
        let (body, script) = ScriptedBody::new([]);
        let memory = ReplayMemory::new(9_000);
        let replay = Replay::with_memory(body, ROOMY, memory.clone());
        let handles = [(); 2].map(|()| replay.start().unwrap());
        let begin = &Barrier::new(3);
        thread::scope(|scope| {
            let reads = handles.map(|handle| scope.spawn(|| (begin.wait(), read(handle)).1));
            begin.wait();
            push(&script);
            let reads = reads.map(|read| read.join().unwrap());
            reads.iter().for_each(Read::assert_whole_or_revoked);
            assert_eq!(reads.iter().filter(|read| read.error.is_none()).count(), 1);
        });
        assert_eq!(replay.check(), Err(Unreplayable::NoMemory));
        assert_eq!((memory.held(), memory.refused()), (0, 1));
    }
}
