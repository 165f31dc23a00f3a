//! What became of each attempt.

use std::fmt;

use http::{Extensions, StatusCode};

use crate::{failure::FailureKind, trail::Peer};

/// The attempts of one request, in order.
///
/// It stands in the extensions of a response that took more than one attempt, and in every
/// [`Error`](crate::Error): a failure that was made good is not hidden. A response that the first
/// attempt brought carries none.
#[derive(Clone, Debug, Default)]
pub struct Report {
    attempts: Vec<Tried>,
}

/// One attempt.
#[derive(Clone, Debug)]
pub struct Tried {
    peer: Option<Peer>,
    outcome: Outcome,
}

/// How an attempt came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// No response head arrived.
    Failed(FailureKind),
    /// A response arrived.
    Answered(StatusCode),
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed(kind) => kind.fmt(f),
            Self::Answered(status) => write!(f, "status {}", status.as_u16()),
        }
    }
}

impl Report {
    /// The report that a response carries, if it took more than one attempt.
    pub fn of(extensions: &Extensions) -> Option<&Self> {
        extensions.get()
    }

    /// The attempts, in order; the last one brought what the client got, unless an earlier response
    /// was held and delivered.
    pub fn attempts(&self) -> &[Tried] {
        &self.attempts
    }

    pub(crate) fn push(&mut self, peer: Option<Peer>, outcome: Outcome) {
        self.attempts.push(Tried { peer, outcome });
    }
}

impl Tried {
    /// Where it went; `None` when the service below names no peers, or had none.
    pub fn peer(&self) -> Option<&Peer> {
        self.peer.as_ref()
    }

    /// What came of it.
    pub fn outcome(&self) -> Outcome {
        self.outcome
    }
}

/// As in `http://10.0.0.1: connect failure, http://10.0.0.2: status 200`.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, tried) in self.attempts.iter().enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            write!(f, "{comma}{tried}")?;
        }
        Ok(())
    }
}

/// As in `http://10.0.0.1: connect failure`.
impl fmt::Display for Tried {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.peer {
            Some(peer) => write!(f, "{peer}: {}", self.outcome),
            None => self.outcome.fmt(f),
        }
    }
}
