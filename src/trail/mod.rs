//! What a request's attempts have been through: all that [`Failover`](crate::Failover) and a
//! balancer say to each other.
//!
//! [`Failover`](crate::Failover) puts a [`Trail`] into the extensions of each attempt, or hands it over
//! [beside](Follow) the request. A balancer below reads from it which peers to avoid, and writes down whom it chose:
//!
//! ```
//! # use tower_failover::trail::{NoPeer, Peer, Trail};
//! # fn pick(request: &http::Request<()>, peers: &[Peer]) -> Result<Peer, NoPeer> {
//! let trail = Trail::of(request.extensions());
//! let free = |peer: &&Peer| trail.is_none_or(|trail| trail.allows(peer));
//! let peer = peers.iter().find(free).ok_or(NoPeer::exhausted())?;
//! match trail {
//!     Some(trail) if !trail.choose(peer, None) => Err(NoPeer::exhausted()), // nobody waits for it
//!     _ => Ok(peer.clone()),
//! }
//! # }
//! # let peers = [Peer::new("a"), Peer::new("b")];
//! # assert_eq!(pick(&http::Request::new(()), &peers).unwrap(), peers[0]);
//! ```
//!
//! A balancer that knows nothing of it still works: failover is then as good as its luck.

mod ended;
mod follow;
#[cfg(feature = "balance")]
mod freedom;
mod luggage;
mod no_peer;
mod peer;
mod record;
mod rest;
mod roster;
mod route;
mod turn;

use std::{
    fmt,
    sync::{Arc, MutexGuard, PoisonError},
};

use http::Extensions;
use tokio::time::Instant;

#[cfg(feature = "balance")]
pub(crate) use self::freedom::Freedom;
pub use self::{
    ended::Ended,
    follow::{Directly, Follow, InExtensions, Told},
    no_peer::NoPeer,
    peer::Peer,
    roster::Roster,
};
pub(crate) use self::{follow::call_in_extensions, record::Relented, rest::Rest, route::Route};
use self::{
    luggage::Shared,
    record::{Record, Visit},
    turn::Turn,
};

/// One attempt's handle on what its request has been through.
///
/// Every handle knows the number of its attempt, and only the current attempt's handle can write: a
/// worker that comes late cannot speak for the attempt that took its place.
#[derive(Clone)]
pub struct Trail {
    shared: Arc<Shared<[u8]>>,
    attempt: u32,
    /// Whether its attempts have a per-try timeout.
    timed: bool,
}

impl Trail {
    /// Starts a trail at its first attempt.
    pub fn new() -> Self {
        Self::begin(false)
    }

    /// The same, and says whether its attempts have a per-try timeout.
    pub(crate) fn begin(timed: bool) -> Self {
        Self::of_shared(Arc::new(Shared::new([])), timed)
    }

    fn of_shared(shared: Arc<Shared<[u8]>>, timed: bool) -> Self {
        Self {
            shared,
            attempt: 1,
            timed,
        }
    }

    /// The trail that an attempt's request carries.
    pub fn of(extensions: &Extensions) -> Option<&Self> {
        extensions.get()
    }

    /// The number of this handle's attempt, counted from 1.
    pub fn attempt(&self) -> u32 {
        self.attempt
    }

    /// Whether this handle's attempt is the one that the client waits for.
    pub fn is_current(&self) -> bool {
        self.record().speaks(self.attempt)
    }

    /// Whether the request has been to `peer`, in this attempt or an earlier one.
    pub fn has_tried(&self, peer: &Peer) -> bool {
        self.record().has_tried(peer)
    }

    /// Whether this attempt may go to `peer` at first choice: not tried yet and, where the attempt
    /// is bound to one peer, that one.
    pub fn allows(&self, peer: &Peer) -> bool {
        let record = self.record();
        let history = record.history();
        let exhausted = history.exhausted.contains(peer);
        match &history.pinned {
            Some(pinned) => (pinned == peer || history.pinned_via.contains(peer)) && !exhausted,
            None => !record.has_tried(peer) && !exhausted,
        }
    }

