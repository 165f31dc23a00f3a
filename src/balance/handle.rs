use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use super::{endpoint::Endpoint, feeder::Feeder, set::Set, standing::Standing};

/// Changes a balancer's peers while it runs.
///
/// A change applies to every request that is picked for after it; what is in flight goes on. A peer that stays
/// keeps its health. While there is a handle, a request that finds no peer at all
/// [waits](super::Balance::wait_for_peers) for one.
///
/// ```
/// use tower_failover::balance::{Balance, Endpoint};
///
/// # async fn run() {
/// let (balance, handle) = Balance::with_handle([Endpoint::new("a", "its service")]);
/// handle.insert(Endpoint::new("b", "its service"));
/// if let Some(drain) = handle.drain("a") {
///     drain.await; // its last response has been read
/// }
/// assert_eq!(balance.peers()[0].name(), "b");
/// # }
/// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(run());
/// ```
pub struct Handle<S> {
    set: Arc<Set<S>>,
    _feeder: Feeder<S>,
}

impl<S: Clone> Handle<S> {
    pub(super) fn new(set: &Arc<Set<S>>) -> Self {
        Self {
            set: Arc::clone(set),
            _feeder: Feeder::new(set),
        }
    }

    /// Adds a peer, behind the others of its tier and zone; one of the same name that is there already is replaced.
    pub fn insert(&self, endpoint: impl Into<Endpoint<S>>) {
        let endpoint = endpoint.into();
        self.set.update(|mut endpoints| {
            let known = endpoints
                .iter_mut()
                .find(|known| known.peer() == endpoint.peer());
            match known {
                Some(known) => *known = endpoint,
                None => endpoints.push(endpoint),
            }
            (endpoints, ())
        });
    }

    /// Puts other peers in the place of all.
    pub fn replace<E>(&self, endpoints: impl IntoIterator<Item = E>)
    where
        E: Into<Endpoint<S>>,
    {
        self.set.replace(endpoints.into_iter().map(Into::into));
    }

    /// Takes a peer out: it finishes what it has, and is given no more. Returns whether it was there.
    pub fn remove(&self, peer: &str) -> bool {
        self.take(peer).is_some()
    }

    /// Takes a peer out, as [`remove`](Self::remove) does, and returns what tells when it has finished. `None`: there
    /// is no such peer.
    pub fn drain(&self, peer: &str) -> Option<Drain> {
        self.take(peer).map(Drain::new)
    }

    fn take(&self, peer: &str) -> Option<Arc<Standing>> {
        self.set.update(|mut endpoints| {
            // Found in the same update: meanwhile another of its name could take its place.
            let standing = self.set.standing(peer);
            endpoints.retain(|endpoint| endpoint.peer().name() != peer);
            (endpoints, standing)
        })
    }
}

/// Ready when a peer that was taken out has nothing left to do, or is in the set again.
///
/// Dropping it changes nothing. Upgraded connections are not waited for.
#[must_use = "it is a future; the peer is drained whether it is awaited or not"]
pub struct Drain {
    drained: Pin<Box<dyn Future<Output = ()> + Send + Sync>>,
}

impl Drain {
    fn new(standing: Arc<Standing>) -> Self {
        Self {
            drained: Box::pin(async move { standing.drained().await }),
        }
    }
}

impl Future for Drain {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.drained.as_mut().poll(cx)
    }
}

impl fmt::Debug for Drain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Drain").finish_non_exhaustive()
    }
}

impl<S: Clone> Clone for Handle<S> {
    fn clone(&self) -> Self {
        Self::new(&self.set)
    }
}

impl<S> fmt::Debug for Handle<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle")
            .field("peers", &self.set.peers())
            .finish_non_exhaustive()
    }
}
