use tokio::time::Instant;

/// Who is being waited for.
pub(super) enum Patience {
    /// Nobody asked.
    Untimed,
    /// The source: the request's sender.
    Source,
    /// Whoever reads, since something was last taken.
    Reader(Instant),
}

impl Patience {
    pub(super) fn new(timed: bool) -> Self {
        if timed {
            // Until somebody reads.
            Self::Source
        } else {
            Self::Untimed
        }
    }

    /// A reader has found that the source has nothing yet.
    pub(super) fn is_with_source(&mut self) {
        if !matches!(self, Self::Untimed) {
            *self = Self::Source;
        }
    }

    /// A reader can take more from now on.
    pub(super) fn is_with_reader(&mut self) {
        if !matches!(self, Self::Untimed) {
            *self = Self::Reader(Instant::now());
        }
    }

    pub(super) fn reader_since(&self) -> Option<Instant> {
        match self {
            Self::Reader(since) => Some(*since),
            Self::Source | Self::Untimed => None,
        }
    }
}
