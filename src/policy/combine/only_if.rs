use std::fmt;

use http::{request, response};

use crate::{
    failure::Failure,
    policy::{Attempt, Policy, Verdict},
};

/// Tries again only requests whose head meets a condition; made by
/// [`PolicyExt::only_if`](super::PolicyExt::only_if).
///
/// Other requests are sent once, and cost nothing. The condition sees the head as it came to the layer.
///
/// ```
/// use tower_failover::policy::{PolicyExt, Standard};
///
/// let policy = Standard::default().only_if(|head| head.uri.path().starts_with("/search"));
/// # let _ = tower_failover::FailoverLayer::new(policy);
/// ```
#[derive(Clone, Copy)]
pub struct OnlyIf<P, F> {
    policy: P,
    condition: F,
}

impl<P, F> OnlyIf<P, F> {
    pub(super) const fn new(policy: P, condition: F) -> Self {
        Self { policy, condition }
    }
}

impl<P, F> Policy for OnlyIf<P, F>
where
    P: Policy,
    F: Fn(&request::Parts) -> bool,
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
        self.policy.upstream_response_decision(attempt, response)
    }

    fn prepare(&mut self, attempt: &Attempt<'_>, head: &mut request::Parts) {
        self.policy.prepare(attempt, head);
    }

    fn may_retry(&mut self, head: &request::Parts) -> bool {
        (self.condition)(head) && self.policy.may_retry(head)
    }
}

impl<P: fmt::Debug, F> fmt::Debug for OnlyIf<P, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OnlyIf")
            .field("policy", &self.policy)
            .finish_non_exhaustive()
    }
}
