use std::{
    fmt::{self, Debug},
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use pin_project_lite::pin_project;
use tokio::time::Instant;
use tower::discover::{Change, Discover};
use tracing::{debug, warn};

use super::{endpoint::Endpoint, feeder::Feeder, set::Set};
use crate::limits::Alarm;

/// The most changes that are applied before others may run.
const BATCH: usize = 1024;

/// How long discovery is left alone after an error: one that fails all the time must not be asked all
/// the time.
const PAUSE: Duration = Duration::from_secs(1);

pin_project! {
    /// Applies what is discovered to a [`Balance`](super::Balance)'s set.
    ///
    /// It is a future that ends when discovery does, or with the first update after the last balancer
    /// is gone; the set stays as it was then. Dropping it ends the updates. An error of discovery
    /// keeps the last good set, is logged at level `warn`, and makes it wait for a second.
    #[must_use = "updates are applied while it is polled: spawn it"]
    pub struct Driver<D, S, F>
    where
        D: Discover,
    {
        #[pin]
        discover: D,
        endpoint: F,
        known: Vec<(D::Key, Endpoint<S>)>,
        // `None`: discovery has ended.
        feeder: Option<Feeder<S>>,
        #[pin]
        pause: Alarm,
        paused_until: Option<Instant>,
    }
}

impl<D: Discover, S, F> Driver<D, S, F> {
    pub(super) fn new(discover: D, endpoint: F, set: &Arc<Set<S>>) -> Self {
        Self {
            discover,
            endpoint,
            known: Vec::new(),
            feeder: Some(Feeder::new(set)),
            pause: Alarm::unset(),
            paused_until: None,
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
        let Some(feeder) = this.feeder else {
            return Poll::Ready(());
        };
        if let Some(until) = *this.paused_until {
            ready!(this.pause.as_mut().poll_until(until, cx));
            *this.paused_until = None;
        }
        let (mut changed, mut failure) = (false, None);
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
                    failure = Some(format!("{error:?}"));
                    let until = Instant::now() + PAUSE;
                    *this.paused_until = Some(until);
                    // What it waits for then is the pause alone.
                    break this.pause.as_mut().poll_until(until, cx);
                }
                Poll::Ready(None) => break Poll::Ready(()),
                Poll::Pending => break Poll::Pending,
            }
        };
        let ended = polled.is_ready();
        if changed || failure.is_some() || ended {
            let Some(set) = feeder.set() else {
                *this.feeder = None;
                return Poll::Ready(());
            };
            if changed {
                let endpoints = this.known.iter().map(|(_, endpoint)| endpoint.clone());
                set.replace(endpoints);
                debug!(peers = ?set, "peers updated");
            }
            if changed || failure.is_some() {
                set.set_discovery_error(failure);
            }
        }
        if ended {
            *this.feeder = None;
        }
        polled
    }
}

impl<D: Discover, S: Clone, F> fmt::Debug for Driver<D, S, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Driver")
            .field("peers", &self.feeder.as_ref().and_then(Feeder::set))
            .finish_non_exhaustive()
    }
}
