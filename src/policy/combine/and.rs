use http::{request, response};

use crate::{
    failure::Failure,
    policy::{Attempt, Event, Policy, Verdict},
};

/// Tries again only when both policies want to; made by [`PolicyExt::and`](super::PolicyExt::and).
///
/// The second is asked only when the first wants another attempt. That attempt goes where the first
/// says, after the longer of the two delays, and may do only what both allow: go to a tried peer, or
/// repeat what is not safe to repeat. What one of them knows to be
/// [unprocessed](Verdict::unprocessed) is so.
///
/// A policy that only objects must allow everything else: `failover().or_tried().even_non_idempotent()`
/// adds nothing to what the other one wants, and takes nothing from it.
///
/// For a rule on failures that a list cannot express:
///
/// ```
/// use std::time::Duration;
/// use tower_failover::policy::{Event, PolicyExt, Standard, Verdict, policy_fn};
///
/// let soon = policy_fn(|attempt, event| match event {
///     Event::ErrorWhileProxy(_) if attempt.elapsed() > Duration::from_secs(1) => Verdict::deliver(),
///     _ => Verdict::failover().or_tried().even_non_idempotent(),
/// });
/// let policy = Standard::default().and(soon);
/// # let _ = tower_failover::FailoverLayer::new(policy);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct And<A, B> {
    one: A,
    other: B,
}

impl<A, B> And<A, B> {
    pub(super) const fn new(one: A, other: B) -> Self {
        Self { one, other }
    }
}

impl<A: Policy, B: Policy> And<A, B> {
    fn decide(&mut self, attempt: &Attempt<'_>, event: Event<'_>) -> Verdict {
        let verdict = event.ask(&mut self.one, attempt);
        if verdict.is_deliver() {
            verdict
        } else {
            verdict.and(event.ask(&mut self.other, attempt))
        }
    }
}

impl<A: Policy, B: Policy> Policy for And<A, B> {
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
        self.one.prepare(attempt, head);
        self.other.prepare(attempt, head);
    }

    fn may_retry(&mut self, head: &request::Parts) -> bool {
        self.one.may_retry(head) && self.other.may_retry(head)
    }
}
