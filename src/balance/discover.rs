use std::{
    fmt::{self, Debug},
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use pin_project_lite::pin_project;
use tower::discover::{Change, Discover};
use tracing::{debug, warn};

use super::{endpoint::Endpoint, set::Set};

/// The most changes that are applied before others may run.
const BATCH: usize = 1024;

pin_project! {
    /// Applies what is discovered to a [`Balance`](super::Balance)'s set.
    ///
    /// It is a future that ends when discovery does; the set stays as it was then. Dropping it ends
    /// the updates. An error of discovery keeps the last good set, and is logged.
    #[must_use = "updates are applied while it is polled: spawn it"]
    pub struct Driver<D, S, F>
    where
        D: Discover,
    {
        #[pin]
        discover: D,
        endpoint: F,
        known: Vec<(D::Key, Endpoint<S>)>,
        set: Arc<Set<S>>,
    }
}

impl<D: Discover, S, F> Driver<D, S, F> {
    pub(super) fn new(discover: D, endpoint: F, set: Arc<Set<S>>) -> Self {
        Self {
            discover,
            endpoint,
            known: Vec::new(),
            set,
        }
    }
}

impl<D, S, F> Future for Driver<D, S, F>
where
    D: Discover,
    D::Error: Debug,
    S: Clone,
    F: FnMut(&D::Key, D::Service) -> Endpoint<S>,
{
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut this = self.project();
        let mut changed = false;
        // What has come by now is applied at once: many changes are one new set.
        let mut changes = 0;
        let polled = loop {
            if changes == BATCH {
                cx.waker().wake_by_ref();
                break Poll::Pending;
            }
            changes += 1;
            match this.discover.as_mut().poll_discover(cx) {
                Poll::Ready(Some(Ok(Change::Insert(key, service)))) => {
                    let endpoint = (this.endpoint)(&key, service);
                    match this.known.iter_mut().find(|(known, _)| *known == key) {
                        Some((_, known)) => *known = endpoint,
                        None => this.known.push((key, endpoint)),
                    }
                    changed = true;
                }
                Poll::Ready(Some(Ok(Change::Remove(key)))) => {
                    this.known.retain(|(known, _)| *known != key);
                    changed = true;
                }
                Poll::Ready(Some(Err(error))) => {
                    warn!(?error, "discovery failed; the last set of peers stays");
                    // One that fails all the time must not keep others from running.
                    cx.waker().wake_by_ref();
                    break Poll::Pending;
                }
                Poll::Ready(None) => break Poll::Ready(()),
                Poll::Pending => break Poll::Pending,
            }
        };
        if changed {
            let endpoints = this.known.iter().map(|(_, endpoint)| endpoint.clone());
            this.set.replace(endpoints);
            debug!(peers = ?this.set, "peers updated");
        }
        polled
    }
}

impl<D: Discover, S: Clone, F> fmt::Debug for Driver<D, S, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Driver")
            .field("peers", &self.set)
            .finish_non_exhaustive()
    }
}
