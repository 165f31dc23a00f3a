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
//! What a file does not say, or says `null` to, is as [`FailoverLayer::default`] has it; a key that is not
//! known is an error. Durations are written as in `250ms`, `30s` or `1m 30s`; a number without a unit is
//! none.
//!
//! # Lines of other proxies
//!
//! Instead of `retry_on` there may be one of `nginx`, `haproxy` and `envoy`, with the
//! [line](crate::policy::RetryLine) as it stands there. What it [speaks of](RetryConfig::line) is as there,
//! unless the file says otherwise:
//!
//! ```
//! use tower_failover::config::RetryConfig;
//!
//! let config: RetryConfig = toml::from_str(r#"
//!     haproxy = "conn-failure empty-response 503"
//!     max_retries = 2
//!     per_try_timeout = "5s"
//! "#)?;
//! assert!(config.reuse_tried);
//! assert_eq!(config.max_retries, Some(2));
//! # Ok::<_, toml::de::Error>(())
//! ```

mod backoff;
mod budget;
mod header;
mod hint;
mod list;
mod off;
mod table;
mod time;
mod written;

use std::time::Duration;

use http::HeaderName;
use serde::{Deserialize, Deserializer, Serialize};

use self::written::Written;
pub use self::{backoff::BackoffConfig, budget::BudgetConfig, hint::RetryAfterConfig};
use crate::{
    ConfigError, FailoverLayer,
    limits::{Backoff, DeadlineHeader},
    policy::{NonIdempotent, RetryLine, RetryOn, Standard, Statuses},
};

/// How requests are tried again.
///
/// It is read from a file, or made in code: start from `default()` and set fields. Each field is documented
/// where it is set on [`Standard`] or [`FailoverLayer`].
///
/// ```
/// use tower_failover::config::RetryConfig;
///
/// let mut config = RetryConfig::default();
/// config.max_attempts = Some(2);
/// let layer = config.layer()?;
/// # Ok::<_, tower_failover::ConfigError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct RetryConfig {
    /// What is tried again: a [list](RetryOn) in one string, an array of its entries, or a status.
    #[serde(serialize_with = "list::serialize")]
    pub retry_on: RetryOn,
    /// [Statuses](Standard::refused_on) that prove that a request was not processed: a list in one
    /// string, an array of numbers and strings, or a number.
    #[serde(serialize_with = "list::serialize")]
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
    #[serde(
        serialize_with = "time::serialize",
        skip_serializing_if = "Option::is_none"
    )]
    pub deadline: Option<Duration>,
    /// The [time](FailoverLayer::retry_window) within which another attempt may start.
    #[serde(
        serialize_with = "time::serialize",
        skip_serializing_if = "Option::is_none"
    )]
    pub retry_window: Option<Duration>,
    /// The [time](FailoverLayer::per_try_timeout) that one peer may take.
    #[serde(
        serialize_with = "time::serialize",
        skip_serializing_if = "Option::is_none"
    )]
    pub per_try_timeout: Option<Duration>,
    /// Whether [the last attempt](FailoverLayer::lift_per_try_timeout_on_last) may take longer.
    pub lift_per_try_timeout_on_last: bool,
    /// The [headers](FailoverLayer::deadline_from) in which a request may say how much time it has:
    /// `grpc-timeout`, or names of headers in milliseconds.
    #[serde(serialize_with = "header::deadlines")]
    pub deadline_from: Vec<DeadlineHeader>,
    /// The [header](FailoverLayer::send_deadline) in which each attempt is told how much time is left.
    #[serde(
        serialize_with = "header::deadline",
        skip_serializing_if = "Option::is_none"
    )]
    pub send_deadline: Option<DeadlineHeader>,
    /// The [header](FailoverLayer::attempt_header) in which each attempt is told its number.
    #[serde(
        serialize_with = "header::name",
        skip_serializing_if = "Option::is_none"
    )]
    pub attempt_header: Option<HeaderName>,
    /// The [delays](Backoff) before a peer that may have been tried.
    pub backoff: BackoffConfig,
    /// How long an upstream's [`Retry-After`](crate::policy::RetryAfter) is heeded, or `false`.
    pub retry_after: RetryAfterConfig,
    /// The [retry budget](crate::limits::Budget), or `false` to do [without](FailoverLayer::without_budget).
    #[serde(serialize_with = "off::serialize")]
    pub budget: Option<BudgetConfig>,
    /// How many [bytes of a request's body](FailoverLayer::replay_cap) are kept.
    pub replay_cap: u64,
}

