use std::{fmt, marker::PhantomData, sync::Arc, time::Duration};

use http::HeaderName;
use tower_layer::Layer;

use crate::{
    ConfigError,
    failure::Classify,
    limits::{Budget, DeadlineHeader, Limits},
    own_header::own_header,
    policy::{RetryLine, Standard},
    replay::ReplayMemory,
    service::Failover,
    trail::{Directly, InExtensions},
};

/// Wraps a service so that a request that fails is tried again, on the same peer or on another.
///
/// The layer is its own builder: [`new`](Self::new) takes the policy, and the setters the limits
/// that bind it. Services made by one layer, and by its clones, share the budget and the replay
/// memory.
///
/// ```
/// use std::time::Duration;
/// use tower_failover::{FailoverLayer, policy::Standard};
///
/// let layer = FailoverLayer::new(Standard::new("connect-failure,503".parse()?))
///     .max_attempts(2)
///     .deadline(Duration::from_secs(30))
///     .per_try_timeout(Duration::from_secs(5));
/// # let _: FailoverLayer = layer;
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
///
/// # Defaults
///
/// | | default | |
/// |---|---|---|
/// | [`max_attempts`](Self::max_attempts) | 3 | the first included |
/// | [`deadline`](Self::deadline) | none | long answers are a matter of taste; a proxy wants one |
/// | [`retry_window`](Self::retry_window) | none | as nginx' `proxy_next_upstream_timeout` |
/// | [`per_try_timeout`](Self::per_try_timeout) | none | as Envoy |
/// | [`replay_cap`](Self::replay_cap) | 1 MiB | covers today's API requests; logs are lazy and freed early |
/// | [`replay_memory`](Self::replay_memory) | 256 MiB | for all requests of the layer together |
/// | [`lift_per_try_timeout_on_last`](Self::lift_per_try_timeout_on_last) | no | an attempt that is too slow ends |
/// | [`deadline_from`](Self::deadline_from) | no header | only headers of trusted clients may be believed |
/// | [`send_deadline`](Self::send_deadline), [`attempt_header`](Self::attempt_header) | no header | upstreams see what the client sent |
/// | [`budget`](Self::budget) | 20 % of the requests and 10 per second | as Finagle and linkerd |
#[must_use]
pub struct FailoverLayer<P = Standard, H = InExtensions> {
    policy: P,
    limits: Arc<Limits>,
    /// How the service below is given the trail.
    handing: PhantomData<fn() -> H>,
}

impl<P> FailoverLayer<P> {
    /// Lets `policy` decide, within the default limits.
    pub fn new(policy: P) -> Self {
        Self::of(policy, Arc::new(Limits::default()))
    }

    /// Hands each attempt's [`Trail`](crate::trail::Trail) to the service below [beside](crate::trail::Follow) its
    /// request, and not in the request's extensions, which cost three allocations.
    ///
    /// It is for a `Balance` that is directly below, over endpoints that can be given it so: `upstream::Upstream`s and
    /// other balancers are such, and every service in a [`Told`](crate::trail::Told). Nothing else changes.
    pub fn directly(self) -> FailoverLayer<P, Directly> {
        FailoverLayer::of(self.policy, self.limits)
    }
}

impl<P, H> FailoverLayer<P, H> {
    const fn of(policy: P, limits: Arc<Limits>) -> Self {
        Self {
            policy,
            limits,
            handing: PhantomData,
        }
    }

    /// Lets another policy decide, within the same limits.
    pub fn policy<Q>(self, policy: Q) -> FailoverLayer<Q, H> {
        FailoverLayer::of(policy, self.limits)
    }

    /// Sets how many attempts a request may take, the first included. A
    /// [`MaxAttempts`](crate::limits::MaxAttempts) in a request's extensions replaces it.
    ///
    /// 1 is no retry at all: nothing is remembered, and no callback of the policy is called. 0 is as
    /// many as there are peers that the request has not been to, as in nginx; where no such peer is
    /// known, because tried ones may be used again or the service below does not tell, it is the
    /// default, 3.
    pub fn max_attempts(self, attempts: u32) -> Self {
        self.with(|limits| limits.max_attempts = attempts)
    }

    /// Sets the time a request may take until its response head, from the call on.
    ///
    /// It is hard: it covers attempts, delays and waiting for readiness, and cancels what is in
    /// flight. A [`Deadline`](crate::limits::Deadline) in a request's extensions, or a
    /// [header](Self::deadline_from), can shorten it. It does not cut a response body that flows.
    ///
    /// To a `Balance` below, a peer has failed that has had more than half of it for a request without
    /// a body, unless the request has shortened it.
    pub fn deadline(self, deadline: Duration) -> Self {
        self.with(|limits| limits.deadline = Some(deadline))
    }

    /// Sets the time within which another attempt may be started, from the call on. An attempt under
    /// way is not touched.
    pub fn retry_window(self, window: Duration) -> Self {
        self.with(|limits| limits.retry_window = Some(window))
    }

