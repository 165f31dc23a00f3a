//! Every interleaving of the threads that share one body, with at most two preemptions of a thread:
//!
//! ```text
//! RUSTFLAGS='--cfg replay_loom' cargo test --lib interleavings
//! ```
//!
//! A reader that is not woken is a deadlock, and fails the model.

use std::{
    collections::VecDeque,
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use http_body::{Body, Frame};
use http_body_util::BodyExt;
use loom::{
    future::block_on,
    model::Builder,
    sync::{Arc, Mutex},
    thread,
};

use super::{Replay, ReplayBody, ReplayMemory};

/// A source that another thread feeds. It does no more than a source must: it wakes whoever polled
/// it last, and nobody if that poll was answered.
struct Fed(Arc<Mutex<Feed>>);

/// What feeds it.
struct Feeder(Arc<Mutex<Feed>>);

#[derive(Default)]
struct Feed {
    chunks: VecDeque<Bytes>,
    ended: bool,
    waker: Option<Waker>,
}

impl Feeder {
    fn push(&self, chunk: &'static str) {
        self.change(|feed| feed.chunks.push_back(Bytes::from_static(chunk.as_bytes())));
    }

    fn end(&self) {
        self.change(|feed| feed.ended = true);
    }

    fn change(&self, change: impl FnOnce(&mut Feed)) {
        change(&mut self.0.lock().unwrap());
        // Another poll can come between.
        let waker = self.0.lock().unwrap().waker.take();
        waker.into_iter().for_each(Waker::wake);
    }
}

impl Body for Fed {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let mut feed = self.0.lock().unwrap();
        feed.waker = None;
        if let Some(chunk) = feed.chunks.pop_front() {
            return Poll::Ready(Some(Ok(Frame::data(chunk))));
        }
        if feed.ended {
            return Poll::Ready(None);
        }
        feed.waker = Some(cx.waker().clone());
        Poll::Pending
    }
}

const ROOMY: u64 = 1 << 20;

fn fed(cap: u64, memory: ReplayMemory) -> (Replay<Fed>, Feeder) {
    let feed = Arc::new(Mutex::new(Feed::default()));
    let replay = Replay::with_memory(Fed(feed.clone()), cap, memory);
    (replay, Feeder(feed))
}

/// What a handle yields to its end, and whether the body was taken from it.
fn read(mut body: ReplayBody<Fed>) -> (String, bool) {
    block_on(async {
        let mut text = String::new();
        while let Some(frame) = body.frame().await {
            match frame {
                Ok(frame) => text += std::str::from_utf8(frame.data_ref().unwrap()).unwrap(),
                Err(error) => {
                    assert!(!error.is_source_failed());
                    return (text, true);
                }
            }
        }
        (text, false)
    })
}

/// A handle that lost the body has read its beginning, and one that did not all of it.
fn assert_read((text, lost): (String, bool), whole: &str) {
    assert!(if lost {
        whole.starts_with(&text)
    } else {
        text == whole
    });
}

fn model(work: impl Fn() + Send + Sync + 'static) {
    let mut builder = Builder::new();
    builder.preemption_bound = Some(2);
    builder.check(work);
}

#[test]
fn reader_is_woken_by_the_source() {
    model(|| {
        let (replay, feeder) = fed(ROOMY, ReplayMemory::default());
        let body = replay.start().unwrap();
        let reader = thread::spawn(|| read(body));
        feeder.push("a");
        feeder.end();
        assert_eq!(reader.join().unwrap(), (String::from("a"), false));
        assert_eq!(read(replay.start().unwrap()).0, "a");
    });
}

#[test]
fn new_handle_takes_over_from_one_that_reads() {
    model(|| {
        let (replay, feeder) = fed(ROOMY, ReplayMemory::default());
        feeder.push("a");
        let old = replay.start().unwrap();
        let old = thread::spawn(|| read(old));
        let feeding = thread::spawn(move || {
            feeder.push("b");
            feeder.end();
        });
        replay.revoke_all();
        let new = read(replay.start().unwrap());
        assert_eq!(new, (String::from("ab"), false));
        assert_read(old.join().unwrap(), "ab");
        feeding.join().unwrap();
    });
}

