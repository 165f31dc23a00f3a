//! What to do after a failure or a response.
//!
//! A [`Policy`] decides; [`Standard`] is the one that nearly everybody wants, set by a
//! [`RetryOn`] list as nginx, HAProxy and Envoy have it. [`RetryLine`] reads the lines of those as they
//! are. A policy of your own overrides the callback it cares for:
//!
//! ```
//! use http::{StatusCode, response};
//! use tower_failover::policy::{Attempt, Policy, Verdict};
//!
//! /// Goes elsewhere when a replica says that it lags behind.
//! #[derive(Clone)]
//! struct Fresh;
//!
//! impl Policy for Fresh {
//!     fn upstream_response_decision(
//!         &mut self,
//!         _attempt: &Attempt<'_>,
//!         response: &response::Parts,
//!     ) -> Verdict {
//!         if response.headers.contains_key("x-stale") {
//!             Verdict::failover()
//!         } else {
//!             Verdict::deliver()
//!         }
//!     }
//! }
//! ```
//!
//! Policies are made of policies with [`PolicyExt`]: [`and`](PolicyExt::and), [`or`](PolicyExt::or),
//! [`limited`](PolicyExt::limited), [`only_if`](PolicyExt::only_if), [`unless`](PolicyExt::unless); and
//! taken from each request's route with [`PerRoute`].
//!
//! # Limits bind every policy
//!
//! Whatever a policy answers, no further attempt is started when
//!
//! - the attempts are used up, the deadline or the retry window has passed or would pass inside the
//!   delay, or the retry budget is empty;
//! - the request's body cannot be sent again from its start;
//! - the request may have been processed and is not [safe to repeat](Attempt::is_safe_to_repeat),
//!   unless the verdict says
//!   [`even_non_idempotent`](Verdict::even_non_idempotent), or that it was
//!   [`unprocessed`](Verdict::unprocessed);
//! - the verdict was [`failover`](Verdict::failover) and no untried peer is left, unless it says
//!   [`or_tried`](Verdict::or_tried).
//!
//! The client then gets what there is: a response is thrown away only when another attempt was
//! admitted, and held until that attempt has brought another, wherever its request was sent in full.
//!
//! A policy is not asked about an overload of our own, the overall deadline, or the lack of peers:
//! nothing could be done about them.

mod attempt;
mod combine;
mod grpc_code;
mod policy_fn;
mod retry_line;
mod retry_on;
mod route;
mod safety;
mod standard;
mod statuses;
mod verdict;
mod words;

use http::{request, response};

pub(crate) use self::safety::is_safe_to_repeat;
pub use self::{
    attempt::Attempt,
    combine::{And, Limited, OnlyIf, Or, PolicyExt, Unless},
    grpc_code::GrpcCode,
    policy_fn::{Event, PolicyFn, policy_fn},
    retry_line::{Envoy, ParseRetryLineError, RetryLine},
    retry_on::{ParseRetryOnError, RetryOn},
    route::{PerRoute, RoutePolicy},
    safety::SafeToRepeat,
    standard::{NonIdempotent, RetryAfter, Standard},
    statuses::Statuses,
    verdict::Verdict,
};
use crate::failure::Failure;

/// Decides whether a request is tried again, and where.
///
/// Each request gets its own clone: a field is the request's own state, as Pingora's `CTX` is, and
/// an `Arc` inside it is shared by all. The callbacks are synchronous; to wait, answer with a
/// [delay](Verdict::after).
///
/// Every callback has a default, and the defaults are safe for a policy that overrides one only:
/// failures are decided as by [`Standard::default`], and a response is delivered.
pub trait Policy {
    /// The attempt failed, and nothing of the request was sent.
    fn fail_to_connect(&mut self, attempt: &Attempt<'_>, failure: &Failure) -> Verdict {
        Standard::default().fail_to_connect(attempt, failure)
    }

    /// The attempt failed later, without a response head.
    fn error_while_proxy(&mut self, attempt: &Attempt<'_>, failure: &Failure) -> Verdict {
        Standard::default().error_while_proxy(attempt, failure)
    }

    /// A response head arrived; not one byte of its body has been looked at, unless by a
    /// [`Peek`](crate::peek::Peek) below.
    ///
    /// It is not called for 101 (Switching Protocols), after which nothing can be repeated.
    fn upstream_response_decision(
        &mut self,
        attempt: &Attempt<'_>,
        response: &response::Parts,
    ) -> Verdict {
        let _ = (attempt, response);
        Verdict::deliver()
    }

    /// An attempt is about to start: its request's head may be changed, for this attempt only. No
    /// peer is picked yet.
    ///
    /// It is called again for the same attempt when a balancer that picks blindly has picked a tried
    /// peer, or when the peer that was to be tried again is gone, and not at all for requests that are sent once: where [`may_retry`](Self::may_retry) says
    /// no, or the layer allows one attempt only.
    fn prepare(&mut self, attempt: &Attempt<'_>, head: &mut request::Parts) {
        let _ = (attempt, head);
    }

    /// Whether a request is of the kind that may be repeated at all; it is asked first, with the head as
    /// it came.
    ///
    /// With `false` nothing of it is remembered, nothing costs, and no other callback is called.
    fn may_retry(&mut self, head: &request::Parts) -> bool {
        let _ = head;
        true
    }
}
