use std::fmt;

use http::response;

use super::{Attempt, Policy, Verdict};
use crate::failure::Failure;

/// What an attempt came to.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// It failed, and nothing of the request was sent.
    FailToConnect(&'a Failure),
    /// It failed later, without a response head.
    ErrorWhileProxy(&'a Failure),
    /// A response head arrived.
    Response(&'a response::Parts),
}

impl Event<'_> {
    /// Asks a policy about it.
    pub(super) fn ask(self, policy: &mut impl Policy, attempt: &Attempt<'_>) -> Verdict {
        match self {
            Self::FailToConnect(failure) => policy.fail_to_connect(attempt, failure),
            Self::ErrorWhileProxy(failure) => policy.error_while_proxy(attempt, failure),
            Self::Response(response) => policy.upstream_response_decision(attempt, response),
        }
    }
}

/// A [`Policy`] in one closure.
///
/// Each request calls its own clone of the closure, so what it captures by value is the request's
/// own state.
///
/// ```
/// use http::StatusCode;
/// use tower_failover::policy::{Event, Verdict, policy_fn};
///
/// let policy = policy_fn(|attempt, event| match event {
///     Event::FailToConnect(_) => Verdict::failover(),
///     Event::Response(response) if response.status == StatusCode::NOT_FOUND => {
///         Verdict::failover()
///     }
///     _ => Verdict::deliver(),
/// });
/// # let _ = tower_failover::FailoverLayer::new(policy);
/// ```
pub fn policy_fn<F>(decide: F) -> PolicyFn<F>
where
    F: FnMut(&Attempt<'_>, Event<'_>) -> Verdict,
{
    PolicyFn { decide }
}

/// The policy that [`policy_fn`] returns.
#[derive(Clone, Copy)]
pub struct PolicyFn<F> {
    decide: F,
}

impl<F> Policy for PolicyFn<F>
where
    F: FnMut(&Attempt<'_>, Event<'_>) -> Verdict,
{
    fn fail_to_connect(&mut self, attempt: &Attempt<'_>, failure: &Failure) -> Verdict {
        (self.decide)(attempt, Event::FailToConnect(failure))
    }

    fn error_while_proxy(&mut self, attempt: &Attempt<'_>, failure: &Failure) -> Verdict {
        (self.decide)(attempt, Event::ErrorWhileProxy(failure))
    }

    fn upstream_response_decision(
        &mut self,
        attempt: &Attempt<'_>,
        response: &response::Parts,
    ) -> Verdict {
        (self.decide)(attempt, Event::Response(response))
    }
}

impl<F> fmt::Debug for PolicyFn<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PolicyFn").finish_non_exhaustive()
    }
}
