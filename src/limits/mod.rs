//! The limits that bind every policy: attempts, time, budget and memory.

mod alarm;
mod backoff;
mod budget;

use std::{error::Error as StdError, fmt, sync::Arc, time::Duration};

use tokio::time::Instant;

pub(crate) use self::alarm::Alarm;
pub(crate) use self::budget::Withdrawal;
pub use self::{backoff::Backoff, budget::Budget};
use crate::{
    failure::{Classify, Evidence, FailureKind, KnownErrors, Stage},
    replay::{Keep, ReplayMemory},
};

/// A request extension that shortens the layer's deadline for this request; the earlier one wins.
///
/// The instant is tokio's, whose clock can be stopped in tests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deadline(pub Instant);

impl Deadline {
    /// The end of a time from now on; one too far away to be named is a year away.
    pub fn after(time: Duration) -> Self {
        const YEAR: Duration = Duration::from_secs(365 * 24 * 60 * 60);
        let now = Instant::now();
        Self(now.checked_add(time).unwrap_or(now + YEAR))
    }
}

impl From<std::time::Instant> for Deadline {
    fn from(at: std::time::Instant) -> Self {
        Self(at.into())
    }
}

/// What a layer was set to; its setters are documented on
/// [`FailoverLayer`](crate::FailoverLayer).
#[derive(Clone)]
pub(crate) struct Limits {
    /// 0: each peer once.
    pub(crate) max_attempts: u32,
    pub(crate) deadline: Option<Duration>,
    pub(crate) retry_window: Option<Duration>,
    pub(crate) per_try_timeout: Option<Duration>,
    pub(crate) replay_cap: u64,
    pub(crate) replay_memory: ReplayMemory,
    pub(crate) budget: Option<Budget>,
    pub(crate) classify: Arc<dyn Classify>,
}

impl Limits {
    /// As nginx' three tries with two more peers, and HAProxy's three retries less one.
    pub(crate) const MAX_ATTEMPTS: u32 = 3;

    /// Large enough for the requests of today's APIs; the log is lazy, and freed early.
    pub(crate) const REPLAY_CAP: u64 = 1 << 20;

    /// Whether an attempt may follow the `made` ones as far as their number goes; `untried` tells
    /// whether a peer is known that the request has not been to.
    pub(crate) fn allows_attempt(&self, made: u32, untried: Option<bool>) -> bool {
        match self.max_attempts {
            // Each peer once, and where tried peers may be used again, or peers are not known,
            // the default.
            0 => untried == Some(true) || made < Self::MAX_ATTEMPTS,
            most => made < most,
        }
    }

    /// What is known of `error`, at the least.
    pub(crate) fn evidence(&self, error: &(dyn StdError + 'static)) -> Evidence {
        self.classify.classify(error).unwrap_or(Evidence {
            stage: Stage::MaybeProcessed,
            kind: FailureKind::Other,
        })
    }

    /// How request bodies are kept.
    pub(crate) fn keep(&self) -> Keep {
        Keep {
            cap: self.replay_cap,
            memory: Some(self.replay_memory.clone()),
            timed: self.per_try_timeout.is_some(),
        }
    }

    /// Whether there can be a second attempt at all.
    pub(crate) fn allow_retries(&self) -> bool {
        self.max_attempts != 1
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_attempts: Self::MAX_ATTEMPTS,
            deadline: None,
            retry_window: None,
            per_try_timeout: None,
            replay_cap: Self::REPLAY_CAP,
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
            .field("replay_cap", &self.replay_cap)
            .field("replay_memory", &self.replay_memory)
            .field("budget", &self.budget)
            .finish_non_exhaustive()
    }
}
