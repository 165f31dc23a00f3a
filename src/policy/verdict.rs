use std::time::Duration;

use crate::{failure::Stage, trail::Route};

/// What a [`Policy`](super::Policy) wants done; the layer's limits have the last word.
///
/// ```
/// use std::time::Duration;
/// use tower_failover::policy::Verdict;
///
/// let verdict = Verdict::retry().after(Duration::from_millis(50));
/// assert_eq!(verdict.delay(), Duration::from_millis(50));
/// assert!(!verdict.is_deliver());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub struct Verdict {
    next: Next,
    delay: Duration,
    or_tried: bool,
    even_non_idempotent: bool,
    unprocessed: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    Deliver,
    Retry,
    Failover,
}

impl Verdict {
    /// Give the client what there is: this response, the one that is held, or the failure.
    pub const fn deliver() -> Self {
        Self::new(Next::Deliver)
    }

    /// Try the same peer once more.
    pub const fn retry() -> Self {
        Self::new(Next::Retry)
    }

    /// Try another peer: one that this request has not been to.
    pub const fn failover() -> Self {
        Self::new(Next::Failover)
    }

    const fn new(next: Next) -> Self {
        Self {
            next,
            delay: Duration::ZERO,
            or_tried: false,
            even_non_idempotent: false,
            unprocessed: false,
        }
    }

    /// Wait first. If the wait does not fit into the deadline or the retry window, what there is
    /// is delivered at once.
    pub const fn after(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    /// Fail over to a peer already tried when no other is left. Of a [`retry`](Self::retry) it says where
    /// the request may go when the peer is gone; it says nothing of a [`deliver`](Self::deliver).
    pub const fn or_tried(mut self) -> Self {
        self.or_tried = true;
        self
    }

    /// Send the request again even though it is not safe to repeat and may have been processed.
    ///
    /// Not recommended: the upstreams may then process one request twice (RFC 9110, section 9.2.2).
    pub const fn even_non_idempotent(mut self) -> Self {
        self.even_non_idempotent = true;
        self
    }

    /// This response, or this failure, says that the request was not processed, so that any request
    /// whose body can be replayed may be sent again: it counts as
    /// [`Stage::Refused`](crate::failure::Stage::Refused).
    ///
    /// To say so is a promise about the upstream: that it answers in this way before it processes
    /// anything, such as with 425 (Too Early), or with 503 while it drains.
    pub const fn unprocessed(mut self) -> Self {
        self.unprocessed = true;
        self
    }

    /// Whether no further attempt is wanted.
    pub const fn is_deliver(&self) -> bool {
        matches!(self.next, Next::Deliver)
    }

    /// Whether another attempt at the same peer is wanted.
    pub const fn is_retry(&self) -> bool {
        matches!(self.next, Next::Retry)
    }

    /// Whether an attempt at another peer is wanted.
    pub const fn is_failover(&self) -> bool {
        matches!(self.next, Next::Failover)
    }

    /// How long to wait first.
    pub const fn delay(&self) -> Duration {
        self.delay
    }

    /// What either wants: this verdict's way, and whether repeating is allowed by one of them.
    pub(super) fn or(self, other: Self) -> Self {
        if self.is_deliver() {
            return other;
        }
        if other.is_deliver() {
            return self;
        }
        Self {
            next: self.next,
            delay: self.delay,
            or_tried: self.or_tried,
            even_non_idempotent: self.even_non_idempotent || other.even_non_idempotent,
            unprocessed: self.unprocessed || other.unprocessed,
        }
    }

    /// What both want: this verdict's way, the longer delay, and no more than both allow.
    pub(super) fn and(self, other: Self) -> Self {
        if other.is_deliver() {
            return other;
        }
        Self {
            next: self.next,
            delay: self.delay.max(other.delay),
            or_tried: self.or_tried && other.or_tried,
            even_non_idempotent: self.even_non_idempotent && other.even_non_idempotent,
            unprocessed: self.unprocessed || other.unprocessed,
        }
    }

    /// How far the request provably got, when what was seen of it proves `seen`.
    pub(crate) const fn proved(&self, seen: Stage) -> Stage {
        match seen {
            Stage::MaybeProcessed if self.unprocessed => Stage::Refused,
            _ => seen,
        }
    }

    /// Whether a request may be sent again on the strength of it that is not safe to repeat.
    pub(super) const fn allows_repeating(&self) -> bool {
        self.even_non_idempotent || self.unprocessed
    }

    pub(crate) const fn repeats_unsafe(&self) -> bool {
        self.even_non_idempotent
    }

    /// Where the next attempt may go; `None` when none is wanted.
    pub(crate) const fn route(&self) -> Option<Route> {
        match self.next {
            Next::Deliver => None,
            Next::Retry => Some(Route::Same {
                or_tried: self.or_tried,
            }),
            Next::Failover => Some(Route::Other {
                or_tried: self.or_tried,
            }),
        }
    }
}
