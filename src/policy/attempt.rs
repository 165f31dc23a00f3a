use std::{fmt, time::Duration};

use http::{Extensions, Method, Uri};
use tokio::time::Instant;

use super::safety;
use crate::{
    head::Head,
    replay::{Check, Unreplayable},
    trail::Peer,
};

/// What a [`Policy`](super::Policy) may know of the attempt it decides about.
pub struct Attempt<'a> {
    pub(crate) head: &'a Head,
    pub(crate) replay: &'a dyn Check,
    pub(crate) started: Instant,
    pub(crate) deadline: Option<Instant>,
    pub(crate) window: Option<Instant>,
}

impl Attempt<'_> {
    /// The attempt's number, counted from 1.
    pub fn number(&self) -> u32 {
        self.head.trail.attempt()
    }

    /// The request's method.
    pub fn method(&self) -> &Method {
        self.head.method()
    }

    /// The request's URI.
    pub fn uri(&self) -> &Uri {
        self.head.uri()
    }

    /// The first value of one of the request's headers; the name is compared without regard to
    /// case.
    pub fn header(&self, name: &str) -> Option<&[u8]> {
        self.head.header(name)
    }

    /// The request's extensions, as they were before the first attempt.
    pub fn extensions(&self) -> &Extensions {
        self.head.extensions()
    }

    /// The peer that this attempt went to; `None` before it is picked, and when the service below
    /// names no peers.
    pub fn peer(&self) -> Option<Peer> {
        self.head.trail.peer()
    }

    /// The peers tried so far, this attempt's included.
    pub fn peers(&self) -> Vec<Peer> {
        self.head.trail.peers()
    }

    /// Whether an available peer is left that the request has not been to; `None` when the service
    /// below cannot tell.
    pub fn has_untried_peer(&self) -> Option<bool> {
        self.head.trail.has_untried()
    }

    /// The time since the request came, delays included.
    pub fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// The time until the overall deadline; `None` without one.
    pub fn time_left(&self) -> Option<Duration> {
        let deadline = self.deadline?;
        Some(deadline.saturating_duration_since(Instant::now()))
    }

    /// The longest delay after which another attempt may begin.
    pub(super) fn longest_delay(&self) -> Duration {
        let now = Instant::now();
        let ends = self.deadline.into_iter().chain(self.window).min();
        ends.map_or(Duration::MAX, |at| at.saturating_duration_since(now))
    }

    /// Whether the request's body can be sent again.
    ///
    /// # Errors
    ///
    /// Says why not.
    pub fn can_replay(&self) -> Result<(), Unreplayable> {
        self.replay.check()
    }

    /// Whether the request may be sent again although it may have been processed: its method is
    /// idempotent, it carries an `Idempotency-Key`, or its user [said so](super::SafeToRepeat).
    pub fn is_safe_to_repeat(&self) -> bool {
        safety::is_safe_to_repeat(self.head)
    }
}

impl fmt::Debug for Attempt<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Attempt")
            .field("number", &self.number())
            .field("method", self.method())
            .field("uri", self.uri())
            .field("peer", &self.peer())
            .finish_non_exhaustive()
    }
}
