//! The reference: what every handle is to yield, and what is to be known of the body.

use tower_failover::replay::Unreplayable;

use super::{
    outcome::{Outcome, Source},
    schedule::{Part, Plan},
};

/// What is known of the body.
#[derive(Debug)]
pub(crate) struct Model {
    pub(super) plan: Plan,
    /// Parts that the source has got, and those that were pulled from it.
    sent: usize,
    pub(super) taken: usize,
    /// Payload that was pulled.
    pub(crate) pulled: u64,
    pub(crate) pulled_trailers: bool,
    pub(crate) source: Source,
    /// Whether the source is pending, and has not woken since.
    pub(crate) quiet: bool,
    pub(crate) kept: Result<(), Unreplayable>,
    /// A body that is empty from the start needs no log.
    pub(super) empty: bool,
    pub(crate) readers: Vec<Reader>,
    /// Handles that are gone.
    pub(crate) former: Vec<Reader>,
}

/// What is known of one handle.
#[derive(Clone, Debug, Default)]
pub(crate) struct Reader {
    pub(crate) read: u64,
    pub(crate) trailers: bool,
    /// Whether it was revoked, or left behind.
    pub(crate) revoked: bool,
    /// Whether it lost the log.
    pub(crate) left_behind: bool,
    /// Whether it was told the end when it was polled.
    pub(crate) done: bool,
    /// Whether it has read all that there is, and was not revoked.
    pub(crate) sent: bool,
    /// What it has gone through, for the count of events.
    pub(crate) polls: usize,
    pub(crate) replayed: bool,
    pub(crate) failed: bool,
}

impl Model {
    pub(crate) fn new(plan: &Plan) -> Self {
        let empty = plan.tells_end && plan.ready > 0 && plan.parts[0] == Part::End;
        let empty = empty && plan.promised().unwrap_or(0) == 0;
        Self {
            sent: plan.ready,
            taken: 0,
            pulled: 0,
            pulled_trailers: false,
            source: if empty { Source::Ended } else { Source::Live },
            quiet: false,
            kept: Ok(()),
            empty,
            readers: Vec::new(),
            former: Vec::new(),
            plan: plan.clone(),
        }
    }

    /// The part that the source gets now.
    pub(crate) fn send(&mut self) -> Option<Part> {
        let part = self.plan.parts.get(self.sent).copied();
        self.sent += usize::from(part.is_some());
        self.quiet &= part.is_none();
        part
    }

    pub(crate) fn start(&mut self) {
        let empty = self.empty;
        self.readers.push(Reader {
            revoked: empty,
            done: empty,
            ..Reader::default()
        });
    }

    pub(crate) fn give_up(&mut self, why: Unreplayable) {
        if !self.empty {
            self.kept = self.kept.and(Err(why));
            self.abandon();
        }
    }

    pub(crate) fn revoke(&mut self, index: usize) {
        // What a handle that is gone has sent was sent.
        if let Some(reader) = self.readers.get_mut(index) {
            (reader.revoked, reader.sent) = (true, false);
        }
        self.abandon();
    }

    pub(crate) fn revoke_all(&mut self) {
        for reader in self.readers.iter_mut().chain(&mut self.former) {
            (reader.revoked, reader.sent) = (true, false);
        }
        self.abandon();
    }

    pub(crate) fn remove(&mut self, index: usize) {
        let reader = self.readers.swap_remove(index);
        self.former.push(reader);
        self.abandon();
    }

    /// A source that nobody can read any more has ended.
    fn abandon(&mut self) {
        if self.is_abandoned() && self.source == Source::Live {
            self.source = Source::Ended;
        }
    }

    fn is_abandoned(&self) -> bool {
        self.kept.is_err() && self.live().next().is_none()
    }

    /// Handles that can read.
    pub(crate) fn live(&self) -> impl Iterator<Item = &Reader> {
        self.readers.iter().filter(|reader| !reader.revoked)
    }

    /// Whether a pulled frame is to be kept.
    pub(crate) fn keeps(&self) -> bool {
        self.kept.is_ok() || self.live().count() > 1
    }

