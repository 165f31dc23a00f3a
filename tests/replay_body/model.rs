//! Random schedules of reading, revoking, dropping and committing, against a model.

use std::{ops::Range, task::Poll};

use fastrand::Rng;
use http::HeaderMap;
use http_body::Body;
use tower_failover::replay::{Replay, ReplayMemory};

use crate::{
    Attempt, some_trailers,
    support::scripted_body::{Script, ScriptedBody, Step},
};

const SCHEDULES: u64 = 2_000;

/// What is known of the body: its frames, and how far they were pulled.
struct Model {
    content: Vec<u8>,
    trailers: Option<HeaderMap>,
    fails: bool,
    known_length: bool,
    tells_end: bool,
    cap: usize,
    /// Payload that was pulled from the source.
    pulled: usize,
    pulled_trailers: bool,
    over: bool,
    kept: bool,
}

/// What is known of one handle.
struct Reader {
    attempt: Attempt,
    read: usize,
    trailers: bool,
    revoked: bool,
    done: bool,
    pending: bool,
}

struct World {
    rng: Rng,
    model: Model,
    replay: Option<Replay<ScriptedBody>>,
    script: Script,
    memory: ReplayMemory,
    readers: Vec<Reader>,
    /// Steps that the source has not got yet.
    ahead: Vec<Step>,
}

#[test]
fn behaves_like_its_model() {
    let first = std::env::var("REPLAY_SEED")
        .ok()
        .map(|seed| seed.parse().unwrap());
    let seeds = match first {
        Some(seed) => seed..seed + 1,
        None => fresh_seeds(),
    };
    for seed in seeds {
        let failed = Failed(seed);
        World::new(seed).run();
        std::mem::forget(failed);
    }
}

fn fresh_seeds() -> Range<u64> {
    let first = fastrand::u64(..u64::from(u32::MAX));
    first..first + SCHEDULES
}

/// Prints the seed of a schedule that panicked.
struct Failed(u64);

impl Drop for Failed {
    fn drop(&mut self) {
        eprintln!("failed with REPLAY_SEED={}", self.0);
    }
}

