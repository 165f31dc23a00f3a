//! What a poll has reached, for the count of events.

use tower_failover::replay::Unreplayable;

use super::{
    events::Event,
    outcome::{Outcome, Source},
    schedule::Part,
    world::World,
};

impl World {
    /// Notes what a poll is about to find.
    pub(super) fn note(&mut self, index: usize, outcome: Outcome) {
        let reader = &self.model.readers[index];
        let handle = &self.handles[index];
        let others = self.handles.iter().enumerate();
        let mut others = others.filter(|(other, _)| *other != index);
        let other_pending = others.any(|(_, other)| other.pending);
        let events = &mut self.events;
        let moved = handle.moved && handle.is_woken() && !outcome.pulls();
        events.add_if(moved, Event::MovedHandleWokenByAnother);
        match outcome {
            Outcome::Revoked => events.add_if(reader.polls > 0, Event::PolledAfterRevocation),
            Outcome::LeftBehind => events.add_if(reader.polls > 0, Event::FoundItselfLeftBehind),
            Outcome::Logged { .. } => {
                let unknown = self.model.size_hint(reader).upper().is_none();
                let ahead = unknown && self.model.pulled_trailers;
                events.add_if(ahead, Event::LengthUnknownAheadOfTrailers);
            }
            Outcome::LoggedTrailers => events.add(Event::TrailersReplayed),
            Outcome::Over(Source::Ended) if reader.done => events.add(Event::PolledAfterTheEnd),
            Outcome::Over(Source::Ended) => events.add(Event::EndSeenLate),
            Outcome::Over(_) if reader.failed => events.add(Event::PolledAfterTheFailure),
            Outcome::Over(_) => events.add(Event::FailureSeenLate),
            Outcome::Pulled(Part::Trailers) => events.add(Event::TrailersPulled),
            Outcome::Pulled(Part::Chunk(0)) => {
                events.add(Event::EmptyChunkPulled);
                events.add_if(other_pending, Event::EmptyChunkPulledBesideAPendingHandle);
            }
            Outcome::Ends(Source::Failed { short: true }) => events.add(Event::ShortSourceFailed),
            Outcome::Nothing | Outcome::Pulled(_) | Outcome::Ends(_) => {}
        }
        if outcome.pulls() {
            events.add_if(reader.replayed, Event::ReplayWentOnWithTheSource);
            let id = handle.body.id();
            let turns = self.puller.is_some_and(|last| {
                let mut others = self.handles.iter().zip(&self.model.readers);
                others
                    .any(|(other, reader)| last != id && other.body.id() == last && !reader.revoked)
            });
            events.add_if(turns, Event::PulledInTurns);
            self.puller = Some(id);
        }
    }

    /// Notes what a poll has found.
    pub(super) fn note_after(&mut self, index: usize, outcome: Outcome, length: usize) {
        let model = &mut self.model;
        let merged = model.merges(index, length);
        let reader = &mut model.readers[index];
        reader.polls += 1;
        reader.failed |= matches!(outcome, Outcome::Over(Source::Failed { .. }));
        reader.failed |= matches!(outcome, Outcome::Ends(Source::Failed { .. }));
        let logged = matches!(outcome, Outcome::Logged { .. } | Outcome::LoggedTrailers);
        reader.replayed |= logged;
        let events = &mut self.events;
        events.add_if(logged && merged, Event::FramesMerged);
        let whole = logged && reader.done;
        events.add_if(whole, Event::ReplayReadToTheEnd);
        let told = matches!(outcome, Outcome::Pulled(_)) && reader.done;
        events.add_if(told, Event::EndTold);
    }

    pub(super) fn note_kept(&mut self, length: u64, payload: u64) {
        let full = length > 0 && payload + length == self.model.cap();
        self.events.add_if(full, Event::JustAtTheCap);
    }

    pub(super) fn note_loss(
        &mut self,
        puller: usize,
        why: Unreplayable,
        length: u64,
        payload: u64,
    ) {
        let others = self.handles.iter().zip(&self.model.readers).enumerate();
        let others = others.filter(|(other, (_, reader))| *other != puller && !reader.revoked);
        let others: Vec<_> = others.map(|(_, (handle, _))| handle.pending).collect();
        let cap = self.model.cap();
        let events = &mut self.events;
        events.add_if(!others.is_empty(), Event::LossLeftAnotherBehind);
        events.add_if(others.contains(&true), Event::LossLeftAPendingHandleBehind);
        events.add_if(self.model.kept.is_err(), Event::LossAfterTheCommit);
        if why == Unreplayable::NoMemory {
            events.add(Event::NoMemory);
            events.add_if(self.rival.held > 0, Event::NoMemoryBesideTheRival);
        } else {
            events.add(Event::OverCap);
            events.add_if(payload + length == cap + 1, Event::OneOverTheCap);
            events.add_if(self.model.is_known_not_to_fit(), Event::OverCapByItsLength);
        }
    }
}