    /// Sets how long a peer may let the request wait.
    ///
    /// It runs while it is the peer's turn: from the moment when the request was sent in full, that is,
    /// handed to the transport, until the response head, and while an upload has more to give than the
    /// peer takes. A sender who is
    /// slow with the request's body is not the peer's fault, and the time spent waiting for it is not
    /// counted. Neither is connecting, which has a limit of its own, such as
    /// `upstream::PoolOptions::connect_timeout`: where that is over, nothing was sent, and even a POST
    /// may go elsewhere.
    ///
    /// An endpoint [tells](crate::trail::Trail::connecting) when it connects, as `upstream::Upstream`
    /// does. With one that does not, `upstream::Reqwest` among them, the time of a request without a
    /// body runs from the start of the attempt, connecting included. Give it a connect timeout that is
    /// shorter.
    ///
    /// It never cuts a response body, and it is shortened to what is left until the deadline.
    pub fn per_try_timeout(self, timeout: Duration) -> Self {
        self.with(|limits| limits.per_try_timeout = Some(timeout))
    }

    /// Lets the last attempt go on when its per-try timeout is over, until the
    /// [`deadline`](Self::deadline): a slow answer is better than none. Without a deadline it can go on
    /// for ever.
    ///
    /// The last attempt is the one with the last number; where each peer is tried once, the one that knows
    /// of no untried peer; and one whose request body cannot be sent again. By default every attempt is
    /// cut.
    pub fn lift_per_try_timeout_on_last(self) -> Self {
        self.with(|limits| limits.lift_on_last = true)
    }

    /// Lets requests say in a header how much time they have. It can be called for several headers; the
    /// shortest time wins, the layer's own [`deadline`](Self::deadline) included.
    ///
    /// A request whose time is over when it comes is not sent at all. A value that cannot be read sets
    /// no deadline. By default no header is read.
    pub fn deadline_from(self, header: DeadlineHeader) -> Self {
        self.with(|limits| limits.deadline_from.push(header))
    }

    /// Tells each attempt in a header how much time is left: until the deadline or, when that is
    /// sooner and not [lifted](Self::lift_per_try_timeout_on_last) for the last number, until the
    /// per-try timeout. It replaces what the client sent in that header, and no other; without any limit
    /// nothing is written. By default it is not told.
    pub fn send_deadline(self, header: DeadlineHeader) -> Self {
        self.with(|limits| limits.send_deadline = Some(header))
    }

    /// Tells each attempt its number in a header, counted from 1, as Envoy's
    /// `x-envoy-attempt-count` does. It replaces what the client sent. By default it is not told.
    ///
    /// # Errors
    ///
    /// The name is that of a header that frames or routes a message, such as `content-length`.
    pub fn attempt_header(self, name: HeaderName) -> Result<Self, ConfigError> {
        let name = own_header("attempt header", name)?;
        Ok(self.with(|limits| limits.attempt_header = Some(name)))
    }

    /// Sets how many bytes of a request's body are kept so that it can be sent again.
    ///
    /// A body that grows past the cap is sent on in full and its log is freed; it cannot be replayed
    /// then. With 0 nothing is kept, and a request with a body can still be sent elsewhere for as
    /// long as nothing of it was read: after a refused connection.
    pub fn replay_cap(self, bytes: u64) -> Self {
        self.with(|limits| limits.replay_cap = bytes)
    }

    /// Sets the bound on the memory of all replay logs together, which may be shared with other
    /// layers.
    pub fn replay_memory(self, memory: ReplayMemory) -> Self {
        self.with(|limits| limits.replay_memory = memory)
    }

    /// Sets the retry budget, which may be shared with other layers.
    pub fn budget(self, budget: Budget) -> Self {
        self.with(|limits| limits.budget = Some(budget))
    }

    /// Does without a retry budget.
    ///
    /// Not recommended: when everything fails, every request then takes all of its attempts, and an
    /// overload becomes several times as heavy. Retries that keep the upstreams from recovering make an
    /// outage out of a disturbance.
    pub fn without_budget(self) -> Self {
        self.with(|limits| limits.budget = None)
    }

    /// Sets what reads the evidence out of the inner service's errors; by default
    /// [`KnownErrors`](crate::failure::KnownErrors).
    pub fn classify(self, classify: impl Classify + 'static) -> Self {
        self.with(|limits| limits.classify = Arc::new(classify))
    }

    fn with(mut self, set: impl FnOnce(&mut Limits)) -> Self {
        set(Arc::make_mut(&mut self.limits));
        self
    }
}

impl Default for FailoverLayer {
    fn default() -> Self {
        Self::new(Standard::default())
    }
}

impl From<RetryLine> for FailoverLayer {
    /// The line's policy and attempts; everything else is as by default.
    fn from(line: RetryLine) -> Self {
        Self::new(line.policy().clone()).max_attempts(line.max_attempts())
    }
}

impl<S, P: Clone, H> Layer<S> for FailoverLayer<P, H> {
    type Service = Failover<S, P, H>;

    fn layer(&self, inner: S) -> Failover<S, P, H> {
        Failover::new(inner, self.policy.clone(), Arc::clone(&self.limits))
    }
}

impl<P: Clone, H> Clone for FailoverLayer<P, H> {
    fn clone(&self) -> Self {
        Self::of(self.policy.clone(), Arc::clone(&self.limits))
    }
}

impl<P: fmt::Debug, H> fmt::Debug for FailoverLayer<P, H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FailoverLayer")
            .field("policy", &self.policy)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}
