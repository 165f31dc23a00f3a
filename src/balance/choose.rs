//! Which peers a strategy may pick from, for one request.

use std::cell::Cell;

use super::{
    asked::{Asked, Choice, Level},
    clock::Clock,
    pick::Candidates,
    standing::Availability,
    tried::Tried,
    view::{Group, Slot, Tier, View},
    zone::{Zone, ZoneOrder},
};
use crate::trail::{Peer, Relented, Trail};

/// Chooses a peer: of the earliest tier that has one, and a tried or an ejected one only when no other is
/// left. Of the tried ones, those that were tried least come first, whatever their tier.
pub(super) fn choose<B>(asked: &Asked<'_, B>, view: &View) -> Option<Choice> {
    let trail = asked.trail;
    let attempt = trail.map_or(1, Trail::attempt);
    let trail = trail.filter(|_| !asked.freedom.fresh);
    if let Some(trail) = trail {
        if trail.is_bound() {
            return bound(asked, view, trail);
        }
    }
    let excluded = trail.map(Trail::excluded).unwrap_or_default();
    let search = Search {
        asked,
        view,
        attempt,
        clock: Clock::default(),
        draw: Cell::default(),
        refused: Cell::default(),
    };
    search.untried(&excluded).or_else(|| {
        let trail = trail.filter(|trail| trail.allows_tried() && asked.down_to == Level::Tried)?;
        search.tried(trail)
    })
}

/// The one peer that the request is bound to, or the balancer that knows it.
fn bound<B>(asked: &Asked<'_, B>, view: &View, trail: &Trail) -> Option<Choice> {
    let allowed = |slot: &Slot| trail.allows(slot.peer()) && !asked.passed.contains(slot.peer());
    let index = view.slots().iter().position(allowed)?;
    Some(Choice {
        index,
        level: Level::Best,
        probe: None,
        at: None,
    })
}

/// One request's search.
struct Search<'a, B> {
    asked: &'a Asked<'a, B>,
    view: &'a View,
    attempt: u32,
    clock: Clock,
    /// Which of the peers that start slowly it may go to: those whose share is above it.
    draw: Cell<Option<f64>>,
    /// Whether it has not been let to ask a peer that may be well again: it asks no other.
    refused: Cell<bool>,
}

