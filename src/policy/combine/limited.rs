use http::{request, response};

use crate::{
    failure::Failure,
    policy::{Attempt, Policy, Verdict},
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

    fn ask(&mut self, ask: impl FnOnce(&mut P) -> Verdict) -> Verdict {
        let Some(left) = self.left.checked_sub(1) else {
            return Verdict::deliver();
        };
        let verdict = ask(&mut self.policy);
        if !verdict.is_deliver() {
            self.left = left;
        }
        verdict
    }
}

impl<P: Policy> Policy for Limited<P> {
    fn fail_to_connect(&mut self, attempt: &Attempt<'_>, failure: &Failure) -> Verdict {
        self.ask(|policy| policy.fail_to_connect(attempt, failure))
    }

    fn error_while_proxy(&mut self, attempt: &Attempt<'_>, failure: &Failure) -> Verdict {
        self.ask(|policy| policy.error_while_proxy(attempt, failure))
    }

    fn upstream_response_decision(
        &mut self,
        attempt: &Attempt<'_>,
        response: &response::Parts,
    ) -> Verdict {
        self.ask(|policy| policy.upstream_response_decision(attempt, response))
    }

    fn prepare(&mut self, attempt: &Attempt<'_>, head: &mut request::Parts) {
        self.policy.prepare(attempt, head);
    }

    fn may_retry(&self, head: &request::Parts) -> bool {
        self.left > 0 && self.policy.may_retry(head)
    }
}
