//! What one poll of a handle is to yield.

use super::schedule::Part;

/// How far the source is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    Live,
    Ended,
    /// With the source's own error, unless it is short of its length.
    Failed {
        short: bool,
    },
}

/// What one poll of a handle is to yield.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Revoked,
    LeftBehind,
    /// What was pulled before. Frames that are kept may be merged: these are all the bytes.
    Logged {
        left: u64,
    },
    LoggedTrailers,
    /// The end or the failure, once more.
    Over(Source),
    /// The source is asked, and has nothing.
    Nothing,
    /// The source is asked, and yields a chunk or the trailers.
    Pulled(Part),
    /// The source is asked, and ends or fails.
    Ends(Source),
}

impl Outcome {
    /// Whether the source is asked.
    pub(crate) fn pulls(self) -> bool {
        matches!(self, Self::Nothing | Self::Pulled(_) | Self::Ends(_))
    }

    pub(crate) fn is_trailers(self) -> bool {
        matches!(self, Self::LoggedTrailers | Self::Pulled(Part::Trailers))
    }
}
