use tokio::time::Instant;

/// Whose turn it is in an attempt, as far as its endpoint tells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Turn {
    /// The peer's, from the start: the endpoint says nothing of connections.
    #[default]
    Untold,
    /// Nobody's: there is no peer yet.
    Awaiting,
    /// The peer's, from the time when there was one.
    #[cfg_attr(
        not(feature = "balance"),
        expect(dead_code, reason = "a balancer says it")
    )]
    Arrived(Instant),
    /// Nobody's: there is no connection yet.
    Connecting,
    /// The peer's, since there is one.
    Connected(Instant),
}

impl Turn {
    /// Something may have been sent since there was a connection: a second one does not change that.
    pub(super) fn connecting(&mut self) {
        if !matches!(self, Self::Connected(_)) {
            *self = Self::Connecting;
        }
    }

    /// There is no peer yet.
    #[cfg(feature = "balance")]
    pub(super) fn awaiting(&mut self) {
        *self = Self::Awaiting;
    }

    /// There is a peer now, or there will be none.
    #[cfg(feature = "balance")]
    pub(super) fn arrived(&mut self) {
        *self = Self::Arrived(Instant::now());
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
            Self::Awaiting | Self::Connecting => None,
            Self::Arrived(at) | Self::Connected(at) => Some(since.max(at)),
        }
    }
}
