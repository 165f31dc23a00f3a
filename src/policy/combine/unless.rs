use std::fmt;

use http::{request, response};

use crate::{
    failure::Failure,
    policy::{Attempt, Policy, Verdict},
};

/// Tries nothing again after responses that meet a condition, whatever a policy says; made by
/// [`PolicyExt::unless`](super::PolicyExt::unless).
///
/// It binds the whole policy, where `unless-header` binds the [list](crate::policy::RetryOn) on which it
/// stands.
///
/// ```
/// use tower_failover::policy::{PolicyExt, Standard};
///
/// let policy = Standard::default().unless(|head| head.headers.contains_key("x-do-not-retry"));
/// # let _ = tower_failover::FailoverLayer::new(policy);
/// ```
#[derive(Clone, Copy)]
pub struct Unless<P, F> {
    policy: P,
    condition: F,
}

impl<P, F> Unless<P, F> {
    pub(super) const fn new(policy: P, condition: F) -> Self {
        Self { policy, condition }
    }
}

impl<P, F> Policy for Unless<P, F>
where
    P: Policy,
    F: Fn(&response::Parts) -> bool,
{
    fn fail_to_connect(&mut self, attempt: &Attempt<'_>, failure: &Failure) -> Verdict {
        self.policy.fail_to_connect(attempt, failure)
    }

    fn error_while_proxy(&mut self, attempt: &Attempt<'_>, failure: &Failure) -> Verdict {
        self.policy.error_while_proxy(attempt, failure)
    }

    fn upstream_response_decision(
        &mut self,
        attempt: &Attempt<'_>,
        response: &response::Parts,
    ) -> Verdict {
        if (self.condition)(response) {
            return Verdict::deliver();
        }
        self.policy.upstream_response_decision(attempt, response)
    }

    fn prepare(&mut self, attempt: &Attempt<'_>, head: &mut request::Parts) {
        self.policy.prepare(attempt, head);
    }

    fn may_retry(&mut self, head: &request::Parts) -> bool {
        self.policy.may_retry(head)
    }
}

impl<P: fmt::Debug, F> fmt::Debug for Unless<P, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Unless")
            .field("policy", &self.policy)
            .finish_non_exhaustive()
    }
}
