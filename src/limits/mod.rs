//! The limits that bind every policy: attempts, time, budget and memory.

mod alarm;
mod backoff;
mod budget;
mod deadline;
mod delays;

use std::{error::Error as StdError, fmt, sync::Arc, time::Duration};

use http::{Extensions, HeaderName};

pub(crate) use self::{alarm::Alarm, budget::Purse};
pub use self::{
    backoff::Backoff,
    budget::Budget,
    deadline::{Deadline, DeadlineHeader},
    delays::Delays,
};
use crate::{
    failure::{Broken, Classify, Evidence, FailureKind, KnownErrors, Stage},
    replay::{Keep, ReplayMemory},
};

/// A request extension that sets how many attempts this request may take, over what its layer says:
/// fewer or more. Its meaning is that of [`max_attempts`](crate::FailoverLayer::max_attempts).
///
/// It is for those who route requests; nothing that a client sends sets it. The first layer that sees it
/// takes it: it says nothing to another one below. More attempts than there are peers need
/// [`reuse_tried`](crate::policy::Standard::reuse_tried).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MaxAttempts(pub u32);

impl MaxAttempts {
    /// How many attempts the request of these extensions may take.
    pub(crate) fn take(extensions: &mut Extensions, limits: &Limits) -> u32 {
        let asked = extensions.remove().map(|Self(attempts)| attempts);
        asked.unwrap_or(limits.max_attempts)
    }
}

/// Large enough for the requests of today's APIs; the log is lazy, and freed early.
pub(crate) const REPLAY_CAP: u64 = 1 << 20;

/// What a layer was set to; its setters are documented on
/// [`FailoverLayer`](crate::FailoverLayer).
#[derive(Clone)]
pub(crate) struct Limits {
    /// 0: each peer once.
    pub(crate) max_attempts: u32,
    pub(crate) deadline: Option<Duration>,
    pub(crate) retry_window: Option<Duration>,
    pub(crate) per_try_timeout: Option<Duration>,
    /// Whether the last attempt may go on until the deadline.
    pub(crate) lift_on_last: bool,
    /// Where a request says how much time it has.
    pub(crate) deadline_from: Vec<DeadlineHeader>,
    /// Where each attempt is told how much time is left.
    pub(crate) send_deadline: Option<DeadlineHeader>,
    /// Where each attempt is told its number.
    pub(crate) attempt_header: Option<HeaderName>,
    pub(crate) replay_cap: u64,
    pub(crate) replay_memory: ReplayMemory,
    pub(crate) budget: Option<Budget>,
    pub(crate) classify: Arc<dyn Classify>,
}

impl Limits {
    /// As nginx' three tries with two more peers, and HAProxy's three retries less one.
    pub(crate) const MAX_ATTEMPTS: u32 = 3;

    /// Whether an attempt may follow the `made` ones of at most `max_attempts`; `untried` tells whether
    /// a peer is known that the request has not been to.
    pub(crate) fn allow_attempt(max_attempts: u32, made: u32, untried: Option<bool>) -> bool {
        match max_attempts {
            // Each peer once, and where tried peers may be used again, or peers are not known,
            // the default.
            0 => untried == Some(true) || made < Self::MAX_ATTEMPTS,
            most => made < most,
        }
    }

    /// What is known of `error`, at the least.
    pub(crate) fn evidence(&self, error: &(dyn StdError + 'static)) -> Evidence {
        let mut evidence = self.classify.classify(error).unwrap_or(Evidence {
            stage: Stage::MaybeProcessed,
            kind: FailureKind::Other,
        });
        // Whatever a classifier makes of an error that it knows from elsewhere: an answer had begun.
        if evidence.stage != Stage::MaybeProcessed && Broken::is_in(error) {
            evidence.stage = Stage::MaybeProcessed;
        }
        evidence
    }

    /// Whether somebody waits for a peer with a clock in hand.
    pub(crate) fn is_timed(&self) -> bool {
        self.per_try_timeout.is_some()
    }

    /// How request bodies are kept.
    pub(crate) fn keep(&self) -> Keep {
        Keep {
            cap: self.replay_cap,
            memory: Some(self.replay_memory.clone()),
            timed: self.is_timed(),
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_attempts: Self::MAX_ATTEMPTS,
            deadline: None,
            retry_window: None,
            per_try_timeout: None,
            lift_on_last: false,
            deadline_from: Vec::new(),
            send_deadline: None,
            attempt_header: None,
            replay_cap: REPLAY_CAP,
            replay_memory: ReplayMemory::default(),
            budget: Some(Budget::default()),
            classify: Arc::new(KnownErrors),
        }
    }
}

impl fmt::Debug for Limits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Limits")
            .field("max_attempts", &self.max_attempts)
            .field("deadline", &self.deadline)
            .field("retry_window", &self.retry_window)
            .field("per_try_timeout", &self.per_try_timeout)
            .field("lift_on_last", &self.lift_on_last)
            .field("deadline_from", &self.deadline_from)
            .field("send_deadline", &self.send_deadline)
            .field("attempt_header", &self.attempt_header)
            .field("replay_cap", &self.replay_cap)
            .field("replay_memory", &self.replay_memory)
            .field("budget", &self.budget)
            .finish_non_exhaustive()
    }
}