    /// Whether this attempt may go to a tried peer when [`allows`](Self::allows) leaves none.
    pub fn allows_tried(&self) -> bool {
        let record = self.record();
        record.history().pinned.is_none() && record.history().or_tried
    }

    /// Whether this attempt is bound to a peer.
    #[cfg(feature = "balance")]
    pub(crate) fn is_bound(&self) -> bool {
        self.record().history().pinned.is_some()
    }

    /// The peer that this attempt is bound to, when the last one is to be repeated.
    pub fn pinned(&self) -> Option<Peer> {
        self.record().history().pinned.clone()
    }

    /// Whether `peer` has asked, with `Retry-After`, to be left alone by this request for longer than until
    /// now: a tried peer that has not is to be preferred to it.
    pub fn is_resting(&self, peer: &Peer) -> bool {
        !self.record().rest(Some(peer)).is_over()
    }

    /// Records that the current attempt's peer asked to be left alone.
    pub(crate) fn let_rest(&self, rest: Rest) {
        let mut record = self.record();
        let peer = record.chosen.clone();
        let rest = record.rest(peer.as_ref()).max(rest);
        let resting = &mut record.history_mut().resting;
        resting.retain(|(resting, _)| *resting != peer);
        resting.push((peer, rest));
    }

    /// Until when the current attempt's peer is to be left alone.
    pub(crate) fn rest(&self) -> Rest {
        let record = self.record();
        record.rest(record.chosen.as_ref())
    }

    /// Until when every peer that was tried is to be left alone, where whoever picks knows how to find the
    /// one that need not be; else, until when any of them is.
    pub(crate) fn rest_of_tried(&self, picks_knowingly: bool) -> Rest {
        let tried = self.peers();
        let roster = self.record().roster.clone();
        // Without names, all are one.
        let rests: Vec<_> = if tried.is_empty() {
            vec![self.record().rest(None)]
        } else {
            let there = tried
                .iter()
                .filter(|peer| roster.as_ref().is_none_or(|r| r.has(peer)));
            there.map(|peer| self.record().rest(Some(peer))).collect()
        };
        let rests = rests.into_iter();
        let rest = if picks_knowingly {
            rests.min()
        } else {
            rests.max()
        };
        rest.unwrap_or(Rest::Not)
    }

    /// How often in a row the current attempt's peer was bound to be tried again.
    pub(crate) fn stayed(&self) -> u32 {
        self.record().history().stayed
    }

    /// The peer that this attempt is bound to is gone: it may go to another that was not tried. Returns
    /// whether it was bound.
    pub(crate) fn unbind(&self) -> bool {
        let mut record = self.record();
        record.chosen = None;
        let history = record.history_mut();
        history.stayed = 0;
        history.exhausted.clear();
        history.pinned.take().is_some()
    }

    /// Records that the current attempt's peer has had its time.
    pub(crate) fn set_overdue(&self) {
        self.record().overdue = true;
    }

    /// Whether this attempt's peer had its time, and more, when it was ended.
    #[cfg(feature = "balance")]
    pub(crate) fn was_overdue(&self) -> bool {
        let record = self.record();
        record.current == self.attempt && record.overdue
    }

    /// The peer that the current attempt went to.
    pub fn peer(&self) -> Option<Peer> {
        self.record().chosen.clone()
    }

    /// The peers that the request has been to, in order, each as often as it was tried.
    pub fn peers(&self) -> Vec<Peer> {
        let record = self.record();
        let past = record
            .history()
            .past
            .iter()
            .filter_map(|visit| visit.peer.as_ref());
        past.chain(&record.chosen).cloned().collect()
    }

    /// Records that this attempt waits for `peer`'s endpoint to be ready: nothing was sent to it, but
    /// an attempt that comes to its end there has been there.
    ///
    /// Returns `false` as [`choose`](Self::choose) does.
    #[must_use = "an attempt that was replaced must not wait"]
    pub fn approach(&self, peer: &Peer, roster: Option<Arc<dyn Roster>>) -> bool {
        self.record_choice(peer, roster, false)
    }

