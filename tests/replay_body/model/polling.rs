//! One poll of a handle, and all that must come of it.

use std::{error::Error, task::Poll};

use bytes::Bytes;
use tower_failover::replay::{ReplayError, Unreplayable};

use super::{
    content,
    handle::Polled,
    memory,
    outcome::{Outcome, Source},
    schedule::Part,
    world::World,
};

/// What was seen before a poll.
struct Before {
    polls: usize,
    refused: u64,
    /// What all bodies held of the memory.
    memory: usize,
    /// The payload in this body's log.
    payload: u64,
    /// Whether a pulled frame is to be kept.
    keeps: bool,
}

impl World {
    /// Polls a handle, and tells whether there was a frame.
    pub(super) fn poll(&mut self, index: usize) -> bool {
        let before = self.before();
        let outcome = self.model.outcome(index);
        self.note(index, outcome);
        let from = self.model.readers[index].read;
        let polled = self.handles[index].poll();
        let asked = self.script.polls() - before.polls;
        assert_eq!(asked, usize::from(outcome.pulls()), "{outcome:?}");
        let length = assert_yields(&polled, outcome, from);
        self.model.advance(index, outcome, length as u64);
        if let Outcome::Pulled(part @ (Part::Chunk(1..) | Part::Trailers)) = outcome {
            if before.keeps {
                self.keep(index, part, &before);
            }
        }
        self.note_after(index, outcome, length);
        matches!(polled, Poll::Ready(Some(Ok(_))))
    }

    fn before(&self) -> Before {
        Before {
            polls: self.script.polls(),
            refused: self.memory.refused(),
            memory: self.memory.held(),
            payload: self.model.needed(),
            keeps: self.model.keeps(),
        }
    }

    /// A frame was pulled that may be needed: it is kept, unless that would pass a bound.
    fn keep(&mut self, puller: usize, part: Part, before: &Before) {
        let length = part.length() as u64;
        let cap = self.model.cap();
        let no_memory = self.memory.refused() > before.refused;
        // A cap can be the largest number.
        let over_cap = length > 0 && before.payload.saturating_add(length) > cap;
        assert!(!(over_cap && no_memory), "the cap is checked first");
        if no_memory {
            let most = match part {
                Part::Trailers => memory::TRAILERS,
                part => memory::most_for(part.length()),
            };
            assert!(most > self.memory.limit() - before.memory, "there was room");
            self.refused = true;
        }
        let why = if over_cap {
            Unreplayable::OverCap
        } else if no_memory {
            Unreplayable::NoMemory
        } else {
            self.note_kept(length, before.payload);
            return;
        };
        self.note_loss(puller, why, length, before.payload);
        self.model.lose(why, puller);
        assert_eq!(self.held(), 0, "the log is freed at once");
    }
}

/// Checks what a poll has yielded, and returns how many bytes there were.
fn assert_yields(polled: &Polled, outcome: Outcome, from: u64) -> usize {
    match polled {
        Poll::Pending => assert_eq!(outcome, Outcome::Nothing),
        Poll::Ready(None) => {
            let ends = [Outcome::Over(Source::Ended), Outcome::Ends(Source::Ended)];
            assert!(ends.contains(&outcome), "an end in place of {outcome:?}");
        }
        Poll::Ready(Some(Err(error))) => assert_fails(error, outcome),
        Poll::Ready(Some(Ok(frame))) => match (frame.data_ref(), outcome) {
            (Some(data), Outcome::Pulled(Part::Chunk(length))) => {
                assert_eq!(data.len(), length);
                assert_content(data, from);
                // The first pass copies nothing.
                let pulled = content::content(from, length);
                assert!(length == 0 || data.as_ptr() == pulled.as_ptr());
                return length;
            }
            (Some(data), Outcome::Logged { left }) => {
                assert!((1..=left).contains(&(data.len() as u64)));
                assert_content(data, from);
                return data.len();
            }
            (None, Outcome::Pulled(Part::Trailers) | Outcome::LoggedTrailers) => {
                assert_eq!(frame.trailers_ref(), Some(content::trailers()));
            }
            _ => panic!("{frame:?} in place of {outcome:?}"),
        },
    }
    0
}

fn assert_content(data: &Bytes, from: u64) {
    let expected = content::content(from, data.len());
    assert!(*data == expected, "other bytes at {from}");
}

fn assert_fails(error: &ReplayError, outcome: Outcome) {
    let failure = match outcome {
        Outcome::Revoked | Outcome::LeftBehind => None,
        Outcome::Over(Source::Failed { short }) | Outcome::Ends(Source::Failed { short }) => {
            Some(short)
        }
        _ => panic!("{error:?} in place of {outcome:?}"),
    };
    assert_eq!(error.is_source_failed(), failure.is_some());
    assert_eq!(error.is_revoked(), outcome == Outcome::Revoked);
    assert_eq!(error.is_left_behind(), outcome == Outcome::LeftBehind);
    let cause = error.source().map(ToString::to_string);
    match failure {
        None => assert_eq!(cause.is_some(), error.is_left_behind()),
        Some(short) => assert_eq!(cause.as_deref() == Some(content::FAILURE), !short),
    }
}
