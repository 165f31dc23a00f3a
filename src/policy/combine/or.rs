use http::{request, response};

use crate::{
    failure::Failure,
    policy::{Attempt, Event, Policy, Verdict},
};

/// Tries again when one of two policies wants to; made by [`PolicyExt::or`](super::PolicyExt::or).
///
/// The second is asked when the first would deliver, and when the first wants another attempt of a request
/// that it may not repeat: it then goes where the first says, on the permission of the second.
///
/// For rules with different limits:
///
/// ```
/// use tower_failover::policy::{PolicyExt, Standard};
///
/// // Dead peers as often as there are attempts, but a status only once.
/// let policy = Standard::new("connect-failure,refused-stream".parse()?)
///     .or(Standard::new("503".parse()?).limited(1));
/// # let _ = tower_failover::FailoverLayer::new(policy);
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Or<A, B> {
    one: A,
    other: B,
    /// Which of them the request concerns at all.
    concerns: [bool; 2],
}

impl<A, B> Or<A, B> {
    pub(super) const fn new(one: A, other: B) -> Self {
        Self {
            one,
            other,
            concerns: [true; 2],
        }
    }
}

impl<A: Policy, B: Policy> Or<A, B> {
    fn decide(&mut self, attempt: &Attempt<'_>, event: Event<'_>) -> Verdict {
        let [one, other] = self.concerns;
        let mut verdict = Verdict::deliver();
        if one {
            verdict = event.ask(&mut self.one, attempt);
        }
        let is_enough = !verdict.is_deliver()
            && (verdict.allows_repeating()
                || attempt.is_safe_to_repeat()
                || matches!(event, Event::FailToConnect(_)));
        if other && !is_enough {
            verdict = verdict.or(event.ask(&mut self.other, attempt));
        }
        verdict
    }
}

impl<A: Policy, B: Policy> Policy for Or<A, B> {
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
        let [one, other] = self.concerns;
        if one {
            self.one.prepare(attempt, head);
        }
        if other {
            self.other.prepare(attempt, head);
        }
    }

    fn may_retry(&mut self, head: &request::Parts) -> bool {
        self.concerns = [self.one.may_retry(head), self.other.may_retry(head)];
        self.concerns != [false; 2]
    }
}
