//! What is known to differ, and why.
//!
//! A difference that stands here must be there, exactly so; one that does not must not. They were found
//! with nginx 1.22.1, HAProxy 2.6.12 and Envoy 1.40.0; other versions can have others.

mod envoy;
mod haproxy;
mod nginx;

use crate::{
    lines::{Dialect, Line},
    outcome::{Attempts, Got, Outcome},
    scenarios::Scenario,
};

/// A difference, and where it is.
#[derive(Debug)]
pub(crate) struct Known {
    pub(crate) reason: &'static str,
    covers: fn(&Line, &Scenario) -> bool,
    differ: Differ,
}

/// In what they differ: first the peer, then ours.
#[derive(Debug)]
enum Differ {
    /// In what is said when no upstream has answered; not in the attempts.
    Said(Got, Got),
    /// Only ours tries again; what is said follows from that.
    OnlyOurs,
    /// In how often which upstream is tried, and in what follows from that.
    Attempts([usize; 2], [usize; 2]),
    /// Now and then. The peer tries again, or it does not, or that is a race as well.
    Race(Option<bool>),
}

pub(crate) fn of(dialect: Dialect) -> &'static [Known] {
    match dialect {
        Dialect::Nginx => nginx::KNOWN,
        Dialect::Haproxy => haproxy::KNOWN,
        Dialect::Envoy => envoy::KNOWN,
    }
}

impl Known {
    pub(crate) fn covers(&self, line: &Line, scenario: &Scenario) -> bool {
        (self.covers)(line, scenario)
    }

    /// Whether the outcomes of a request that it covers differ as it says.
    pub(crate) fn holds(&self, theirs: &Outcome, ours: &Outcome) -> bool {
        match self.differ {
            Differ::Said(said, by_us) => {
                let nobody = theirs.served_by.is_none() && ours.served_by.is_none();
                let said = (theirs.got, ours.got) == (said, by_us);
                nobody && said && theirs.attempts == ours.attempts
            }
            Differ::Attempts(made, by_us) => {
                let made = (Attempts::By(made), Attempts::By(by_us));
                (theirs.attempts, ours.attempts) == made
            }
            Differ::OnlyOurs => !theirs.attempts.are_many() && ours.attempts.are_many(),
            Differ::Race(again) => again.is_none_or(|again| theirs.attempts.are_many() == again),
        }
    }
}