    pub(crate) fn is_at_log_end(&self, reader: &Reader) -> bool {
        reader.read == self.pulled && reader.trailers == self.pulled_trailers
    }

    /// Whether the bytes that a handle has just read were more than one chunk.
    pub(crate) fn merges(&self, index: usize, length: usize) -> bool {
        let end = self.readers[index].read;
        let start = end - length as u64;
        let mut at = 0;
        let mut ends = self.plan.parts.iter().map(|part| {
            at += part.length() as u64;
            at
        });
        ends.any(|chunk| start < chunk && chunk < end)
    }

    fn next(&self) -> Option<Part> {
        let sent = &self.plan.parts[..self.sent];
        sent.get(self.taken).copied()
    }

    /// What a poll of this handle is to yield.
    pub(crate) fn outcome(&self, index: usize) -> Outcome {
        let reader = &self.readers[index];
        if reader.done {
            Outcome::Over(Source::Ended)
        } else if reader.left_behind {
            Outcome::LeftBehind
        } else if reader.revoked {
            Outcome::Revoked
        } else if reader.read < self.pulled {
            let left = self.pulled - reader.read;
            Outcome::Logged { left }
        } else if self.pulled_trailers && !reader.trailers {
            Outcome::LoggedTrailers
        } else if self.source != Source::Live {
            Outcome::Over(self.source)
        } else {
            let short = Some(self.pulled) < self.plan.promised();
            match self.next() {
                None | Some(Part::Stall) => Outcome::Nothing,
                Some(Part::End | Part::Trailers) if short => {
                    Outcome::Ends(Source::Failed { short })
                }
                Some(Part::End) => Outcome::Ends(Source::Ended),
                Some(Part::Fail) => Outcome::Ends(Source::Failed { short: false }),
                Some(part) => Outcome::Pulled(part),
            }
        }
    }

    /// What comes of a poll that yielded `length` bytes.
    pub(crate) fn advance(&mut self, index: usize, outcome: Outcome, length: u64) {
        if outcome.pulls() {
            // A stall was taken, too, though it shows as nothing.
            self.taken = self.sent.min(self.taken + 1);
            self.quiet = outcome == Outcome::Nothing;
        }
        if let Outcome::Pulled(_) = outcome {
            self.pulled += length;
            self.pulled_trailers |= outcome.is_trailers();
        }
        if let Outcome::Ends(end) = outcome {
            self.source = end;
            if self.has_source_failed() {
                self.kept = self.kept.and(Err(Unreplayable::SourceFailed));
            }
        }
        let reader = &mut self.readers[index];
        reader.read += length;
        reader.trailers |= outcome.is_trailers();
        if outcome == Outcome::Nothing || reader.revoked {
            return;
        }
        let at_end = self.is_at_log_end(&self.readers[index]);
        let done = at_end && self.tells_end();
        // A transport that was told the length does not ask for the end.
        let whole = self.source == Source::Live && self.promised_left() == Some(0);
        let reader = &mut self.readers[index];
        reader.done |= done;
        reader.sent |= done || outcome.is_trailers() || at_end && whole;
    }

    /// The log is lost: only the handle that pulled goes on.
    pub(crate) fn lose(&mut self, why: Unreplayable, puller: usize) {
        self.kept = self.kept.and(Err(why));
        for (index, reader) in self.readers.iter_mut().enumerate() {
            if index != puller {
                reader.left_behind |= !reader.revoked;
                (reader.revoked, reader.sent) = (true, false);
            }
        }
    }

    /// Whether the source tells that nothing follows what was pulled.
    pub(super) fn tells_end(&self) -> bool {
        match self.source {
            Source::Live => {
                let short = Some(self.pulled) < self.plan.promised();
                self.plan.tells_end && self.next() == Some(Part::End) && !short
            }
            Source::Ended => true,
            Source::Failed { .. } => false,
        }
    }

    pub(super) fn promised_left(&self) -> Option<u64> {
        self.plan.promised().map(|promised| promised - self.pulled)
    }
}