impl World {
    fn new(seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed);
        let mut content = Vec::new();
        let mut steps = Vec::new();
        for _ in 0..rng.usize(..12) {
            let length = match rng.u8(..8) {
                0 => 0,
                1..4 => rng.usize(1..20),
                4 => rng.usize(300..512),
                5 => 512,
                _ => rng.usize(513..2000),
            };
            let chunk: Vec<u8> = (0..length).map(|_| rng.u8(..)).collect();
            content.extend_from_slice(&chunk);
            steps.push(Step::Data(chunk.into()));
        }
        let trailers = rng.bool().then(some_trailers);
        steps.extend(trailers.clone().map(Step::Trailers));
        let fails = rng.u8(..4) == 0;
        steps.push(if fails {
            Step::Fail("reset")
        } else {
            Step::End
        });
        let cap = match rng.u8(..4) {
            0 => rng.usize(..=content.len()),
            1 => content.len(),
            _ => 1 << 20,
        };
        let (mut body, script) = ScriptedBody::new([]);
        let (known_length, tells_end) = (rng.bool(), rng.bool());
        if known_length {
            body = body.of_length(content.len() as u64);
        }
        if tells_end {
            body = body.telling_its_end();
        }
        // A body that is known not to fit keeps nothing.
        let fits = !known_length || content.len() <= cap;
        let memory = ReplayMemory::default();
        let replay = Replay::with_memory(body, cap as u64, memory.clone());
        steps.reverse();
        Self {
            rng,
            model: Model {
                content,
                trailers,
                fails,
                known_length,
                tells_end,
                cap: if fits { cap } else { 0 },
                pulled: 0,
                pulled_trailers: false,
                over: false,
                kept: true,
            },
            replay: Some(replay),
            script,
            memory,
            readers: Vec::new(),
            ahead: steps,
        }
    }

    fn run(&mut self) {
        for _ in 0..self.rng.usize(20..120) {
            match self.rng.u8(..40) {
                0..8 => self.send(),
                8..32 => self.poll(),
                32..37 => self.start(),
                37 => self.revoke_all(),
                38 => self.remove(),
                _ if self.rng.u8(..4) == 0 => self.commit(),
                _ => {}
            }
            self.check();
        }
        self.readers.clear();
        self.replay = None;
        assert_eq!(self.memory.held(), 0);
        assert!(self.script.is_dropped());
    }

    /// The sender goes on.
    fn send(&mut self) {
        if let Some(step) = self.ahead.pop() {
            let waiting = self.readers.iter().any(|reader| reader.pending);
            self.script.push(step);
            if waiting && !self.model.over {
                self.expect_woken();
            }
        }
    }

    fn start(&mut self) {
        let Some(replay) = &self.replay else { return };
        if self.readers.len() == 4 {
            return;
        }
        match replay.start() {
            Ok(body) => {
                assert!(self.model.is_replayable());
                self.readers.push(Reader {
                    attempt: Attempt(tokio_test::task::spawn(body)),
                    read: 0,
                    trailers: false,
                    revoked: false,
                    done: false,
                    pending: false,
                });
            }
            Err(_) => assert!(!self.model.is_replayable()),
        }
    }

    fn revoke_all(&mut self) {
        if let Some(replay) = &self.replay {
            replay.revoke_all();
            self.expect_woken();
            for reader in &mut self.readers {
                reader.revoked |= !reader.done;
            }
        }
    }

    fn remove(&mut self) {
        if !self.readers.is_empty() {
            let index = self.rng.usize(..self.readers.len());
            drop(self.readers.swap_remove(index));
        }
    }

    fn commit(&mut self) {
        self.model.kept = false;
        match &self.replay {
            // Without its owner a body does not tell how close it is to its cap.
            Some(replay) if self.model.cap < self.model.content.len() || self.rng.bool() => {
                replay.commit();
            }
            _ => self.replay = None,
        }
    }

    fn poll(&mut self) {
        if self.readers.is_empty() {
            return;
        }
        let index = self.rng.usize(..self.readers.len());
        let live = self.readers.iter().filter(|reader| !reader.revoked).count();
        let held = self.replay.as_ref().map(Replay::bytes_held);
        let polls = self.script.polls();
        let next = self.script.next();
        let reader = &mut self.readers[index];
        let model = &mut self.model;
        reader.pending = false;
        let at_log_end = reader.read == model.pulled && reader.trailers == model.pulled_trailers;
        let may_pull = at_log_end && !model.over && !reader.revoked && !reader.done;
        let polled = reader.attempt.poll();
        assert_eq!(self.script.polls(), polls + usize::from(may_pull));
        if reader.revoked {
            assert!(matches!(polled, Poll::Ready(Some(Err(error))) if error.is_revoked()));
            return;
        }
        match polled {
            Poll::Pending => {
                assert!(may_pull && next.is_none());
                reader.pending = true;
            }
            Poll::Ready(None) => {
                assert!(at_log_end && !model.fails);
                assert_eq!(reader.read, model.content.len());
                assert_eq!(reader.trailers, model.trailers.is_some());
                // A handle that was told its end does not ask the source.
                reader.done = true;
                model.over |= may_pull;
            }
            Poll::Ready(Some(Err(error))) => {
                assert!(error.is_source_failed() && at_log_end && model.fails);
                assert!(model.over || matches!(next, Some(Step::Fail(_))));
                model.over = true;
            }
            Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                Ok(data) => {
                    let end = reader.read + data.len();
                    assert_eq!(data, model.content[reader.read..end]);
                    reader.read = end;
                    model.pulled = model.pulled.max(end);
                    let length = data.len() as u64;
                    // Unless the owner is gone, it tells what the log held before.
                    let lost = held.is_some_and(|held| held + length > model.cap as u64);
                    if may_pull && length > 0 && lost && (model.kept || live > 1) {
                        model.kept = false;
                        let others = self.readers.iter_mut().enumerate();
                        let others =
                            others.filter(|(other, reader)| *other != index && !reader.done);
                        others.for_each(|(_, reader)| reader.revoked = true);
                    }
                }
                Err(frame) => {
                    assert_eq!(frame.into_trailers().ok(), model.trailers);
                    assert_eq!(reader.read, model.content.len());
                    reader.trailers = true;
                    model.pulled_trailers = true;
                }
            },
        }
        if may_pull && !self.readers[index].pending {
            self.expect_woken();
        }
        let reader = &mut self.readers[index];
        reader.done |= reader.attempt.is_end_stream();
    }

    /// Whoever waited has something to find out.
    fn expect_woken(&self) {
        for reader in self.readers.iter().filter(|reader| reader.pending) {
            assert!(reader.attempt.is_woken());
        }
    }

    /// What can be seen without reading.
    fn check(&self) {
        let model = &self.model;
        for reader in self.readers.iter().filter(|reader| !reader.revoked) {
            let hint = reader.attempt.0.size_hint();
            let left = (model.content.len() - reader.read) as u64;
            let trailers_ahead = model.pulled_trailers && !reader.trailers;
            if model.over && model.fails || trailers_ahead && !model.known_length {
                assert_eq!(hint.lower(), (model.pulled - reader.read) as u64);
                assert_eq!(hint.upper(), None);
            } else if model.known_length || model.over || reader.done {
                assert_eq!(hint.exact(), Some(left));
            } else {
                assert_eq!(hint.lower(), (model.pulled - reader.read) as u64);
                assert_eq!(hint.upper(), None);
            }
            let read_all = reader.read == model.pulled && reader.trailers == model.pulled_trailers;
            let told = model.tells_end && matches!(self.script.next(), Some(Step::End));
            let ended = model.over && !model.fails;
            assert_eq!(reader.attempt.is_end_stream(), read_all && (ended || told));
        }
        if let Some(replay) = &self.replay {
            let held = replay.bytes_held();
            assert_eq!(replay.check().is_ok(), model.is_replayable());
            assert!(held <= model.cap as u64);
            assert!(held <= self.memory.held() as u64);
            if model.is_replayable() {
                assert_eq!(held, model.pulled as u64);
            } else if self
                .readers
                .iter()
                .all(|reader| reader.revoked || reader.done)
            {
                assert_eq!((held, self.memory.held()), (0, 0));
            }
        }
    }
}

impl Model {
    fn is_replayable(&self) -> bool {
        self.kept && !(self.over && self.fails)
    }
}