    /// Records that this attempt goes to `peer`, at the moment when the endpoint is really called.
    ///
    /// The `roster` tells later whether another peer is left. Where balancers are nested, the peer is
    /// the innermost's, which speaks last, and another is left where any of them has one.
    ///
    /// Returns `false` when the attempt has been ended or replaced: nobody waits for it, and the
    /// endpoint must not be called.
    #[must_use = "an attempt that was replaced must not be sent"]
    pub fn choose(&self, peer: &Peer, roster: Option<Arc<dyn Roster>>) -> bool {
        self.record_choice(peer, roster, true)
    }

    fn record_choice(&self, peer: &Peer, roster: Option<Arc<dyn Roster>>, called: bool) -> bool {
        let mut record = self.record();
        let current = record.speaks(self.attempt);
        if current {
            record.choose(peer, roster);
            record.called = called;
        }
        current
    }

    /// Records that `peer` is itself a balancer, and has nobody left for this request; returns `false`
    /// when nobody waits for this attempt.
    #[cfg(feature = "balance")]
    pub(crate) fn exhaust(&self, peer: &Peer) -> bool {
        let mut record = self.record();
        let current = record.speaks(self.attempt);
        if current {
            record.exhaust(peer);
        }
        current
    }

    /// How free a balancer is to choose a peer for this attempt.
    #[cfg(feature = "balance")]
    pub(crate) fn freedom(&self) -> Freedom {
        let record = self.record();
        Freedom {
            inner: record.chosen.is_some(),
            fresh: self.attempt == 1 && record.history().exhausted.is_empty(),
        }
    }

    /// The peers that the request has been to, and those that have nobody left for it.
    #[cfg(feature = "balance")]
    pub(crate) fn excluded(&self) -> Vec<Peer> {
        let mut excluded = self.peers();
        excluded.extend(self.record().history().exhausted.iter().cloned());
        excluded
    }

    /// The peers that are balancers, and have nobody left for the request.
    #[cfg(feature = "balance")]
    pub(crate) fn exhausted(&self) -> Vec<Peer> {
        self.record().history().exhausted.clone()
    }

    /// The balancer that is behind `peer`, if it has been seen to be one.
    #[cfg(feature = "balance")]
    pub(crate) fn roster_behind(&self, peer: &Peer) -> Option<Arc<dyn Roster>> {
        let record = self.record();
        let mut behind = record.history().behind.iter();
        let behind = behind.find(|(known, _)| known == peer);
        behind.map(|(_, roster)| Arc::clone(roster))
    }

    /// Records that this attempt waits for there to be any peer at all.
    #[cfg(feature = "balance")]
    pub(crate) fn awaiting(&self) {
        self.record_turn(Turn::awaiting);
    }

    /// Records that this attempt no longer waits for there to be any peer.
    #[cfg(feature = "balance")]
    pub(crate) fn arrived(&self) {
        self.record_turn(Turn::arrived);
    }

    /// Whether the current attempt waits for there to be any peer.
    pub(crate) fn is_awaiting(&self) -> bool {
        self.record().turn == Turn::Awaiting
    }

    /// Whether the current attempt has a peer whose endpoint was never called: nothing was sent.
    pub(crate) fn is_waiting(&self) -> bool {
        let record = self.record();
        record.chosen.is_some() && !record.called
    }

    /// Lets a tried peer be chosen by those who pick blindly, if the attempt may go to one at all;
    /// returns whether that is new.
    pub(crate) fn relent(&self) -> bool {
        let mut record = self.record();
        record.history().relented == Relented::No && record.relent_further()
    }

    /// Lets balancers within this one choose a tried peer, first one that did not ask to be left alone, then
    /// any, if the attempt may go to one at all; returns whether there is any more to be let.
    #[cfg(feature = "balance")]
    pub(crate) fn relent_further(&self) -> bool {
        let mut record = self.record();
        record.speaks(self.attempt) && record.relent_further()
    }

    #[cfg(feature = "balance")]
    pub(crate) fn relented(&self) -> Relented {
        self.record().history().relented
    }

    /// Whether an endpoint that refuses tried requests must take this one.
    #[cfg(feature = "balance")]
    pub(crate) fn has_relented(&self) -> bool {
        self.relented() != Relented::No
    }

