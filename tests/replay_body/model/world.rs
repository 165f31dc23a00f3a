//! A real body and its model, side by side.

use tower_failover::replay::{HandleId, Replay, ReplayMemory, Unreplayable};

use super::{
    content,
    events::{Event, Events},
    expected::{Model, Reader},
    handle::Handle,
    outcome::Source,
    rival::Rival,
    schedule::{Operation, Plan},
};
use crate::support::scripted_body::{Script, ScriptedBody, Step};

const MOST_HANDLES: usize = 4;

pub(crate) struct World {
    pub(super) model: Model,
    pub(super) replay: Option<Replay<ScriptedBody>>,
    pub(super) script: Script,
    /// Steps that the source has not got yet, the next one last.
    ahead: Vec<Step>,
    pub(super) memory: ReplayMemory,
    pub(super) rival: Rival,
    /// Whether this body has found no room.
    pub(super) refused: bool,
    /// In the order of the model's readers.
    pub(super) handles: Vec<Handle>,
    /// Handles that are gone, in the order of the model's.
    former: Vec<HandleId>,
    pub(super) events: Events,
    /// The handle that pulled last.
    pub(super) puller: Option<HandleId>,
}

impl World {
    pub(crate) fn new(plan: &Plan) -> Self {
        let mut steps = content::steps(plan);
        let mut ahead = steps.split_off(plan.ready);
        ahead.reverse();
        let (mut body, script) = ScriptedBody::new(steps);
        if let Some(promised) = plan.promised() {
            body = body.of_length(promised);
        }
        if plan.tells_end {
            body = body.telling_its_end();
        }
        let memory = ReplayMemory::new(plan.memory_limit);
        let replay = Replay::with_memory(body, plan.cap, memory.clone());
        let model = Model::new(plan);
        let mut events = Events::default();
        events.add_if(model.is_source_dropped(), Event::EmptyFromTheStart);
        Self {
            model,
            replay: Some(replay),
            script,
            ahead,
            memory,
            rival: Rival::default(),
            refused: false,
            handles: Vec::new(),
            former: Vec::new(),
            events,
            puller: None,
        }
    }

    pub(crate) fn apply(&mut self, operation: Operation) {
        let slots = self.handles.len();
        let slot = |index: usize| index.checked_rem(slots);
        match operation {
            Operation::Poll(index) => {
                slot(index).map(|index| self.poll(index));
            }
            Operation::PollFromAnotherTask(index) => {
                if let Some(index) = slot(index) {
                    self.handles[index].move_to_another_task();
                    self.poll(index);
                    let moved = self.handles[index].moved;
                    self.events.add_if(moved, Event::PendingHandleMoved);
                }
            }
            Operation::ReadOn(index) => {
                if let Some(index) = slot(index) {
                    while self.poll(index) {
                        self.check();
                    }
                }
            }
            Operation::Send(count) => (0..count).for_each(|_| self.send()),
            Operation::Wake => self.wake(),
            Operation::Start => self.start(),
            Operation::Drop(index) => {
                slot(index).into_iter().for_each(|index| self.remove(index));
            }
            Operation::RevokeAll => self.revoke_all(),
            Operation::Revoke(index) => self.revoke(index),
            Operation::Commit => self.commit(),
            Operation::DropOwner => self.drop_owner(),
            Operation::RivalTakes(length) => {
                let refused = self.rival.take(&self.memory, length);
                self.events.add_if(refused, Event::RivalRefused);
            }
            Operation::RivalGivesBack => self.rival.give_back(&self.memory),
        }
    }

    fn send(&mut self) {
        let part = self.model.send();
        let step = self.ahead.pop();
        assert_eq!(part.is_some(), step.is_some(), "the plan is the script");
        step.into_iter().for_each(|step| self.script.push(step));
    }

    fn wake(&mut self) {
        let asleep = self.handles.iter().any(Handle::is_asleep);
        let event = match self.script.next() {
            Some(_) => Event::StallWoken,
            None => Event::WokenForNothing,
        };
        self.events.add_if(asleep, event);
        self.script.wake();
        self.model.quiet = false;
    }

