//! The settings as a file says them: what it does not say is `None`.

use serde::{Deserialize, Deserializer, de::Error};

use super::{
    BackoffConfig, BudgetConfig, RetryAfterConfig, RetryConfig,
    header::{Name, Timed},
    list::List,
    off::OrFalse,
    time::Time,
};
use crate::policy::{NonIdempotent, ParseRetryLineError, RetryLine, RetryOn, Statuses};

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Written {
    retry_on: Option<List<RetryOn>>,
    #[serde(deserialize_with = "nginx")]
    nginx: Option<RetryLine>,
    #[serde(deserialize_with = "haproxy")]
    haproxy: Option<RetryLine>,
    #[serde(deserialize_with = "envoy")]
    envoy: Option<RetryLine>,
    refused_on: Option<List<Statuses>>,
    non_idempotent: Option<NonIdempotent>,
    max_attempts: Option<u32>,
    max_retries: Option<u32>,
    reuse_tried: Option<bool>,
    retries_per_peer: Option<u32>,
    deadline: Option<Time>,
    retry_window: Option<Time>,
    per_try_timeout: Option<Time>,
    lift_per_try_timeout_on_last: Option<bool>,
    deadline_from: Option<Vec<Timed>>,
    send_deadline: Option<Timed>,
    attempt_header: Option<Name>,
    backoff: Option<BackoffConfig>,
    retry_after: Option<RetryAfterConfig>,
    budget: Option<OrFalse<BudgetConfig>>,
    replay_cap: Option<u64>,
}

impl Written {
    /// The usual settings, below a line of another proxy's, below what else is written.
    pub(super) fn config<E: Error>(self) -> Result<RetryConfig, E> {
        let conditions = [
            ("retry_on", self.retry_on.is_some()),
            ("nginx", self.nginx.is_some()),
            ("haproxy", self.haproxy.is_some()),
            ("envoy", self.envoy.is_some()),
        ];
        let mut conditions = conditions.iter().filter(|(_, is_written)| *is_written);
        if let (Some((one, _)), Some((other, _))) = (conditions.next(), conditions.next()) {
            return Err(E::custom(format_args!(
                "`{one}` and `{other}` both say what is tried again"
            )));
        }

        let mut config = RetryConfig::default();
        if let Some(line) = self.nginx.or(self.haproxy).or(self.envoy) {
            config = config.line(&line);
        }
        if self.max_attempts.is_some() || self.max_retries.is_some() {
            config.max_attempts = self.max_attempts;
            config.max_retries = self.max_retries;
        }
        set(&mut config.retry_on, self.retry_on.map(|List(list)| list));
        set(
            &mut config.refused_on,
            self.refused_on.map(|List(list)| list),
        );
        set(&mut config.non_idempotent, self.non_idempotent);
        set(&mut config.reuse_tried, self.reuse_tried);
        set(&mut config.retries_per_peer, self.retries_per_peer);
        config.deadline = self.deadline.map(|Time(time)| time);
        config.retry_window = self.retry_window.map(|Time(time)| time);
        config.per_try_timeout = self.per_try_timeout.map(|Time(time)| time);
        set(
            &mut config.lift_per_try_timeout_on_last,
            self.lift_per_try_timeout_on_last,
        );
        let headers = self.deadline_from.into_iter().flatten();
        config.deadline_from = headers.map(|Timed(header)| header).collect();
        config.send_deadline = self.send_deadline.map(|Timed(header)| header);
        config.attempt_header = self.attempt_header.map(|Name(name)| name);
        set(&mut config.backoff, self.backoff);
        set(&mut config.retry_after, self.retry_after);
        set(
            &mut config.budget,
            self.budget.map(|OrFalse(budget)| budget),
        );
        set(&mut config.replay_cap, self.replay_cap);
        Ok(config)
    }
}

fn set<T>(setting: &mut T, written: Option<T>) {
    if let Some(written) = written {
        *setting = written;
    }
}

fn nginx<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<RetryLine>, D::Error> {
    line(deserializer, RetryLine::nginx)
}

fn haproxy<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<RetryLine>, D::Error> {
    line(deserializer, RetryLine::haproxy)
}

fn envoy<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<RetryLine>, D::Error> {
    line(deserializer, RetryLine::envoy)
}

fn line<'de, D: Deserializer<'de>>(
    deserializer: D,
    read: fn(&str) -> Result<RetryLine, ParseRetryLineError>,
) -> Result<Option<RetryLine>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?;
    let line = text.map(|text| read(&text)).transpose();
    line.map_err(D::Error::custom)
}
