use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use http::{Request, Response};
use tower_service::Service;

use super::{HealthCheck, ward::Ward};
use crate::{BoxError, balance::Balance};

/// Checks the peers of a [`Balance`].
///
/// It is a future to spawn, on a tokio runtime with time, that ends with the set: when the last [`Balance`],
/// [`Handle`](super::super::Handle) and request in flight is gone. It does not keep the set by itself.
///
/// Dropping it ends the checks, and what they have found: peers that are down are used again, for nobody would find
/// out when they are well. The same goes for a peer that is taken out of the set.
#[must_use = "checks are made while it is polled: spawn it"]
pub struct Checker {
    // Boxed once for a set, and so it is not generic over what it checks.
    checking: Pin<Box<dyn Future<Output = ()> + Send>>,
}

impl<S> Balance<S> {
    /// Checks its peers all the time, while the [`Checker`] is polled: it is a future to spawn.
    ///
    /// Checks go over the endpoints' own services, as traffic does, one at a time for each peer, and are not
    /// counted as traffic: neither by the breaker nor in what is in flight, nor in how long responses take.
    /// They start and stop with the peer, and an update of the set that keeps a peer keeps its counts. An
    /// endpoint that is a balancer itself sends a check on to one of its own peers, like any request.
    ///
    /// What is set is set before: [listeners](Self::on_state_change) and [classifiers](Self::classify) are those that
    /// this balancer has at the moment. With several checkers, a peer is down while one of them finds it so.
    ///
    /// The rest of a response is dropped once its head is there. hyper keeps an HTTP/1 connection whose small
    /// body came along with the head; a body of which more is to come costs its connection, in HTTP/2 its
    /// stream. A service that panics has failed that check; the others go on.
    ///
    /// Where a service takes requests of any body, as [`Reqwest`](crate::upstream) does, name one, mostly that of the
    /// traffic: `health_check::<ReplayBody<Incoming>, _>(check)`.
    ///
    /// ```
    /// use tower_failover::balance::{Balance, HealthCheck};
    /// # use http::{Request, Response};
    /// # use tower::service_fn;
    /// # use tower_failover::balance::Endpoint;
    ///
    /// # type Body = http_body_util::Full<bytes::Bytes>;
    /// # async fn answer(_: Request<Body>) -> Result<Response<Body>, std::convert::Infallible> {
    /// #     Ok(Response::default())
    /// # }
    /// # async fn run() -> Result<(), tower_failover::ConfigError> {
    /// # let endpoints = [Endpoint::new("http://10.0.0.1", service_fn(answer))];
    /// let peers = Balance::new(endpoints);
    /// tokio::spawn(peers.health_check(HealthCheck::new("/healthz")?));
    /// # Ok(())
    /// # }
    /// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(run()).unwrap();
    /// ```
    pub fn health_check<B, R>(&self, check: HealthCheck) -> Checker
    where
        S: Service<Request<B>, Response = Response<R>> + Clone + Send + Sync + 'static,
        S::Error: Into<BoxError>,
        S::Future: Send,
        B: Default + 'static,
        R: 'static,
    {
        let updates = self.set.updates();
        let rules = Arc::new(self.settings.rules.clone());
        let ward = Ward::new(&self.set, &rules, check);
        Checker {
            checking: Box::pin(ward.run(updates)),
        }
    }
}

impl Future for Checker {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.checking.as_mut().poll(cx)
    }
}

impl fmt::Debug for Checker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Checker").finish_non_exhaustive()
    }
}