#[test]
fn revoked_handle_is_woken_though_nobody_takes_over() {
    model(|| {
        let (replay, feeder) = fed(ROOMY, ReplayMemory::default());
        feeder.push("a");
        let body = replay.start().unwrap();
        let id = body.id();
        let reader = thread::spawn(|| read(body));
        replay.revoke(id);
        let (text, revoked) = reader.join().unwrap();
        assert!(revoked && "a".starts_with(&text));
    });
}

#[test]
fn all_handles_are_woken_when_they_are_revoked() {
    model(|| {
        let (replay, _feeder) = fed(ROOMY, ReplayMemory::default());
        let readers = [(); 2].map(|()| {
            let body = replay.start().unwrap();
            thread::spawn(|| read(body))
        });
        replay.revoke_all();
        for reader in readers {
            assert_eq!(reader.join().unwrap(), (String::new(), true));
        }
    });
}

#[test]
fn two_readers_wake_each_other() {
    model(|| {
        let (replay, feeder) = fed(ROOMY, ReplayMemory::default());
        let [one, two] = [(); 2].map(|()| replay.start().unwrap());
        let one = thread::spawn(|| read(one));
        let two = thread::spawn(|| read(two));
        feeder.push("a");
        feeder.end();
        assert_eq!(one.join().unwrap(), (String::from("a"), false));
        assert_eq!(two.join().unwrap(), (String::from("a"), false));
    });
}

/// The one that polled the source last does not come back to it.
fn reader_goes_on(though: fn(ReplayBody<Fed>) -> Option<ReplayBody<Fed>>) {
    model(move || {
        let (replay, feeder) = fed(ROOMY, ReplayMemory::default());
        let [mut polled, other] = [(); 2].map(|()| replay.start().unwrap());
        let other = thread::spawn(|| read(other));
        let polled = thread::spawn(move || {
            let mut cx = Context::from_waker(Waker::noop());
            let _ = Pin::new(&mut polled).poll_frame(&mut cx);
            though(polled)
        });
        feeder.push("a");
        feeder.end();
        assert_eq!(other.join().unwrap(), (String::from("a"), false));
        polled.join().unwrap();
    });
}

#[test]
fn reader_goes_on_though_the_one_that_polled_last_is_dropped() {
    reader_goes_on(|_| None);
}

#[test]
fn reader_goes_on_though_the_one_that_polled_last_is_kept() {
    reader_goes_on(Some);
}

#[test]
fn reader_that_is_left_behind_at_the_cap_is_woken() {
    model(|| {
        let memory = ReplayMemory::default();
        let (replay, feeder) = fed(1, memory.clone());
        let [one, two] = [(); 2].map(|()| replay.start().unwrap());
        let one = thread::spawn(|| read(one));
        let two = thread::spawn(|| read(two));
        feeder.push("ab");
        feeder.end();
        let [one, two] = [one, two].map(|reader| reader.join().unwrap());
        assert!(one.1 != two.1);
        assert_read(one, "ab");
        assert_read(two, "ab");
        assert!(replay.start().is_err());
        assert_eq!(memory.held(), 0);
    });
}

#[test]
fn owner_commits_while_a_handle_reads() {
    model(|| {
        let memory = ReplayMemory::default();
        let (replay, feeder) = fed(ROOMY, memory.clone());
        feeder.push("a");
        let body = replay.start().unwrap();
        let reader = thread::spawn(|| read(body));
        let owner = thread::spawn(|| drop(replay));
        feeder.push("b");
        feeder.end();
        assert_eq!(reader.join().unwrap(), (String::from("ab"), false));
        owner.join().unwrap();
        assert_eq!(memory.held(), 0);
    });
}

#[test]
fn two_bodies_share_one_memory() {
    // One chunk takes less than a kilobyte, and two take more.
    model(|| {
        let memory = ReplayMemory::new(1000);
        let bodies = [(); 2].map(|()| {
            let (replay, feeder) = fed(ROOMY, memory.clone());
            feeder.push("a");
            feeder.end();
            thread::spawn(move || {
                assert_eq!(read(replay.start().unwrap()).0, "a");
                assert!(replay.check().is_err() || read(replay.start().unwrap()).0 == "a");
                replay.check().is_err()
            })
        });
        assert!(memory.held() <= memory.limit());
        let refused = bodies.map(|body| u64::from(body.join().unwrap()));
        assert_eq!(refused.iter().sum::<u64>(), memory.refused());
        assert_eq!(memory.held(), 0);
    });
}
