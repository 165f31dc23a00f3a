use bytes::Bytes;
use http_body::Frame;

use super::{
    ReplayMemory,
    error::Unreplayable,
    log::{Cursor, Log},
};

/// A log within its bounds: the cap of one body, and the memory of all.
pub(super) struct Store {
    log: Log,
    cap: u64,
    memory: Option<ReplayMemory>,
    /// What the log has taken from the memory.
    charged: usize,
}

impl Store {
    pub(super) fn new(is_sized: bool, cap: u64, memory: Option<ReplayMemory>) -> Self {
        Self {
            log: Log::new(is_sized),
            cap,
            memory,
            charged: 0,
        }
    }

    /// Keeps a frame, or says which bound it would pass. Empty data carries nothing and is not kept.
    pub(super) fn push(&mut self, frame: &Frame<Bytes>) -> Result<(), Unreplayable> {
        if let Some(data) = frame.data_ref() {
            if data.is_empty() {
                return Ok(());
            }
            if self.log.payload() + data.len() as u64 > self.cap {
                return Err(Unreplayable::OverCap);
            }
            self.charge(self.log.cost_of_data(data.len()))?;
            self.log.push_data(data);
        } else if let Some(trailers) = frame.trailers_ref() {
            self.charge(Log::cost_of_trailers(trailers))?;
            self.log.push_trailers(trailers);
        }
        Ok(())
    }

    pub(super) fn read(&mut self, cursor: &mut Cursor) -> Option<Frame<Bytes>> {
        self.log.read(cursor)
    }

    /// The place behind the last frame.
    pub(super) fn end(&self) -> Cursor {
        self.log.end()
    }

    pub(super) fn ends_in_trailers(&self) -> bool {
        self.log.ends_in_trailers()
    }

    /// Payload bytes held.
    pub(super) fn payload(&self) -> u64 {
        self.log.payload()
    }

    /// Drops what lies before `cursor`.
    pub(super) fn drop_before(&mut self, cursor: Cursor) {
        let freed = self.log.drop_before(cursor);
        self.give_back(freed);
    }

    /// Drops everything; the end is then the beginning.
    pub(super) fn clear(&mut self) {
        self.log.clear();
        self.give_back(self.charged);
    }

    fn charge(&mut self, cost: usize) -> Result<(), Unreplayable> {
        if self
            .memory
            .as_ref()
            .is_some_and(|memory| !memory.take(cost))
        {
            return Err(Unreplayable::NoMemory);
        }
        self.charged += cost;
        Ok(())
    }

    fn give_back(&mut self, bytes: usize) {
        self.charged -= bytes;
        if let Some(memory) = &self.memory {
            memory.give_back(bytes);
        }
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        self.give_back(self.charged);
    }
}
