//! The settings of a [`FailoverLayer`] as they stand in a configuration file.
//!
//! ```
//! use std::time::Duration;
//! use tower_failover::{FailoverLayer, config::RetryConfig};
//!
//! let file = r#"
//!     retry_on = "connect-failure,refused-stream,reset,502-504"
//!     refused_on = [421, 425]
//!     max_retries = 2
//!     deadline = "30s"
//!     per_try_timeout = "5s"
//!     backoff = { base = "50ms", max = "1s", multiplier = 3.0 }
//!     budget = { ratio = 0.1, per_second = 5 }
//! "#;
//! let config: RetryConfig = toml::from_str(file)?;
//! assert_eq!(config.per_try_timeout, Some(Duration::from_secs(5)));
//! let layer: FailoverLayer = config.layer()?;
//! # let _ = layer;
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! ```
//!
//! What a file does not say is as [`FailoverLayer::default`] has it; a key that is not known is an error.
//! Durations are written as in `250ms`, `30s` or `1m 30s`.

mod header;
mod hint;
mod off;
mod text;

use std::time::Duration;

use http::HeaderName;
use serde::{Deserialize, Serialize};

pub use self::hint::RetryAfterConfig;
use crate::{
    ConfigError, FailoverLayer,
    limits::{Backoff, Budget, DeadlineHeader},
    policy::{NonIdempotent, RetryOn, Standard, Statuses},
};

/// How requests are tried again.
///
/// Each field is documented where it is set on [`Standard`] or [`FailoverLayer`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct RetryConfig {
    /// What is tried again: a [list](RetryOn) in one string, or an array of its entries.
    #[serde(with = "text::list")]
    pub retry_on: RetryOn,
    /// [Statuses](Standard::refused_on) that prove that a request was not processed: a list in one
    /// string, or an array of numbers and strings.
    #[serde(with = "text::list")]
    pub refused_on: Statuses,
    /// Whether [requests that are not safe to repeat](NonIdempotent) are repeated: `never`, `reused` or
    /// `always`.
    pub non_idempotent: NonIdempotent,
    /// How many [attempts](FailoverLayer::max_attempts) a request may take, the first included.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_attempts: Option<u32>,
    /// The same without the first: another way to say it, which must not contradict it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_retries: Option<u32>,
    /// Whether [a tried peer](Standard::reuse_tried) may be used again when no untried one is left.
    pub reuse_tried: bool,
    /// How often [the same peer](Standard::retries_per_peer) is tried again before another.
    pub retries_per_peer: u32,
    /// The [time](FailoverLayer::deadline) until the response head, all attempts included.
    #[serde(with = "humantime_serde", skip_serializing_if = "Option::is_none")]
    pub deadline: Option<Duration>,
    /// The [time](FailoverLayer::retry_window) within which another attempt may start.
    #[serde(with = "humantime_serde", skip_serializing_if = "Option::is_none")]
    pub retry_window: Option<Duration>,
    /// The [time](FailoverLayer::per_try_timeout) that one peer may take.
    #[serde(with = "humantime_serde", skip_serializing_if = "Option::is_none")]
    pub per_try_timeout: Option<Duration>,
    /// Whether [the last attempt](FailoverLayer::lift_per_try_timeout_on_last) may take longer.
    pub lift_per_try_timeout_on_last: bool,
    /// The [headers](FailoverLayer::deadline_from) in which a request may say how much time it has:
    /// `grpc-timeout`, or names of headers in milliseconds.
    #[serde(with = "header::deadlines")]
    pub deadline_from: Vec<DeadlineHeader>,
    /// The [header](FailoverLayer::send_deadline) in which each attempt is told how much time is left.
    #[serde(with = "header::deadline", skip_serializing_if = "Option::is_none")]
    pub send_deadline: Option<DeadlineHeader>,
    /// The [header](FailoverLayer::attempt_header) in which each attempt is told its number.
    #[serde(with = "header::name", skip_serializing_if = "Option::is_none")]
    pub attempt_header: Option<HeaderName>,
    /// The [delays](Backoff) before a peer that may have been tried.
    pub backoff: BackoffConfig,
    /// How long an upstream's [`Retry-After`](crate::policy::RetryAfter) is heeded, or `false`.
    pub retry_after: RetryAfterConfig,
    /// The [retry budget](Budget), or `false` to do [without](FailoverLayer::without_budget).
    #[serde(with = "off")]
    pub budget: Option<BudgetConfig>,
    /// How many [bytes of a request's body](FailoverLayer::replay_cap) are kept.
    pub replay_cap: u64,
}

/// A [`Backoff`].
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct BackoffConfig {
    /// The longest delay before the first retry.
    #[serde(with = "humantime_serde")]
    pub base: Duration,
    /// The longest delay before any.
    #[serde(with = "humantime_serde")]
    pub max: Duration,
    /// By how much the bound grows with each retry, from 1 to 100.
    pub multiplier: f64,
}

/// A [`Budget`].
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct BudgetConfig {
    /// Retries per request, from 0 to 10.
    pub ratio: f64,
    /// Retries per second on top of them.
    pub per_second: u32,
    /// The most that can be saved up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub burst: Option<u32>,
    /// The share that one request may take of what there is; none by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub per_request: Option<f64>,
}

impl RetryConfig {
    /// Makes the layer.
    ///
    /// Each call makes a budget of its own; to share one, make one layer and clone it.
    ///
    /// # Errors
    ///
    /// Names the field and the value that cannot be meant.
    pub fn layer(&self) -> Result<FailoverLayer, ConfigError> {
        let mut layer = FailoverLayer::new(self.policy()?).replay_cap(self.replay_cap);
        if let Some(attempts) = self.attempts()? {
            layer = layer.max_attempts(attempts);
        }
        layer = match &self.budget {
            Some(budget) => layer.budget(budget.budget()?),
            None => layer.without_budget(),
        };
        if let Some(deadline) = self.deadline {
            layer = layer.deadline(positive("deadline", deadline)?);
        }
        if let Some(window) = self.retry_window {
            layer = layer.retry_window(window);
        }
        if let Some(timeout) = self.per_try_timeout {
            layer = layer.per_try_timeout(positive("per_try_timeout", timeout)?);
        }
        if self.lift_per_try_timeout_on_last {
            layer = layer.lift_per_try_timeout_on_last();
        }
        for header in &self.deadline_from {
            layer = layer.deadline_from(header.clone());
        }
        if let Some(header) = &self.send_deadline {
            layer = layer.send_deadline(header.clone());
        }
        if let Some(name) = &self.attempt_header {
            layer = layer.attempt_header(name.clone());
        }
        Ok(layer)
    }

    /// Makes the policy alone.
    ///
    /// # Errors
    ///
    /// Names the field and the value that cannot be meant.
    pub fn policy(&self) -> Result<Standard, ConfigError> {
        Ok(Standard::new(self.retry_on.clone())
            .refused_on(self.refused_on)
            .non_idempotent(self.non_idempotent)
            .reuse_tried(self.reuse_tried)
            .retries_per_peer(self.retries_per_peer)
            .retry_after(self.retry_after.into())
            .backoff(self.backoff()?))
    }

    /// Makes the backoff alone.
    ///
    /// # Errors
    ///
    /// Names the value that cannot be meant.
    pub fn backoff(&self) -> Result<Backoff, ConfigError> {
        let BackoffConfig {
            base,
            max,
            multiplier,
        } = self.backoff;
        Backoff::new(base, max)?.multiplier(multiplier)
    }

    fn attempts(&self) -> Result<Option<u32>, ConfigError> {
        let meant = self.max_retries.map(|retries| retries.saturating_add(1));
        match (self.max_attempts, meant) {
            (Some(attempts), Some(meant)) if attempts != meant => {
                let expected = format!("what max_retries says, {meant} with the first");
                Err(ConfigError::new("max_attempts", attempts, expected))
            }
            (attempts, meant) => Ok(attempts.or(meant)),
        }
    }
}

impl BudgetConfig {
    fn budget(&self) -> Result<Budget, ConfigError> {
        let mut budget = Budget::new(self.ratio, self.per_second)?;
        if let Some(burst) = self.burst {
            budget = budget.burst(burst)?;
        }
        match self.per_request {
            Some(share) => budget.per_request(share),
            None => Ok(budget),
        }
    }
}

fn positive(setting: &'static str, time: Duration) -> Result<Duration, ConfigError> {
    if time.is_zero() {
        return Err(ConfigError::new(setting, "0s", "longer than nothing"));
    }
    Ok(time)
}

/// What [`FailoverLayer::default`] does.
impl Default for RetryConfig {
    fn default() -> Self {
        Self {
            retry_on: RetryOn::default(),
            refused_on: Statuses::none(),
            non_idempotent: NonIdempotent::default(),
            max_attempts: None,
            max_retries: None,
            reuse_tried: false,
            retries_per_peer: 0,
            deadline: None,
            retry_window: None,
            per_try_timeout: None,
            lift_per_try_timeout_on_last: false,
            deadline_from: Vec::new(),
            send_deadline: None,
            attempt_header: None,
            backoff: BackoffConfig::default(),
            retry_after: RetryAfterConfig::default(),
            budget: Some(BudgetConfig::default()),
            replay_cap: crate::limits::REPLAY_CAP,
        }
    }
}

/// [`Backoff::default`].
impl Default for BackoffConfig {
    fn default() -> Self {
        Self {
            base: Backoff::BASE,
            max: Backoff::MAX,
            multiplier: Backoff::MULTIPLIER,
        }
    }
}

/// [`Budget::default`].
impl Default for BudgetConfig {
    fn default() -> Self {
        Self {
            ratio: Budget::RATIO,
            per_second: Budget::PER_SECOND,
            burst: None,
            per_request: None,
        }
    }
}
