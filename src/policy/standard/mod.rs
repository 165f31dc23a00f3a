mod retry_after;

use std::{
    fmt,
    sync::{Arc, LazyLock},
    time::Duration,
};

use http::{request, response};
use tokio::time::Instant;

use self::retry_after::Hint;
pub use self::retry_after::RetryAfter;
use super::{Attempt, Policy, RetryOn, Statuses, Verdict};
use crate::{
    failure::{Failure, FailureKind},
    limits::{Backoff, Delays},
    trail::Rest,
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
/// - A peer that says in [`Retry-After`](RetryAfter) when to come again is not called earlier.
/// - A request that is not safe to repeat is not repeated once it may have been processed.
///
/// # Never
///
/// Whatever the settings, nothing is tried again after a certificate that is not the peer's, a request
/// that cannot be sent as it is, a request body that failed while it was read, an overload of our own,
/// or 101 (Switching Protocols).
///
/// ```
/// use std::time::Duration;
/// use tower_failover::{limits::Backoff, policy::{RetryAfter, Standard}};
///
/// let ms = Duration::from_millis;
/// let policy = Standard::new("connect-failure,reset,502-504".parse()?)
///     .refused_on("421,425".parse()?) // answered before anything is processed
///     .reuse_tried(true)
///     .backoff(Backoff::new(ms(50), ms(1_000))?)
///     .retry_after(RetryAfter::up_to(ms(5_000)));
/// # let _ = tower_failover::FailoverLayer::new(policy);
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
pub struct Standard {
    settings: Arc<Settings>,
    /// The delays that are left to the request; `None` until it needs one.
    delays: Option<Box<dyn Iterator<Item = Duration> + Send + Sync>>,
}

/// A condition on a response's head.
type Condition = dyn Fn(&response::Parts) -> bool + Send + Sync;

#[derive(Clone)]
struct Settings {
    retry_on: RetryOn,
    refused_on: Statuses,
    refused_if: Option<Arc<Condition>>,
    non_idempotent: NonIdempotent,
    delays: Arc<dyn Delays>,
    retry_after: RetryAfter,
    reuse_tried: bool,
    retries_per_peer: u32,
}

/// Whether a request that is not safe to repeat is repeated although it may have been processed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "kebab-case"))]
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

static DEFAULT: LazyLock<Arc<Settings>> = LazyLock::new(|| {
    Arc::new(Settings {
        retry_on: RetryOn::default(),
        refused_on: Statuses::none(),
        refused_if: None,
        non_idempotent: NonIdempotent::default(),
        delays: Arc::new(Backoff::default()),
        retry_after: RetryAfter::default(),
        reuse_tried: false,
        retries_per_peer: 0,
    })
});

impl Standard {
    /// Tries again on what is on the list, and on nothing else.
    pub fn new(retry_on: RetryOn) -> Self {
        Self::default().with(|settings| settings.retry_on = retry_on)
    }

    /// Sets what becomes of requests that are not safe to repeat; by default
    /// [`NonIdempotent::Never`].
    #[must_use]
    pub fn non_idempotent(self, non_idempotent: NonIdempotent) -> Self {
        self.with(|settings| settings.non_idempotent = non_idempotent)
    }

    /// Declares statuses with which the upstreams answer *before* they process anything, such as 425
    /// (Too Early), 421 (Misdirected Request), or a 503 that is only sent while draining. They are
    /// tried again for every method, whether they are on the list or not; by default there are none.
    ///
    /// Declared wrongly, a request that is not safe to repeat is processed twice.
    #[must_use]
    pub fn refused_on(self, statuses: Statuses) -> Self {
        self.with(|settings| settings.refused_on = statuses)
    }

    /// Declares responses in the same way by what stands in their head, such as a header, or a gRPC status
    /// that the upstreams only send before they begin; by default there are none.
    ///
    /// ```
    /// use tower_failover::policy::{GrpcCode, Standard};
    ///
    /// let drained = Standard::default().refused_if(|head| {
    ///     head.headers.get("x-not-processed").is_some_and(|said| said == "1")
    /// });
    /// let unavailable = Standard::default()
    ///     .refused_if(|head| GrpcCode::of(head) == Some(GrpcCode::Unavailable));
    /// # let _ = (drained, unavailable);
    /// ```
    #[must_use]
    pub fn refused_if(
        self,
        condition: impl Fn(&response::Parts) -> bool + Send + Sync + 'static,
    ) -> Self {
        self.with(|settings| settings.refused_if = Some(Arc::new(condition)))
    }

    /// Sets the delays before a peer that may have been tried already: a [`Backoff`], or any closure
    /// that returns an iterator of [delays](Delays); by default [`Backoff::default`]. To a peer that
    /// the request has not been to there is no delay. A list of `n` delays is used up by `n + 1`
    /// [attempts](crate::FailoverLayer::max_attempts), so that it needs as many.
    #[must_use]
    pub fn backoff(self, delays: impl Delays + 'static) -> Self {
        self.with(|settings| settings.delays = Arc::new(delays))
    }

    /// Sets what becomes of an upstream's `Retry-After`; by default it is heeded
    /// [up to 5 s](RetryAfter).
    #[must_use]
    pub fn retry_after(self, retry_after: RetryAfter) -> Self {
        self.with(|settings| settings.retry_after = retry_after)
    }

    /// Sets whether a tried peer may be used again when no untried one is left; by default not.
    #[must_use]
    pub fn reuse_tried(self, reuse_tried: bool) -> Self {
        self.with(|settings| settings.reuse_tried = reuse_tried)
    }

    /// Sets how often a peer is tried again, after a delay, before the request goes to another; by
    /// default 0. [`u32::MAX`] is HAProxy without `redispatch`: a request leaves its
    /// peer only when that is gone.
    #[must_use]
    pub fn retries_per_peer(self, retries: u32) -> Self {
        self.with(|settings| settings.retries_per_peer = retries)
    }

    fn with(mut self, set: impl FnOnce(&mut Settings)) -> Self {
        set(Arc::make_mut(&mut self.settings));
        self
    }

    /// The next attempt: at the same peer while it may stay there, else at an untried one at once, or at
    /// what may be a tried one after a delay.
    fn again(&mut self, attempt: &Attempt<'_>, hint: Hint) -> Verdict {
        let settings = &self.settings;
        match hint {
            Hint::Never => return Verdict::deliver(),
            Hint::After(wait) => attempt.head.trail.let_rest(Rest::until(wait)),
            Hint::TooLate => attempt.head.trail.let_rest(Rest::ForGood),
            Hint::Pushback(_) => self.delays = None,
            Hint::None => {}
        }
        // Where peers have names, an attempt that may go to no tried one goes to another.
        let untried = attempt.has_untried_peer();
        let excludes = attempt.peer().is_some() && !settings.reuse_tried;
        let elsewhere = untried.unwrap_or(excludes);
        let other = match settings.reuse_tried {
            true => Verdict::failover().or_tried(),
            false => Verdict::failover(),
        };
        if let Hint::Pushback(wait) = hint {
            return self.stay(attempt).unwrap_or(other).after(wait);
        }
        if let Some(verdict) = self.stay(attempt) {
            let delay = self.delay(attempt, attempt.head.trail.rest());
            match delay {
                Some(delay) => return verdict.after(delay),
                // The peer cannot be waited for; another need not be.
                None if elsewhere => {}
                None => return Verdict::deliver(),
            }
        }
        if elsewhere {
            return other;
        }
        let rest = attempt.head.trail.rest_of_tried(untried.is_some());
        match self.delay(attempt, rest) {
            Some(delay) => other.after(delay),
            None => Verdict::deliver(),
        }
    }

    /// The verdict that stays with the peer, if it was not tried again too often.
    fn stay(&self, attempt: &Attempt<'_>) -> Option<Verdict> {
        let stays = attempt.head.trail.stayed() < self.settings.retries_per_peer;
        let verdict = match self.settings.reuse_tried {
            true => Verdict::retry().or_tried(),
            false => Verdict::retry(),
        };
        stays.then_some(verdict)
    }

    /// How long to wait before a peer that may have been tried; `None` when there are no more delays, or
    /// when the wait does not fit.
    ///
    /// A time that was asked for stands in place of the next delay, which is not used up.
    fn delay(&mut self, attempt: &Attempt<'_>, rest: Rest) -> Option<Duration> {
        let left = attempt.longest_delay();
        let delay = match rest {
            _ if self.settings.retry_after == RetryAfter::IGNORED => self.next_delay()?,
            Rest::ForGood => return None,
            Rest::Until(at) if at > Instant::now() => {
                let wait = at - Instant::now();
                // Up to half as long again, but not so long that it would not fit.
                let room = self.settings.retry_after.longest().min(left);
                let most = (wait / 2).min(room.saturating_sub(wait) / 2);
                wait + most.mul_f64(fastrand::f64())
            }
            _ => self.next_delay()?,
        };
        Some(delay).filter(|delay| *delay < left)
    }

    fn next_delay(&mut self) -> Option<Duration> {
        let delays = &self.settings.delays;
        self.delays.get_or_insert_with(|| delays.series()).next()
    }

    fn after_failure(&mut self, attempt: &Attempt<'_>, failure: &Failure) -> Verdict {
        if !self.settings.retry_on.matches_failure(failure) {
            return Verdict::deliver();
        }
        let verdict = self.again(attempt, Hint::None);
        let even_non_idempotent = match self.settings.non_idempotent {
            NonIdempotent::Never => false,
            NonIdempotent::Reused => {
                failure.kind() == FailureKind::Reset && failure.connection_reused() == Some(true)
            }
            NonIdempotent::Always => true,
        };
        if even_non_idempotent {
            verdict.even_non_idempotent()
        } else {
            verdict
        }
    }

    fn is_refusal(&self, response: &response::Parts) -> bool {
        let settings = &self.settings;
        let declared = settings.refused_if.as_ref();
        settings.refused_on.contains(response.status)
            || declared.is_some_and(|condition| condition(response))
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
        let refused = self.is_refusal(response);
        if !refused && !self.settings.retry_on.matches_response(response) {
            return Verdict::deliver();
        }
        let hint = self.settings.retry_after.hint(response);
        let verdict = self.again(attempt, hint);
        if refused {
            verdict.unprocessed()
        } else if self.settings.non_idempotent == NonIdempotent::Always {
            verdict.even_non_idempotent()
        } else {
            verdict
        }
    }

    fn may_retry(&mut self, _head: &request::Parts) -> bool {
        let settings = &self.settings;
        let refusals = !settings.refused_on.is_none() || settings.refused_if.is_some();
        refusals || !settings.retry_on.is_none()
    }
}

/// A clone has the same settings, and begins with a request of its own.
impl Clone for Standard {
    fn clone(&self) -> Self {
        Self {
            settings: Arc::clone(&self.settings),
            delays: None,
        }
    }
}

impl Default for Standard {
    fn default() -> Self {
        Self {
            settings: Arc::clone(&DEFAULT),
            delays: None,
        }
    }
}

impl fmt::Debug for Standard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Standard")
            .field("retry_on", &self.settings.retry_on)
            .field("refused_on", &self.settings.refused_on)
            .field("non_idempotent", &self.settings.non_idempotent)
            .field("retry_after", &self.settings.retry_after)
            .field("reuse_tried", &self.settings.reuse_tried)
            .field("retries_per_peer", &self.settings.retries_per_peer)
            .finish_non_exhaustive()
    }
}
