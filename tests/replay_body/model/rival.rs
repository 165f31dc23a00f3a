//! Another body that counts against the same memory.

use std::{
    pin::Pin,
    task::{Context, Waker},
};

use http_body::Body;
use tower_failover::replay::{Replay, ReplayMemory, Unreplayable};

use super::{content::content, memory::most_for};
use crate::support::scripted_body::{ScriptedBody, Step};

#[derive(Default)]
pub(crate) struct Rival {
    replay: Option<Replay<ScriptedBody>>,
    pub(crate) held: usize,
    pub(crate) refused: u64,
}

impl Rival {
    /// Takes as much memory as a chunk of this length, and tells whether that was refused.
    pub(crate) fn take(&mut self, memory: &ReplayMemory, length: usize) -> bool {
        self.give_back(memory);
        let (held, refused) = (memory.held(), memory.refused());
        let (body, _script) = ScriptedBody::new([Step::Data(content(0, length))]);
        let replay = Replay::with_memory(body, u64::MAX, memory.clone());
        let mut handle = replay.start().expect("nothing was read");
        let mut cx = Context::from_waker(Waker::noop());
        assert!(Pin::new(&mut handle).poll_frame(&mut cx).is_ready());
        drop(handle);
        let fits = memory.refused() == refused;
        self.held = memory.held() - held;
        self.refused += memory.refused() - refused;
        if fits {
            assert!((length..=most_for(length)).contains(&self.held));
            assert_eq!(replay.check(), Ok(()));
        } else {
            assert_eq!((memory.refused() - refused, self.held), (1, 0));
            assert_eq!(replay.check(), Err(Unreplayable::NoMemory));
            assert!(most_for(length) > memory.limit() - held);
        }
        self.replay = Some(replay);
        !fits
    }

    pub(crate) fn give_back(&mut self, memory: &ReplayMemory) {
        let held = memory.held();
        self.replay = None;
        assert_eq!(memory.held(), held - self.held);
        self.held = 0;
    }
}