impl RetryConfig {
    /// Takes over what a line of another proxy's configuration says: what is tried again, how many attempts
    /// there may be, and, as that proxy has them, whether requests that are not safe to repeat are repeated,
    /// whether a tried peer is used again, after which delays, and that `Retry-After` is not heeded.
    ///
    /// These fields are replaced; all others stay.
    #[must_use]
    pub fn line(self, line: &RetryLine) -> Self {
        let (base, max) = line.backoff_bounds();
        Self {
            retry_on: line.retry_on().clone(),
            non_idempotent: line.non_idempotent(),
            max_attempts: Some(line.max_attempts()),
            max_retries: None,
            reuse_tried: line.reuse_tried(),
            backoff: BackoffConfig::Exponential {
                base,
                max: Some(max),
                multiplier: Backoff::MULTIPLIER,
            },
            retry_after: RetryAfterConfig::Ignored,
            ..self
        }
    }

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
            layer = layer.retry_window(positive("retry_window", window)?);
        }
        if let Some(timeout) = self.per_try_timeout {
            layer = layer.per_try_timeout(positive("per_try_timeout", timeout)?);
        }
        if self.lift_per_try_timeout_on_last {
            if self.deadline.is_none() {
                let expected = "possible without a deadline: nothing would end the last attempt";
                return Err(ConfigError::new(
                    "lift_per_try_timeout_on_last",
                    true,
                    expected,
                ));
            }
            layer = layer.lift_per_try_timeout_on_last();
        }
        for header in &self.deadline_from {
            layer = layer.deadline_from(header.clone());
        }
        if let Some(header) = &self.send_deadline {
            layer = layer.send_deadline(header.clone());
        }
        if let Some(name) = &self.attempt_header {
            layer = layer.attempt_header(name.clone())?;
        }
        Ok(layer)
    }

    /// Makes the policy alone.
    ///
    /// # Errors
    ///
    /// Names the field and the value that cannot be meant.
    pub fn policy(&self) -> Result<Standard, ConfigError> {
        let policy = Standard::new(self.retry_on.clone())
            .refused_on(self.refused_on)
            .non_idempotent(self.non_idempotent)
            .reuse_tried(self.reuse_tried)
            .retries_per_peer(self.retries_per_peer)
            .retry_after(self.retry_after.into());
        self.backoff.set(policy)
    }

    fn attempts(&self) -> Result<Option<u32>, ConfigError> {
        let (Some(attempts), Some(retries)) = (self.max_attempts, self.max_retries) else {
            let meant = self.max_retries.map(|retries| retries.saturating_add(1));
            return Ok(self.max_attempts.or(meant));
        };
        let meant = retries.saturating_add(1);
        if attempts != meant {
            let expected = format!("the {meant} attempts that max_retries = {retries} means");
            return Err(ConfigError::new("max_attempts", attempts, expected));
        }
        Ok(Some(attempts))
    }
}

fn positive(setting: &'static str, time: Duration) -> Result<Duration, ConfigError> {
    if time.is_zero() {
        return Err(ConfigError::new(setting, "0s", "a time longer than 0s"));
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

impl<'de> Deserialize<'de> for RetryConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let written: Written = table::deserialize(deserializer)?;
        written.config()
    }
}
