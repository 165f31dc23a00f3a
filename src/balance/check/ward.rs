use std::{
    collections::HashMap,
    future::{Future, poll_fn},
    pin::{Pin, pin},
    sync::{Arc, Weak},
    task::{Context, Poll, ready},
    time::Duration,
};

use futures_util::{
    future::{AbortHandle, Abortable, abortable},
    stream::{FuturesUnordered, StreamExt},
};
use http::{Request, Response};
use pin_project_lite::pin_project;
use tokio::{
    sync::watch,
    time::{Sleep, sleep},
};
use tower_service::Service;
use tracing::debug;

use super::{
    HealthCheck,
    probe::{Outcome, Probe},
    tally::Tally,
};
use crate::{
    BoxError,
    balance::{rules::Rules, set::Set, standing::Standing},
    trail::Peer,
};

/// A set's peers, and what is under way to find out how they are.
///
/// Each of them either rests until its next check or is being checked: there is one future a peer, and only
/// those that were woken are polled.
pub(super) struct Ward<S, B>
where
    S: Service<Request<B>>,
{
    set: Weak<Set<S>>,
    rules: Arc<Rules>,
    check: Arc<HealthCheck>,
    patients: HashMap<Peer, Patient<S>>,
    // Apart, because a probe can be large, and nearly all peers rest.
    resting: FuturesUnordered<Abortable<Rest>>,
    probing: FuturesUnordered<Abortable<Probe<S, B>>>,
}

/// A peer that is checked.
struct Patient<S> {
    standing: Arc<Standing>,
    /// The newest: the next check goes over it.
    service: S,
    tally: Tally,
    /// Ends what it does at the moment.
    step: AbortHandle,
}

/// What a ward waits for.
enum Event {
    Updated,
    SetGone,
    /// It is time for a peer's check.
    Due(Peer),
    Over(Peer, Outcome),
}

pin_project! {
    /// The time until a peer's next check.
    struct Rest {
        peer: Peer,
        #[pin]
        sleep: Sleep,
    }
}

impl Future for Rest {
    type Output = Peer;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Peer> {
        let this = self.project();
        ready!(this.sleep.poll(cx));
        Poll::Ready(this.peer.clone())
    }
}

impl<S, B, R> Ward<S, B>
where
    S: Service<Request<B>, Response = Response<R>> + Clone,
    S::Error: Into<BoxError>,
    B: Default,
{
    pub(super) fn new(set: &Arc<Set<S>>, rules: &Arc<Rules>, check: HealthCheck) -> Self {
        Self {
            set: Arc::downgrade(set),
            rules: Arc::clone(rules),
            check: Arc::new(check),
            patients: HashMap::new(),
            resting: FuturesUnordered::new(),
            probing: FuturesUnordered::new(),
        }
    }

    /// Runs the checks for as long as there is the set.
    pub(super) async fn run(mut self, mut updates: watch::Receiver<()>) {
        self.update();
        loop {
            match self.next(&mut updates).await {
                Event::Updated => self.update(),
                Event::SetGone => return,
                Event::Due(peer) => self.probe(peer),
                Event::Over(peer, outcome) => self.judge(&peer, outcome),
            }
        }
    }

    async fn next(&mut self, updates: &mut watch::Receiver<()>) -> Event {
        let mut updated = pin!(updates.changed());
        poll_fn(|cx| {
            // First, so that a peer that was taken out is neither probed nor judged.
            if let Poll::Ready(updated) = updated.as_mut().poll(cx) {
                return Poll::Ready(updated.map_or(Event::SetGone, |()| Event::Updated));
            }
            while let Poll::Ready(Some(rested)) = self.resting.poll_next_unpin(cx) {
                if let Ok(peer) = rested {
                    return Poll::Ready(Event::Due(peer));
                }
            }
            while let Poll::Ready(Some(probed)) = self.probing.poll_next_unpin(cx) {
                if let Ok((peer, outcome)) = probed {
                    return Poll::Ready(Event::Over(peer, outcome));
                }
            }
            Poll::Pending
        })
        .await
    }

    /// Takes peers in that are new to the set, and lets those go that are not in it any more. The others keep what is
    /// known of them.
    fn update(&mut self) {
        let Some(set) = self.set.upgrade() else {
            return;
        };
        let (mut patients, mut newcomers) = (HashMap::new(), Vec::new());
        for (standing, service) in set.services() {
            let peer = standing.peer();
            // One that is listed twice is checked over the first of its endpoints.
            if patients.contains_key(peer) {
                continue;
            }
            let known = self.patients.remove(peer);
            let patient = match known {
                Some(known) if Arc::ptr_eq(&known.standing, &standing) => {
                    Patient { service, ..known }
                }
                // A peer of the same name that came while the other left.
                known => {
                    self.dismiss(known);
                    newcomers.push(peer.clone());
                    Patient {
                        service,
                        tally: self.check.tally(),
                        step: AbortHandle::new_pair().0,
                        standing: Arc::clone(&standing),
                    }
                }
            };
            patients.insert(peer.clone(), patient);
        }
        let gone = std::mem::replace(&mut self.patients, patients);
        for patient in gone.into_values() {
            self.dismiss(Some(patient));
        }
        for peer in &newcomers {
            self.rest(peer, self.check.schedule.first(newcomers.len()));
        }
    }

    fn rest(&mut self, peer: &Peer, period: Duration) {
        if let Some(patient) = self.patients.get_mut(peer) {
            let (rest, step) = abortable(Rest {
                peer: peer.clone(),
                sleep: sleep(period),
            });
            patient.step = step;
            self.resting.push(rest);
        }
    }

    fn probe(&mut self, peer: Peer) {
        if let Some(patient) = self.patients.get_mut(&peer) {
            let service = patient.service.clone();
            let (probe, step) = abortable(Probe::new(peer, service, &self.check, &self.rules));
            patient.step = step;
            self.probing.push(probe);
        }
    }

    fn judge(&mut self, peer: &Peer, outcome: Outcome) {
        let Some(patient) = self.patients.get_mut(peer) else {
            return;
        };
        let passed = match outcome {
            Outcome::Passed => Some(true),
            Outcome::Failed(fault) => {
                debug!(%peer, %fault, "health check failed");
                patient.standing.missed_check(fault);
                Some(false)
            }
            Outcome::Neither => {
                debug!(%peer, "health check could not be made");
                None
            }
        };
        if passed.is_some_and(|passed| patient.tally.count(passed)) {
            let down = patient.tally.is_down();
            patient.standing.set_down(down, &self.rules);
        }
        self.rest(peer, self.check.schedule.next());
    }
}

impl<S, B> Ward<S, B>
where
    S: Service<Request<B>>,
{
    /// Ends a peer's checks, and takes back what they have found.
    fn dismiss(&self, patient: Option<Patient<S>>) {
        let Some(patient) = patient else {
            return;
        };
        patient.step.abort();
        if patient.tally.is_down() {
            patient.standing.set_down(false, &self.rules);
        }
    }
}

impl<S, B> Drop for Ward<S, B>
where
    S: Service<Request<B>>,
{
    fn drop(&mut self) {
        // Where the set is gone, there is nobody left to be told.
        if self.set.strong_count() == 0 {
            return;
        }
        let patients = std::mem::take(&mut self.patients);
        for patient in patients.into_values() {
            self.dismiss(Some(patient));
        }
    }
}
