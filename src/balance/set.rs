use std::{
    collections::HashMap,
    fmt,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use arc_swap::ArcSwap;
use tokio::{sync::watch, time::Instant};

use super::{
    asked::{Asked, Level},
    choose::choose,
    endpoint::{Endpoint, Place},
    fleet::Fleet,
    snapshot::{DiscoveryError, PeerSnapshot, Snapshot},
    standing::{Probe, Siblings, Standing},
    view::{Slot, View},
    zone::Zone,
};
use crate::trail::{Peer, Roster, Trail};

/// The peers, with their services.
pub(super) struct Set<S> {
    /// Replaced as a whole, so that a request reads it without a lock.
    members: ArcSwap<Members<S>>,
    fleet: Arc<Fleet>,
    /// Tells of updates, and, by being gone, that the set is.
    changed: watch::Sender<()>,
    /// How many there are who may still add peers.
    feeders: AtomicUsize,
    discovery_error: Mutex<Option<(String, Instant)>>,
}

struct Members<S> {
    view: Arc<View>,
    /// In the order of the view's slots.
    services: Vec<S>,
}

/// A peer that was chosen for a request.
pub(super) struct Chosen<S> {
    pub(super) service: S,
    pub(super) standing: Arc<Standing>,
    pub(super) level: Level,
    pub(super) probe: Option<Box<Probe>>,
    /// When that was, if somebody looked at the clock.
    pub(super) at: Option<Instant>,
}

/// Why no peer was chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Nobody {
    /// There is none.
    AtAll,
    /// None of those that there are may be.
    Fit,
}

impl<S> Set<S> {
    pub(super) fn new() -> Self {
        Self {
            members: ArcSwap::from_pointee(Members {
                view: Arc::default(),
                services: Vec::new(),
            }),
            fleet: Arc::new(Fleet::new()),
            changed: watch::Sender::new(()),
            feeders: AtomicUsize::new(0),
            discovery_error: Mutex::default(),
        }
    }

    /// There is one more who may add peers.
    pub(super) fn gain_feeder(&self) {
        self.feeders.fetch_add(1, Ordering::SeqCst);
    }

    /// There is one less: whoever waits for a peer looks whether there is anybody left.
    pub(super) fn lose_feeder(&self) {
        self.feeders.fetch_sub(1, Ordering::SeqCst);
        self.changed.send_replace(());
    }

    pub(super) fn peers(&self) -> Vec<Peer> {
        let members = self.members.load();
        let slots = members.view.slots().iter();
        slots.map(|slot| slot.peer().clone()).collect()
    }

    /// What is known of a peer that is in the set.
    pub(super) fn standing(&self, peer: &str) -> Option<Arc<Standing>> {
        let members = self.members.load();
        let mut slots = members.view.slots().iter();
        let slot = slots.find(|slot| slot.peer().name() == peer)?;
        Some(Arc::clone(&slot.standing))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.members.load().services.is_empty()
    }

    /// Takes note of an error of discovery, or of its end.
    pub(super) fn set_discovery_error(&self, error: Option<String>) {
        let error = error.map(|error| (error, Instant::now()));
        *self
            .discovery_error
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = error;
    }

    pub(super) fn snapshot(&self) -> Snapshot {
        let now = Instant::now();
        let members = self.members.load();
        let slots = members.view.slots().iter();
        let mut peers: Vec<_> = slots
            .map(|slot| PeerSnapshot::of(&slot.standing, Some(&slot.place), now))
            .collect();
        let leaving = self.fleet.leaving();
        peers.extend(
            leaving
                .iter()
                .map(|standing| PeerSnapshot::of(standing, None, now)),
        );
        let error = self
            .discovery_error
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let discovery_error = error.as_ref().map(|(error, at)| DiscoveryError {
            error: error.clone(),
            ago: now.saturating_duration_since(*at),
        });
        Snapshot {
            peers,
            discovery_error,
        }
    }

    /// Hears of every update from now on.
    pub(super) fn updates(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    /// Waits for there to be a peer; `false`: there will be none.
    pub(super) async fn occupied(&self) -> bool {
        let mut updates = self.updates();
        loop {
            if !self.is_empty() {
                return true;
            }
            if self.feeders.load(Ordering::SeqCst) == 0 || updates.changed().await.is_err() {
                return false;
            }
        }
    }
}

impl<S: Clone> Set<S> {
    pub(super) fn replace(&self, endpoints: impl IntoIterator<Item = Endpoint<S>>) {
        // What makes them may use the set itself, or take its time: not while others wait for the lock.
        let endpoints = endpoints.into_iter().collect();
        self.update(|_| (endpoints, ()));
    }

