use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak, atomic::AtomicBool},
};

use http::uri::{Authority, Scheme};

use super::{
    connector::Connect,
    origin::{Origin, Settings},
    place::Place,
};

/// The origins of a pool: upstreams at one scheme and authority share their connections.
pub(super) struct Origins<B> {
    known: Mutex<Known<B>>,
    settings: Settings,
    connector: Arc<dyn Connect<B>>,
    /// Whether a task looks after idle connections.
    reaping: Arc<AtomicBool>,
    /// Itself.
    this: Weak<Self>,
}

struct Known<B> {
    origins: HashMap<(Scheme, Authority), Arc<Origin<B>>>,
    /// With so many, those are forgotten that nobody uses.
    full: usize,
}

/// So many origins are few.
const FEW: usize = 64;

impl<B> Origins<B> {
    pub(super) fn new(settings: Settings, connector: Arc<dyn Connect<B>>) -> Arc<Self> {
        let known = Known {
            origins: HashMap::new(),
            full: FEW,
        };
        Arc::new_cyclic(|this| Self {
            known: Mutex::new(known),
            settings,
            connector,
            reaping: Arc::default(),
            this: Weak::clone(this),
        })
    }

    /// The origin at a scheme and an authority.
    pub(super) fn at(&self, scheme: &Scheme, authority: &Authority) -> Arc<Origin<B>> {
        let mut known = self.known();
        let key = (scheme.clone(), authority.clone());
        if let Some(origin) = known.origins.get(&key) {
            return Arc::clone(origin);
        }
        if known.origins.len() >= known.full {
            known.origins.retain(|_, origin| is_used(origin));
            known.full = FEW.max(2 * known.origins.len());
        }
        let origin = Arc::new(Origin::new(
            Place::new(scheme.clone(), authority.clone()),
            self.settings,
            Arc::clone(&self.connector),
            Weak::clone(&self.this),
            Arc::clone(&self.reaping),
        ));
        known.origins.insert(key, Arc::clone(&origin));
        origin
    }

    pub(super) fn all(&self) -> Vec<Arc<Origin<B>>> {
        self.known().origins.values().cloned().collect()
    }

    /// Whether no origin has a connection to be looked after.
    pub(super) fn are_empty(&self) -> bool {
        let known = self.known();
        known.origins.values().all(|origin| origin.is_empty())
    }

    fn known(&self) -> MutexGuard<'_, Known<B>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An upstream has it, or it has connections that the next one at the same place could use.
fn is_used<B>(origin: &Arc<Origin<B>>) -> bool {
    Arc::strong_count(origin) > 1 || !origin.is_empty()
}