    fn start(&mut self) {
        if self.handles.len() == MOST_HANDLES {
            self.remove(0);
        }
        let Some(replay) = &self.replay else { return };
        let started = replay.start();
        assert_eq!(started.as_ref().err(), self.model.check().as_ref().err());
        match started {
            Ok(body) => {
                let id = body.id();
                let known = self.handles.iter().map(|handle| handle.body.id());
                let known = known
                    .chain(self.former.iter().copied())
                    .any(|other| other == id);
                self.model.start();
                assert!(!known || self.model.readers[0].done, "two have one name");
                let pending = self.handles.iter().any(|handle| handle.pending);
                self.events
                    .add_if(pending, Event::StartedBesideAPendingHandle);
                let read = self.model.pulled > 0 || self.model.pulled_trailers;
                self.events.add(match self.model.source {
                    Source::Live if read => Event::StartedMidUpload,
                    Source::Live => Event::StartedUntouched,
                    _ => Event::StartedAfterTheEnd,
                });
                self.handles.push(Handle::new(body));
            }
            Err(why) => self.events.add(match why {
                Unreplayable::OverCap => Event::RefusedOverCap,
                Unreplayable::NoMemory => Event::RefusedNoMemory,
                Unreplayable::SourceFailed => Event::RefusedSourceFailed,
                _ => Event::RefusedCommitted,
            }),
        }
    }

    fn remove(&mut self, index: usize) {
        let handle = self.handles.swap_remove(index);
        let beside = handle.pending && self.model.live().count() > 1;
        self.events
            .add_if(beside, Event::DroppedWhilePendingBesideAnother);
        self.former.push(handle.body.id());
        drop(handle);
        self.gives_up(|model| model.remove(index));
    }

    fn revoke_all(&mut self) {
        let Some(replay) = &self.replay else { return };
        replay.revoke_all();
        let pending = self.handles.iter().zip(&self.model.readers);
        let pending = pending.filter(|(handle, reader)| handle.pending && !reader.revoked);
        self.events
            .add_if(pending.count() > 0, Event::RevokedAllWhilePending);
        self.gives_up(Model::revoke_all);
    }

    fn revoke(&mut self, index: usize) {
        let Some(replay) = &self.replay else { return };
        let ids = self.handles.iter().map(|handle| handle.body.id());
        let ids: Vec<_> = ids.chain(self.former.iter().copied()).collect();
        let Some(index) = index.checked_rem(ids.len()) else {
            return;
        };
        replay.revoke(ids[index]);
        let live = |index| {
            let reader = self.model.readers.get(index);
            reader.is_some_and(|reader: &Reader| !reader.revoked)
        };
        let events = &mut self.events;
        match self.handles.get(index) {
            Some(handle) if live(index) => {
                events.add_if(handle.pending, Event::RevokedOneWhilePending);
                let several = self.model.live().count() > 1;
                events.add_if(several, Event::RevokedOneOfSeveral);
            }
            Some(_) => {}
            None => events.add(Event::RevokedADroppedHandle),
        }
        let sent = self.model.is_sent_in_full();
        let sent_all = self.model.readers.iter().filter(|reader| reader.sent);
        let two = sent_all.count() > 1;
        self.gives_up(|model| model.revoke(index));
        let still = two && sent && self.model.is_sent_in_full();
        self.events
            .add_if(still, Event::RevokedOneOfTwoThatSentInFull);
    }

    fn commit(&mut self) {
        let Some(replay) = &self.replay else { return };
        replay.commit();
        let lags = |reader: &Reader| !self.model.is_at_log_end(reader);
        let first = self.model.check().is_ok() && self.model.source == Source::Live;
        let event = if self.model.live().any(lags) {
            Event::CommittedBehindALaggingHandle
        } else {
            Event::CommittedMidUpload
        };
        self.events.add_if(first && self.model.pulled > 0, event);
        self.gives_up(|model| model.give_up(Unreplayable::Committed));
    }

    fn drop_owner(&mut self) {
        if let Some(replay) = self.replay.take() {
            drop(replay);
            let live = self.model.live().next().is_some();
            self.events
                .add_if(live, Event::OwnerDroppedBesideALiveHandle);
            self.gives_up(|model| model.give_up(Unreplayable::Committed));
        }
    }

    /// Does to the model what may leave the source to nobody.
    fn gives_up(&mut self, change: impl FnOnce(&mut Model)) {
        let before = self.model.is_source_dropped();
        change(&mut self.model);
        let abandoned = !before && self.model.is_source_dropped();
        self.events.add_if(abandoned, Event::SourceAbandoned);
    }

    /// Drops everything.
    pub(crate) fn finish(mut self) -> Events {
        let sent = self.model.former.iter().any(|reader| reader.sent);
        self.events.add_if(sent, Event::SentInFullAndDropped);
        self.handles.clear();
        self.replay = None;
        assert_eq!(self.held(), 0);
        self.rival.give_back(&self.memory);
        assert_eq!(self.memory.held(), 0);
        assert!(self.script.is_dropped());
        self.events
    }
}