    /// Replaces the peers by what is made of those that are there. One that was there before keeps its health.
    pub(super) fn update<T>(
        &self,
        edit: impl FnOnce(Vec<Endpoint<S>>) -> (Vec<Endpoint<S>>, T),
    ) -> T {
        let made = self.fleet.replace(|before| {
            let old = self.members.load_full();
            let (mut endpoints, made) = edit(old.endpoints());
            sort(&mut endpoints);
            let (slots, services, gone) = self.settle(before, endpoints);
            let view = Arc::new(View::new(slots, before));
            self.members.store(Arc::new(Members {
                view: Arc::clone(&view),
                services,
            }));
            // Whoever finds a peer leaving finds the set without it.
            self.fleet.part_with(gone);
            (view, made)
        });
        self.changed.send_replace(());
        made
    }

    /// Gives each endpoint its peer's standing: the one that it has already, or a new one.
    ///
    /// Returns as well those that are gone.
    fn settle(
        &self,
        before: &View,
        endpoints: Vec<Endpoint<S>>,
    ) -> (Vec<Slot>, Vec<S>, Vec<Arc<Standing>>) {
        let leaving = self.fleet.leaving();
        let old = before.slots().iter().map(|slot| &slot.standing);
        let mut known: HashMap<&Peer, (&Arc<Standing>, bool)> = leaving
            .iter()
            .chain(old)
            .map(|standing| (standing.peer(), (standing, false)))
            .collect();
        let mut new: HashMap<Peer, Arc<Standing>> = HashMap::new();
        let (mut slots, mut services) = (Vec::new(), Vec::new());
        for Endpoint { service, place } in endpoints {
            // A peer that is listed twice has one health.
            let standing = if let Some((standing, stays)) = known.get_mut(&place.peer) {
                *stays = true;
                Arc::clone(standing)
            } else {
                let make = || {
                    let siblings: Arc<dyn Siblings> = self.fleet.clone();
                    let siblings = Arc::downgrade(&siblings);
                    Arc::new(Standing::new(
                        place.peer.clone(),
                        self.fleet.origin(),
                        siblings,
                    ))
                };
                Arc::clone(new.entry(place.peer.clone()).or_insert_with(make))
            };
            slots.push(Slot { standing, place });
            services.push(service);
        }
        if before.len() > 0 {
            new.values().for_each(|standing| standing.start_slowly());
        }
        let mut gone = Vec::new();
        for (standing, stays) in known.into_values() {
            if stays && standing.is_leaving() {
                standing.set_leaving(false);
            } else if !stays && !standing.is_leaving() {
                gone.push(Arc::clone(standing));
            }
        }
        (slots, services, gone)
    }

    pub(super) fn choose<B>(&self, asked: &Asked<'_, B>) -> Result<Chosen<S>, Nobody> {
        let members = self.members.load();
        let choice = choose(asked, &members.view);
        let chosen = choice.and_then(|choice| {
            Some(Chosen {
                service: members.services.get(choice.index)?.clone(),
                standing: Arc::clone(&members.view.slots().get(choice.index)?.standing),
                level: choice.level,
                probe: choice.probe,
                at: choice.at,
            })
        });
        chosen.ok_or_else(|| {
            if members.services.is_empty() {
                Nobody::AtAll
            } else {
                Nobody::Fit
            }
        })
    }

    /// The peers with their services, for those who call them by themselves.
    pub(super) fn services(&self) -> Vec<(Arc<Standing>, S)> {
        let members = self.members.load();
        let standings = members
            .view
            .slots()
            .iter()
            .map(|slot| Arc::clone(&slot.standing));
        standings.zip(members.services.iter().cloned()).collect()
    }
}

impl<S: Clone> Members<S> {
    fn endpoints(&self) -> Vec<Endpoint<S>> {
        let places = self.view.slots().iter().map(|slot| slot.place.clone());
        let endpoints = self.services.iter().cloned().zip(places);
        endpoints
            .map(|(service, place)| Endpoint { service, place })
            .collect()
    }
}

/// By tier, within a tier by zone; the zones of a tier, and the endpoints of each, in the order in which they were
/// given. Those without a zone are together as well.
fn sort<S>(endpoints: &mut [Endpoint<S>]) {
    let group = |place: &Place| (place.tier, place.zone.clone());
    let mut groups: HashMap<(u32, Option<Zone>), usize> = HashMap::new();
    for endpoint in &*endpoints {
        let next = groups.len();
        groups.entry(group(&endpoint.place)).or_insert(next);
    }
    endpoints.sort_by_cached_key(|Endpoint { place, .. }| {
        (place.tier, groups.get(&group(place)).copied())
    });
}

impl<S: Send + Sync> Roster for Set<S> {
    fn has(&self, peer: &Peer) -> bool {
        let members = self.members.load();
        members.view.slots().iter().any(|slot| slot.peer() == peer)
    }

    fn has_untried(&self, trail: &Trail) -> Option<bool> {
        let members = self.members.load();
        let excluded = trail.excluded();
        let untried = |slot: &Slot| {
            let behind = || trail.roster_behind(slot.peer());
            !excluded.contains(slot.peer())
                && behind().is_none_or(|inner| inner.has_untried(trail) != Some(false))
        };
        Some(members.view.slots().iter().any(untried))
    }
}

impl<S> fmt::Debug for Set<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.peers()).finish()
    }
}