    /// Counts a refusal in `refusals` until a peer is chosen, or the request ends.
    #[cfg(feature = "balance")]
    pub(crate) fn hold_refusal(&self, refusals: &Arc<std::sync::atomic::AtomicUsize>) {
        self.record().hold_refusal(refusals);
    }

    /// Whether there is a per-try timeout, so that somebody wants to know how the attempt
    /// [connects](Self::connecting). It costs nothing to ask.
    pub fn is_timed(&self) -> bool {
        self.timed
    }

    /// Records that this attempt waits for a connection: nothing of it was sent, and the per-try
    /// timeout does not run.
    ///
    /// It is for endpoints that bound the time to connect by themselves, as `upstream::Upstream` does,
    /// and say when they are [`connected`](Self::connected). Of an attempt that has been connected, it
    /// says nothing: something may have been sent. An endpoint that never says anything is timed from
    /// the start of the attempt.
    pub fn connecting(&self) {
        self.record_turn(Turn::connecting);
    }

    /// Records that this attempt has a connection, new or not: from now on it is the peer's turn, and
    /// the per-try timeout runs.
    ///
    /// It is said before anything is sent, or as soon as that can be told.
    pub fn connected(&self) {
        self.record_turn(Turn::connected);
    }

    fn record_turn(&self, change: fn(&mut Turn)) {
        let mut record = self.record();
        if record.speaks(self.attempt) {
            change(&mut record.turn);
        }
    }

    /// Whether the current attempt has no connection.
    #[cfg(test)]
    fn is_connecting(&self) -> bool {
        self.record().turn == Turn::Connecting
    }

    /// Since when it is the current attempt's peer's turn, which has been able to take more `since` then;
    /// `None` while there is no connection.
    pub(crate) fn waiting_since(&self, since: Instant) -> Option<Instant> {
        self.record().turn.since(since)
    }

    /// Records whether the attempt's connection had served a response before.
    pub fn set_reused(&self, reused: bool) {
        let mut record = self.record();
        if record.speaks(self.attempt) {
            record.reused = Some(reused);
        }
    }

    /// Whether the current attempt's connection had served a response before, if that is known.
    pub fn reused(&self) -> Option<bool> {
        self.record().reused
    }

    /// Why this handle's attempt was ended from above, if it was.
    pub fn ended(&self) -> Option<Ended> {
        let record = self.record();
        if record.current == self.attempt {
            return record.ended;
        }
        let visit = self.attempt.checked_sub(1).map(|index| index as usize)?;
        record.history().past.get(visit).map(|visit| visit.ended)
    }

    /// Whether an available peer is left that the request has not been to; `None` when nobody
    /// below can tell.
    pub fn has_untried(&self) -> Option<bool> {
        let record = self.record();
        let inner = record.roster.clone()?;
        let outer = record.history().outer.clone();
        // A roster asks this trail.
        drop(record);
        let answers = [inner].into_iter().chain(outer);
        let answers: Vec<_> = answers.map(|roster| roster.has_untried(self)).collect();
        match (answers.contains(&Some(true)), answers.contains(&None)) {
            (true, _) => Some(true),
            (false, true) => None,
            (false, false) => Some(false),
        }
    }

    /// Ends the current attempt.
    pub(crate) fn end(&self, why: Ended) {
        self.record().ended = Some(why);
    }

    /// Replaces the current attempt by the next one.
    pub(crate) fn next(&self, route: Route) -> Self {
        let mut record = self.record();
        let peer = record.chosen.take();
        let ended = record.ended.take().unwrap_or(Ended::Superseded);
        record.overdue = false;
        record.called = false;
        record.turn = Turn::default();
        record.roster = None;
        record.reused = None;
        record.current += 1;
        let attempt = record.current;
        let history = record.history_mut();
        let via = std::mem::take(&mut history.via);
        (history.pinned, history.pinned_via, history.stayed) = match route {
            Route::Same { .. } => (peer.clone(), via, history.stayed.saturating_add(1)),
            Route::Other { .. } => (None, Vec::new(), 0),
        };
        let (Route::Same { or_tried } | Route::Other { or_tried }) = route;
        history.or_tried = or_tried;
        history.relented = Relented::No;
        history.outer.clear();
        history.past.push(Visit { peer, ended });
        Self {
            shared: Arc::clone(&self.shared),
            attempt,
            timed: self.timed,
        }
    }

