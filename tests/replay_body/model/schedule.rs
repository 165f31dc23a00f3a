//! What one run is made of: a body, and what is done with it.

/// A body, and the operations on it in order.
#[derive(Clone, Debug)]
pub(crate) struct Schedule {
    pub(crate) body: Plan,
    pub(crate) operations: Vec<Operation>,
}

/// What the source yields and promises, and how much of it may be kept.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// The last one is the end or the failure.
    pub(crate) parts: Vec<Part>,
    /// How many parts there are before the first operation.
    pub(crate) ready: usize,
    pub(crate) length: Length,
    pub(crate) tells_end: bool,
    pub(crate) cap: u64,
    pub(crate) memory_limit: usize,
}

/// What one poll of the source yields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Chunk(usize),
    /// The source is pending though a part follows.
    Stall,
    Trailers,
    Fail,
    End,
}

/// What the source promises.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Length {
    Unknown,
    Exact,
    /// The source promises this many bytes more than it has.
    Short(u64),
}

/// A handle is named by its place among those that live, counted in a circle.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Operation {
    Poll(usize),
    PollFromAnotherTask(usize),
    /// Polls until there is no frame.
    ReadOn(usize),
    /// The source goes on by so many parts.
    Send(usize),
    /// The source wakes whoever polled it last.
    Wake,
    Start,
    Drop(usize),
    RevokeAll,
    /// The circle goes on behind the live handles with those that were dropped.
    Revoke(usize),
    Commit,
    DropOwner,
    /// Another body takes this many bytes of the memory.
    RivalTakes(usize),
    RivalGivesBack,
}

impl Plan {
    /// Payload bytes of the first `count` parts.
    pub(crate) fn payload(&self, count: usize) -> u64 {
        let parts = self.parts.iter().take(count);
        parts.map(|part| part.length() as u64).sum()
    }

    pub(crate) fn promised(&self) -> Option<u64> {
        let payload = self.payload(usize::MAX);
        match self.length {
            Length::Unknown => None,
            Length::Exact => Some(payload),
            Length::Short(missing) => Some(payload + missing),
        }
    }
}

impl Part {
    pub(crate) fn length(self) -> usize {
        match self {
            Self::Chunk(length) => length,
            Self::Stall | Self::Trailers | Self::Fail | Self::End => 0,
        }
    }
}
