//! What happened in a run, counted: a generator that no longer gets there is noticed.

use std::{fmt, ops::AddAssign};

macro_rules! events {
    ($($event:ident,)*) => {
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Event {
            $($event,)*
        }

        impl Event {
            pub(crate) const ALL: &'static [Self] = &[$(Self::$event,)*];
        }
    };
}

events! {
    // Starting.
    StartedUntouched,
    StartedBesideAPendingHandle,
    StartedMidUpload,
    StartedAfterTheEnd,
    RefusedOverCap,
    RefusedNoMemory,
    RefusedSourceFailed,
    RefusedCommitted,
    EmptyFromTheStart,
    // Reading.
    ReplayWentOnWithTheSource,
    ReplayReadToTheEnd,
    FramesMerged,
    EmptyChunkPulled,
    EmptyChunkPulledBesideAPendingHandle,
    TrailersPulled,
    TrailersReplayed,
    LengthUnknownAheadOfTrailers,
    PulledInTurns,
    EndTold,
    ShortSourceFailed,
    EndSeenLate,
    FailureSeenLate,
    PolledAfterTheEnd,
    PolledAfterTheFailure,
    PolledAfterRevocation,
    FoundItselfLeftBehind,
    // Waking.
    PendingHandleMoved,
    MovedHandleWokenByAnother,
    StallWoken,
    WokenForNothing,
    // Bounds.
    JustAtTheCap,
    OneOverTheCap,
    OverCap,
    OverCapByItsLength,
    NoMemory,
    NoMemoryBesideTheRival,
    LossLeftAnotherBehind,
    LossLeftAPendingHandleBehind,
    LossAfterTheCommit,
    RivalRefused,
    // Giving up.
    RevokedAllWhilePending,
    RevokedOneWhilePending,
    RevokedOneOfSeveral,
    RevokedADroppedHandle,
    RevokedOneOfTwoThatSentInFull,
    DroppedWhilePendingBesideAnother,
    CommittedMidUpload,
    CommittedBehindALaggingHandle,
    OwnerDroppedBesideALiveHandle,
    SourceAbandoned,
    SentInFullAndDropped,
}

/// How often each event happened.
#[derive(Clone)]
pub(crate) struct Events([u32; Event::ALL.len()]);

impl Events {
    pub(crate) fn add(&mut self, event: Event) {
        self.0[event as usize] += 1;
    }

    pub(crate) fn add_if(&mut self, happened: bool, event: Event) {
        if happened {
            self.add(event);
        }
    }

    pub(crate) fn count(&self, event: Event) -> u32 {
        self.0[event as usize]
    }
}

impl Default for Events {
    fn default() -> Self {
        Self([0; Event::ALL.len()])
    }
}

impl AddAssign for Events {
    fn add_assign(&mut self, other: Self) {
        for (sum, count) in self.0.iter_mut().zip(other.0) {
            *sum += count;
        }
    }
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts = Event::ALL.iter().map(|event| (event, self.count(*event)));
        f.debug_map().entries(counts).finish()
    }
}