    fn record(&self) -> MutexGuard<'_, Record> {
        // Every write is complete in itself, so a panic elsewhere leaves nothing half done.
        self.shared
            .record
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Trail {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Trail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Trail")
            .field("attempt", &self.attempt)
            .field("peers", &self.peers())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const ANOTHER: Route = Route::Other { or_tried: false };

    #[test]
    fn remembers_every_peer_of_every_attempt() {
        let [a, b] = [Peer::new("a"), Peer::new("b")];
        let first = Trail::new();
        assert!(first.choose(&a, None));
        let second = first.next(ANOTHER);
        assert!(!second.allows(&a) && second.allows(&b) && !second.allows_tried());
        assert!(second.choose(&b, None));
        assert_eq!(second.peers(), [a, b]);
    }

    #[test]
    fn binds_a_retry_to_the_same_peer() {
        let [a, b] = [Peer::new("a"), Peer::new("b")];
        let first = Trail::new();
        assert!(first.choose(&a, None));
        let second = first.next(Route::Same { or_tried: false });
        assert!(second.allows(&a) && !second.allows(&b) && !second.allows_tried());
    }

    #[test]
    fn late_worker_cannot_speak_for_the_current_attempt() {
        let [a, b] = [Peer::new("a"), Peer::new("b")];
        let first = Trail::new();
        let second = first.next(ANOTHER);
        assert!(second.choose(&b, None));
        assert!(!first.choose(&a, None));
        first.set_reused(true);
        assert_eq!((second.peer(), second.reused()), (Some(b), None));
        assert!(!second.has_tried(&a));
    }

    #[test]
    fn ended_attempt_can_no_longer_choose() {
        let trail = Trail::new();
        trail.end(Ended::TimedOut);
        assert!(!trail.choose(&Peer::new("a"), None));
        assert_eq!(trail.peer(), None);
    }

    #[test]
    fn each_handle_learns_why_its_own_attempt_ended() {
        let first = Trail::new();
        first.end(Ended::TimedOut);
        let second = first.next(ANOTHER);
        let third = second.next(ANOTHER);
        assert_eq!(first.ended(), Some(Ended::TimedOut));
        assert_eq!(second.ended(), Some(Ended::Superseded));
        assert_eq!(third.ended(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn it_is_nobodys_turn_until_there_is_a_connection() {
        let trail = Trail::new();
        let start = Instant::now();
        assert_eq!(trail.waiting_since(start), Some(start));
        trail.connecting();
        assert!(trail.is_connecting());
        assert_eq!(trail.waiting_since(start), None);
        tokio::time::advance(Duration::from_secs(1)).await;
        trail.connected();
        assert!(!trail.is_connecting());
        assert_eq!(trail.waiting_since(start), Some(Instant::now()));
        let later = Instant::now() + Duration::from_secs(1);
        assert_eq!(trail.waiting_since(later), Some(later));
    }

    #[test]
    fn second_connection_takes_nothing_back() {
        let trail = Trail::new();
        trail.connected();
        trail.connecting();
        assert!(!trail.is_connecting());
    }

    #[test]
    fn next_attempt_has_said_nothing_of_connections_yet() {
        let first = Trail::begin(true);
        first.connecting();
        let second = first.next(ANOTHER);
        assert!(second.is_timed() && !second.is_connecting());
        first.connecting();
        assert!(!second.is_connecting());
        second.connecting();
        first.connected();
        assert!(second.is_connecting());
    }

    #[test]
    fn ended_attempt_can_no_longer_connect() {
        let trail = Trail::new();
        trail.connecting();
        trail.end(Ended::Deadline);
        trail.connected();
        assert!(trail.is_connecting());
    }

    #[test]
    fn innermost_balancer_is_believed() {
        let [outer, inner] = [Peer::new("region"), Peer::new("host")];
        let trail = Trail::new();
        assert!(trail.choose(&outer, None) && trail.choose(&inner, None));
        assert!(trail.has_tried(&inner) && !trail.has_tried(&outer));
    }
}