impl<B> Search<'_, B> {
    fn untried(&self, excluded: &[Peer]) -> Option<Choice> {
        let (rules, panic) = (&self.asked.settings.rules, self.asked.settings.panic);
        let passed = self.asked.passed;
        let untried = |slot: &Slot| {
            let out = |peers: &[Peer]| !peers.is_empty() && peers.contains(slot.peer());
            !out(excluded) && !out(passed)
        };
        let first = self.attempt == 1;
        let repeatable = self.asked.request.method().is_idempotent();
        let best = |slot: &Slot| {
            let available = slot.standing.availability(rules, || self.clock.now());
            let free = match available {
                Availability::Well => true,
                // It is likely to fail: this is a request that can be repeated, and has not been yet.
                Availability::Due { overdue } => {
                    first && (overdue || repeatable) && !self.refused.get()
                }
                Availability::Slow(share) => self.draw() < share,
                Availability::Suspect(share) => repeatable && self.draw() < share,
                Availability::Out => false,
            };
            free && untried(slot)
        };
        let fit = |tier: &Tier| tier.share() >= panic;
        let panics = panic > 0.0 && !self.view.tiers().iter().any(fit);
        if !panics {
            let well = |slot: &Slot| slot.standing.is_well() && untried(slot);
            let slow = |slot: &Slot| well(slot) && !slot.standing.is_suspect();
            for tier in self.fitting(fit) {
                let mut choice = self.at(Level::Best, [tier], &best);
                if choice.is_none() && tier.well() > 0 {
                    // Those that start slowly: nobody else of their tier is there for their part.
                    choice = self.at(Level::Best, [tier], &slow);
                }
                if choice.is_some() {
                    return choice;
                }
            }
            if let Some(choice) = self.at(Level::Well, self.in_order(), &well) {
                return Some(choice);
            }
        }
        self.at(Level::Untried, self.in_order(), &untried)
    }

    /// There are only tried ones left.
    ///
    /// Where balancers are nested, one that another has chosen says so first, and lets the others show whether they
    /// have one that was not tried; then, whether they have one that did not ask to be left alone.
    fn tried(&self, trail: &Trail) -> Option<Choice> {
        let asked = self.asked;
        let relented = trail.relented();
        if asked.freedom.inner && relented == Relented::No {
            return None;
        }
        let slots = self.view.slots();
        let pick = |may: &dyn Fn(&Slot) -> bool| self.at(Level::Tried, self.in_order(), may);
        let tried = Tried::of(trail, asked.passed);
        if asked.freedom.inner && relented == Relented::Rested {
            return tried.pick_rested(slots, pick);
        }
        if !asked.freedom.inner && self.has_balancers(trail) {
            if let Some(choice) = tried.pick_other(slots, pick) {
                return Some(choice);
            }
            // Each is asked again, for a peer that was tried.
            while trail.relent_further() {
                let excluded = trail.excluded();
                if let Some(choice) = self.untried(&excluded) {
                    return Some(choice);
                }
            }
        }
        tried.pick(slots, pick)
    }

    /// Whether any of its peers is a balancer that has nobody left.
    fn has_balancers(&self, trail: &Trail) -> bool {
        let exhausted = trail.exhausted();
        let mut slots = self.view.slots().iter();
        !exhausted.is_empty() && slots.any(|slot| exhausted.contains(slot.peer()))
    }

    fn in_order(&self) -> impl Iterator<Item = &Tier> + Clone {
        self.view.tiers().iter()
    }

    /// The tiers that are fit for it, that one first which the request falls to.
    fn fitting(&self, fit: impl Fn(&Tier) -> bool) -> impl Iterator<Item = &Tier> {
        let (tiers, first) = (self.view.tiers(), self.first_tier());
        let order = (0..tiers.len()).map(move |next| &tiers[(first + next) % tiers.len()]);
        order.filter(move |tier| fit(tier))
    }

    /// The tier that a request begins with: the first, but for what spills over from one that is not well enough.
    fn first_tier(&self) -> usize {
        let (Some(spill), 1) = (self.asked.settings.spill, self.attempt) else {
            return 0;
        };
        let capacity = |tier: &Tier| (tier.share() / spill).min(1.0);
        let capacities = self.in_order().map(capacity);
        let whole = capacities.clone().sum::<f64>().min(1.0);
        // A number of its own: who starts slowly would else have too much of one tier, and nothing of the next.
        let mut draw = fastrand::f64() * whole;
        for (index, capacity) in capacities.enumerate() {
            if draw < capacity {
                return index;
            }
            draw -= capacity;
        }
        0
    }

    fn draw(&self) -> f64 {
        let draw = self.draw.get().unwrap_or_else(fastrand::f64);
        self.draw.set(Some(draw));
        draw
    }

    fn at<'t>(
        &'t self,
        level: Level,
        tiers: impl IntoIterator<Item = &'t Tier>,
        may: &dyn Fn(&Slot) -> bool,
    ) -> Option<Choice> {
        if level > self.asked.down_to {
            return None;
        }
        for tier in tiers {
            // The zones that the request prefers, then all of the tier.
            if tier.has_zones() {
                let preferred = self.zones().iter().filter_map(|zone| tier.zone(zone));
                for group in preferred {
                    if let Some(choice) = self.among(level, group, may) {
                        return Some(choice);
                    }
                }
            }
            if let Some(choice) = self.among(level, tier.all(), may) {
                return Some(choice);
            }
        }
        None
    }

    fn zones(&self) -> &[Zone] {
        let own: Option<&ZoneOrder> = self.asked.request.extensions().get();
        let order = own.or(self.asked.settings.zones.as_ref());
        order.map_or(&[], ZoneOrder::zones)
    }

    fn among(&self, level: Level, group: &Group, may: &dyn Fn(&Slot) -> bool) -> Option<Choice> {
        let slots = self.view.of(group);
        let Asked {
            settings, request, ..
        } = self.asked;
        // Between the look at a peer and its claim another request may have claimed it, or it may have opened.
        for _ in 0..4 {
            let candidates = Candidates {
                slots,
                group,
                may,
                clock: &self.clock,
                attempt: self.attempt,
                method: request.method(),
                uri: request.uri(),
                headers: request.headers(),
                extensions: request.extensions(),
            };
            let picked = settings.pick.pick(&candidates)?;
            // A strategy may answer what it may not: the next one in a circle stands in for it.
            let picked = if candidates.may(picked) {
                picked
            } else {
                let mut circle = (picked % slots.len()..slots.len()).chain(0..slots.len());
                circle.find(|index| candidates.may(*index))?
            };
            let index = group.range().start + picked;
            let mut choice = Choice {
                index,
                level,
                probe: None,
                at: self.clock.read(),
            };
            let standing = &slots[picked].standing;
            if level > Level::Best || standing.is_well() {
                return Some(choice);
            }
            choice.probe = standing.claim(&settings.rules);
            if choice.probe.is_some() || standing.is_well() {
                return Some(choice);
            }
            self.refused.set(true);
        }
        None
    }
}
