use std::sync::{Arc, LazyLock};

use http::{request, response};

use super::{Attempt, Policy, RetryOn, Verdict};
use crate::{
    failure::{Failure, FailureKind},
    limits::Backoff,
};

/// The policy for nearly everybody: which failures and responses go to another peer.
///
/// # Defaults
///
/// - On [`RetryOn::default`]: connect failures and refused streams for every method; resets,
///   per-try timeouts and 502, 503, 504 for requests that are
///   [safe to repeat](Attempt::is_safe_to_repeat).
/// - Another peer at once; when the service below names no peers, or tried ones may be
///   [used again](Self::reuse_tried), after a [`Backoff`].
/// - A request that is not safe to repeat is not repeated once it may have been processed.
#[derive(Clone, Debug)]
pub struct Standard {
    settings: Arc<Settings>,
}

#[derive(Clone, Debug, Default)]
struct Settings {
    retry_on: RetryOn,
    non_idempotent: NonIdempotent,
    backoff: Backoff,
    reuse_tried: bool,
}

/// Whether a request that is not safe to repeat is repeated although it may have been processed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum NonIdempotent {
    /// Never: a proxy must not (RFC 9110, section 9.2.2).
    #[default]
    Never,
    /// When a reused connection dies without a response head.
    ///
    /// Mostly the peer had closed it while it was idle. Not always: an origin can read a request
    /// whole, act on it, and then close. Not recommended where acting twice does harm.
    Reused,
    /// After every failure and response on the list.
    ///
    /// Not recommended: a request whose answer was lost is processed twice.
    Always,
}

static DEFAULT: LazyLock<Standard> = LazyLock::new(|| Standard::new(RetryOn::default()));

impl Standard {
    /// Tries again on what is on the list, and on nothing else.
    pub fn new(retry_on: RetryOn) -> Self {
        Self {
            settings: Arc::new(Settings {
                retry_on,
                ..Settings::default()
            }),
        }
    }

    /// Sets what becomes of requests that are not safe to repeat; by default
    /// [`NonIdempotent::Never`].
    #[must_use]
    pub fn non_idempotent(self, non_idempotent: NonIdempotent) -> Self {
        self.with(|settings| settings.non_idempotent = non_idempotent)
    }

    /// Sets the delay before a peer that may have been tried already; by default
    /// [`Backoff::default`].
    #[must_use]
    pub fn backoff(self, backoff: Backoff) -> Self {
        self.with(|settings| settings.backoff = backoff)
    }

    /// Sets whether a tried peer may be used again when no untried one is left; by default not.
    #[must_use]
    pub fn reuse_tried(self, reuse_tried: bool) -> Self {
        self.with(|settings| settings.reuse_tried = reuse_tried)
    }

    fn with(mut self, set: impl FnOnce(&mut Settings)) -> Self {
        set(Arc::make_mut(&mut self.settings));
        self
    }

    /// To an untried peer at once; to what may be a tried one after a delay.
    fn again(&self, attempt: &Attempt<'_>, even_non_idempotent: bool) -> Verdict {
        let mut verdict = Verdict::failover();
        if even_non_idempotent {
            verdict = verdict.even_non_idempotent();
        }
        if self.settings.reuse_tried {
            verdict = verdict.or_tried();
        }
        // Where peers have names, an attempt that may go to no tried one goes to another.
        let excludes = attempt.peer().is_some() && !self.settings.reuse_tried;
        match attempt.has_untried_peer() {
            Some(true) => verdict,
            None if excludes => verdict,
            _ => verdict.after(self.settings.backoff.delay(attempt.number())),
        }
    }

    fn after_failure(&self, attempt: &Attempt<'_>, failure: &Failure) -> Verdict {
        if !self.settings.retry_on.matches_failure(failure) {
            return Verdict::deliver();
        }
        let even_non_idempotent = match self.settings.non_idempotent {
            NonIdempotent::Never => false,
            NonIdempotent::Reused => {
                failure.kind() == FailureKind::Reset && failure.connection_reused() == Some(true)
            }
            NonIdempotent::Always => true,
        };
        self.again(attempt, even_non_idempotent)
    }
}

impl Policy for Standard {
    fn fail_to_connect(&mut self, attempt: &Attempt<'_>, failure: &Failure) -> Verdict {
        self.after_failure(attempt, failure)
    }

    fn error_while_proxy(&mut self, attempt: &Attempt<'_>, failure: &Failure) -> Verdict {
        self.after_failure(attempt, failure)
    }

    fn upstream_response_decision(
        &mut self,
        attempt: &Attempt<'_>,
        response: &response::Parts,
    ) -> Verdict {
        if self.settings.retry_on.matches_response(response) {
            let even_non_idempotent = self.settings.non_idempotent == NonIdempotent::Always;
            self.again(attempt, even_non_idempotent)
        } else {
            Verdict::deliver()
        }
    }

    fn may_retry(&self, _head: &request::Parts) -> bool {
        self.settings.retry_on != RetryOn::none()
    }
}

impl Default for Standard {
    fn default() -> Self {
        DEFAULT.clone()
    }
}
