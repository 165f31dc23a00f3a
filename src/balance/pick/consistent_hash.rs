use std::sync::Arc;

use http::HeaderName;
use xxhash_rust::xxh3::xxh3_64;

use super::{Candidates, Pick, RoundRobin, key::Key};
use crate::ConfigError;

/// How many peers are looked at to know how loaded all are.
const SAMPLE: usize = 32;

/// The largest bound on a peer's load.
const WIDEST: f64 = 100.0;

/// The peer that the request's key belongs to: the same one for the same key, as long as it is there.
///
/// A peer that comes or goes moves only the keys that are or were its own. While it may not be picked (it was
/// tried, is not well) its keys belong to others, evenly. Every balancer with peers of the same names and
/// weights gives a key to the same one; the order of the peers does not matter.
///
/// The first request after an update of the set works out where all peers stand: for 10,000 peers of weight 1 that
/// takes some milliseconds, and for heavier ones as many times longer. Weights should be as small as they can.
///
/// A request without a key is given to each in turn, as by [`RoundRobin`].
///
/// ```
/// use http::header::HOST;
/// use tower_failover::balance::ConsistentHash;
///
/// let by_host = ConsistentHash::header(HOST);
/// let by_tenant = ConsistentHash::by(|candidates| candidates.extensions().get::<u64>().copied());
/// let bounded = ConsistentHash::cookie("session").bounded_load(1.25)?;
/// # Ok::<_, tower_failover::ConfigError>(())
/// ```
#[derive(Clone, Debug)]
pub struct ConsistentHash {
    key: Key,
    bound: Option<f64>,
}

impl ConsistentHash {
    /// The key is a header's value, or all of its values. For `Host` it is the URI's authority where there is
    /// no such header, as in HTTP/2.
    pub fn header(name: HeaderName) -> Self {
        Self::keyed(Key::Header(name))
    }

    /// The key is a cookie's value, for sticky sessions. Where there are several of that name, the first counts.
    ///
    /// It sets no cookie. The request that begins a session has none, and goes to any peer; the next ones go to the peer
    /// that the new value belongs to, which is mostly another. A server that keeps sessions in its own memory has to
    /// choose a value that belongs to itself, or the first request needs another key.
    pub fn cookie(name: impl Into<Arc<str>>) -> Self {
        Self::keyed(Key::Cookie(name.into()))
    }

    /// The key is the path, without the query.
    pub fn path() -> Self {
        Self::keyed(Key::Path)
    }

    /// The key is what a closure says: a number, which need not be spread in any way.
    ///
    /// [`hash`](Self::hash) makes one of bytes.
    pub fn by(key: impl Fn(&Candidates<'_>) -> Option<u64> + Send + Sync + 'static) -> Self {
        Self::keyed(Key::By(Arc::new(key)))
    }

    /// A number for some bytes, the same in every process.
    pub fn hash(bytes: &[u8]) -> u64 {
        xxh3_64(bytes)
    }

    fn keyed(key: Key) -> Self {
        Self { key, bound: None }
    }

    /// Gives a request to the next peer where the one that it belongs to has more than this many times the mean
    /// number of requests in flight, for its weight; by default no load is too much.
    ///
    /// 1.25 is a usual bound. Where there is little to do, keys leave their peer as soon as it has a second
    /// request while others have none: it is for keys that are unequal, not for sessions that must stay. Among
    /// more than 32 peers the mean is one of 32 that are drawn.
    ///
    /// # Errors
    ///
    /// If it is not from 1 to 100.
    pub fn bounded_load(mut self, times: f64) -> Result<Self, ConfigError> {
        if !(1.0..=WIDEST).contains(&times) {
            let expected = format!("from 1 to {WIDEST}");
            return Err(ConfigError::new("bounded_load", times, expected));
        }
        self.bound = Some(times);
        Ok(self)
    }
}

impl Pick for ConsistentHash {
    fn pick(&self, candidates: &Candidates<'_>) -> Option<usize> {
        let Some(key) = self.key.of(candidates) else {
            return RoundRobin.pick(candidates);
        };
        // Where nobody may be picked, the ring would be searched whole: peers have up to 4,096 points each.
        candidates.indices().next()?;
        let ring = candidates.ring();
        let found = ring.find(key, |index| candidates.may(index))?;
        let Some(times) = self.bound else {
            return Some(found);
        };
        // One that has nothing to do is not too loaded.
        if candidates.in_flight(found) == 0 {
            return Some(found);
        }
        let mean = mean_load(candidates) * times;
        let has_room = |index: usize| {
            let most = (mean * f64::from(candidates.weight(index))).ceil();
            requests(candidates.in_flight(index)) < most
        };
        if has_room(found) {
            return Some(found);
        }
        let next = ring.find(key, |index| candidates.may(index) && has_room(index));
        next.or(Some(found))
    }
}

/// What those that may be picked have in flight with this request, for each unit of their weights.
fn mean_load(candidates: &Candidates<'_>) -> f64 {
    let all = candidates.len();
    let looked_at = all.min(SAMPLE);
    let (mut load, mut weight) = (requests(looked_at) / requests(all), 0.0);
    for turn in 0..looked_at {
        let index = if all > SAMPLE {
            fastrand::usize(..all)
        } else {
            turn
        };
        if candidates.may(index) {
            load += requests(candidates.in_flight(index));
            weight += f64::from(candidates.weight(index));
        }
    }
    load / weight
}

#[expect(clippy::cast_precision_loss, reason = "as many requests as there are")]
fn requests(count: usize) -> f64 {
    count as f64
}
