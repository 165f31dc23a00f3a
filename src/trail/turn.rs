use tokio::time::Instant;

/// Whose turn it is in an attempt, as far as its endpoint tells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Turn {
    /// The peer's, from the start: the endpoint says nothing of connections.
    #[default]
    Untold,
    /// Nobody's: there is no connection yet.
    Connecting,
    /// The peer's, since there is one.
    Connected(Instant),
}

impl Turn {
    /// Something may have been sent since there was a connection: a second one does not change that.
    pub(super) fn connecting(&mut self) {
        if *self == Self::Untold {
            *self = Self::Connecting;
        }
    }

    /// It is the first connection that counts.
    pub(super) fn connected(&mut self) {
        if !matches!(self, Self::Connected(_)) {
            *self = Self::Connected(Instant::now());
        }
    }

    /// Since when it is the peer's turn, which otherwise has been its turn `since` then.
    pub(super) fn since(self, since: Instant) -> Option<Instant> {
        match self {
            Self::Untold => Some(since),
            Self::Connecting => None,
            Self::Connected(at) => Some(since.max(at)),
        }
    }
}
