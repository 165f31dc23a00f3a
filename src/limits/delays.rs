use std::time::Duration;

/// Where a request's delays come from: each request that has to wait draws from a series of its own.
///
/// [`Backoff`](super::Backoff) is one; so is any closure that returns an iterator:
///
/// ```
/// use std::{iter, time::Duration};
/// use tower_failover::policy::Standard;
///
/// // A second each time, as HAProxy has it.
/// let policy = Standard::default().backoff(|| iter::repeat(Duration::from_secs(1)));
/// // Two retries, and none after them.
/// let policy = Standard::default().backoff(|| [Duration::ZERO, Duration::from_millis(500)]);
/// # let _ = tower_failover::FailoverLayer::new(policy);
/// ```
pub trait Delays: Send + Sync {
    /// Starts the series of one request.
    ///
    /// Where it ends, nothing that needs a delay is tried again. A delay that does not fit into the
    /// deadline or the retry window is not waited for: what there is is delivered at once.
    fn series(&self) -> Box<dyn Iterator<Item = Duration> + Send + Sync>;
}

impl<F, I> Delays for F
where
    F: Fn() -> I + Send + Sync,
    I: IntoIterator<Item = Duration>,
    I::IntoIter: Send + Sync + 'static,
{
    fn series(&self) -> Box<dyn Iterator<Item = Duration> + Send + Sync> {
        Box::new(self().into_iter())
    }
}
