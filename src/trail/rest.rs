use std::time::Duration;

use tokio::time::Instant;

/// Until when a peer asked to be left alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Rest {
    Not,
    Until(Instant),
    /// For longer than anybody waits.
    ForGood,
}

impl Rest {
    /// For a time from now on; one that is too long to be told is for good.
    pub(crate) fn until(wait: Duration) -> Self {
        let at = Instant::now().checked_add(wait);
        at.map_or(Self::ForGood, Self::Until)
    }

    pub(super) fn is_over(self) -> bool {
        match self {
            Self::Not => true,
            Self::Until(at) => at <= Instant::now(),
            Self::ForGood => false,
        }
    }
}
