use http::{request, response};

use crate::{
    failure::Failure,
    policy::{Attempt, Event, Policy, Verdict},
};

/// Tries a request again no more than a number of times on a policy's word; made by
/// [`PolicyExt::limited`](super::PolicyExt::limited).
///
/// It bounds one rule among several, where the layer's
/// [`max_attempts`](crate::FailoverLayer::max_attempts) bounds them all; see [`Or`](super::Or).
#[derive(Clone, Copy, Debug)]
pub struct Limited<P> {
    policy: P,
    left: u32,
}

impl<P> Limited<P> {
    pub(super) const fn new(policy: P, retries: u32) -> Self {
        Self {
            policy,
            left: retries,
        }
    }
}

impl<P: Policy> Limited<P> {
    fn decide(&mut self, attempt: &Attempt<'_>, event: Event<'_>) -> Verdict {
        let Some(left) = self.left.checked_sub(1) else {
            return Verdict::deliver();
        };
        let verdict = event.ask(&mut self.policy, attempt);
        if !verdict.is_deliver() {
            self.left = left;
        }
        verdict
    }
}

impl<P: Policy> Policy for Limited<P> {
    fn fail_to_connect(&mut self, attempt: &Attempt<'_>, failure: &Failure) -> Verdict {
        self.decide(attempt, Event::FailToConnect(failure))
    }

    fn error_while_proxy(&mut self, attempt: &Attempt<'_>, failure: &Failure) -> Verdict {
        self.decide(attempt, Event::ErrorWhileProxy(failure))
    }

    fn upstream_response_decision(
        &mut self,
        attempt: &Attempt<'_>,
        response: &response::Parts,
    ) -> Verdict {
        self.decide(attempt, Event::Response(response))
    }

    fn prepare(&mut self, attempt: &Attempt<'_>, head: &mut request::Parts) {
        self.policy.prepare(attempt, head);
    }

    fn may_retry(&mut self, head: &request::Parts) -> bool {
        self.left > 0 && self.policy.may_retry(head)
    }
}
