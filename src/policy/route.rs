use std::{cell::Cell, fmt, sync::Arc};

use http::{request, response};

use super::{Attempt, Policy, Verdict};
use crate::failure::Failure;

/// A request extension with the policy of the request's route, for a layer whose policy is
/// [`PerRoute`].
///
/// A router above the layer sets it:
///
/// ```
/// use http::Request;
/// use tower_failover::{FailoverLayer, limits::MaxAttempts, policy::{PerRoute, RoutePolicy, Standard}};
///
/// let layer = FailoverLayer::new(PerRoute::new(Standard::default()));
/// # let _ = layer;
///
/// let search = RoutePolicy::new(Standard::new("connect-failure,reset,5xx".parse()?));
/// let request = Request::get("/search")
///     .extension(search)
///     .extension(MaxAttempts(5))
///     .body(())?;
/// # let _ = request;
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
///
/// A layer that may send the request again takes it: it then says nothing to another one below. A layer of
/// another policy does not look for it.
///
/// With axum, `axum::Extension` as a layer of the router of those routes does the same.
#[derive(Clone)]
pub struct RoutePolicy(Arc<dyn ClonePolicy>);

impl RoutePolicy {
    /// Lets `policy` decide about the requests that carry it.
    pub fn new(policy: impl Policy + Clone + Send + Sync + 'static) -> Self {
        Self(Arc::new(policy))
    }
}

/// Takes each request's policy from its [`RoutePolicy`] extension; a request without one falls back to
/// the layer's.
pub struct PerRoute<P> {
    fallback: P,
    /// The request's own policy.
    own: Option<Box<dyn ClonePolicy>>,
}

impl<P: Policy> PerRoute<P> {
    /// Lets the route's policy decide, or `fallback` where there is none.
    pub const fn new(fallback: P) -> Self {
        Self {
            fallback,
            own: None,
        }
    }

    fn policy(&mut self) -> &mut dyn Policy {
        match &mut self.own {
            Some(own) => own.as_policy(),
            None => &mut self.fallback,
        }
    }
}

impl<P: Policy> Policy for PerRoute<P> {
    fn fail_to_connect(&mut self, attempt: &Attempt<'_>, failure: &Failure) -> Verdict {
        self.policy().fail_to_connect(attempt, failure)
    }

    fn error_while_proxy(&mut self, attempt: &Attempt<'_>, failure: &Failure) -> Verdict {
        self.policy().error_while_proxy(attempt, failure)
    }

    fn upstream_response_decision(
        &mut self,
        attempt: &Attempt<'_>,
        response: &response::Parts,
    ) -> Verdict {
        self.policy().upstream_response_decision(attempt, response)
    }

    fn prepare(&mut self, attempt: &Attempt<'_>, head: &mut request::Parts) {
        head.extensions.remove::<RoutePolicy>();
        self.policy().prepare(attempt, head);
    }

    fn may_retry(&mut self, head: &request::Parts) -> bool {
        // A route's policy that looks for the route's policy finds itself.
        let routed = head.extensions.get().filter(|_| !ROUTED.get());
        self.own = routed.map(|RoutePolicy(policy)| policy.clone_boxed());
        match &mut self.own {
            Some(own) => {
                let _routed = Routed::enter();
                own.may_retry(head)
            }
            None => self.fallback.may_retry(head),
        }
    }
}

thread_local! {
    /// Whether the policy of a route is being asked.
    static ROUTED: Cell<bool> = const { Cell::new(false) };
}

/// A time in which the policy of a route is being asked; it ends also with a panic.
struct Routed;

impl Routed {
    fn enter() -> Self {
        ROUTED.set(true);
        Self
    }
}

impl Drop for Routed {
    fn drop(&mut self) {
        ROUTED.set(false);
    }
}

trait ClonePolicy: Policy + Send + Sync {
    fn clone_boxed(&self) -> Box<dyn ClonePolicy>;

    fn as_policy(&mut self) -> &mut dyn Policy;
}

impl<P: Policy + Clone + Send + Sync + 'static> ClonePolicy for P {
    fn clone_boxed(&self) -> Box<dyn ClonePolicy> {
        Box::new(self.clone())
    }

    fn as_policy(&mut self) -> &mut dyn Policy {
        self
    }
}

/// A clone has the same fallback, and begins with a request of its own.
impl<P: Clone> Clone for PerRoute<P> {
    fn clone(&self) -> Self {
        Self {
            fallback: self.fallback.clone(),
            own: None,
        }
    }
}

impl fmt::Debug for RoutePolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RoutePolicy").finish_non_exhaustive()
    }
}

impl<P: fmt::Debug> fmt::Debug for PerRoute<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PerRoute")
            .field("fallback", &self.fallback)
            .field("is_routed", &self.own.is_some())
            .finish()
    }
}
