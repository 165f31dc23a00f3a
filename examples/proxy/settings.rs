//! What the configuration file and the flags together ask for.

use std::{error::Error, fs, path::Path, time::Duration};

use tower_failover::{
    ConfigError, FailoverLayer,
    config::{BackoffConfig, BudgetConfig, RetryAfterConfig, RetryConfig},
    limits::DeadlineHeader,
};

use crate::args::{Args, Conditions, Limit, Limits, Share};

/// The deadline where neither says any.
const TIMEOUT: Duration = Duration::from_secs(60);

/// The layer with everything that is said: by the file, over it by the line, over both by the flags.
pub(crate) fn failover(args: &Args) -> Result<FailoverLayer, Box<dyn Error>> {
    let file = args.conditions.config.as_deref();
    let mut config = match file {
        Some(path) => read(path)?,
        None => RetryConfig::default(),
    };
    if let Some(line) = args.conditions.line()? {
        config = config.line(&line);
    }
    conditions(&mut config, &args.conditions);
    limits(&mut config, &args.limits)?;
    // Flags are checked where they are read, but for what they mean together with the file.
    let layer = config.layer().map_err(|wrong| match file {
        Some(path) => format!("with {}: {wrong}", path.display()),
        None => wrong.to_string(),
    });
    Ok(layer?)
}

fn read(path: &Path) -> Result<RetryConfig, Box<dyn Error>> {
    let shown = path.display();
    let text = fs::read_to_string(path).map_err(|error| format!("{shown}: {error}"))?;
    let config = toml::from_str(&text);
    Ok(config.map_err(|error| format!("{shown}: {}", error.to_string().trim_end()))?)
}

fn conditions(config: &mut RetryConfig, flags: &Conditions) {
    let Conditions {
        config: _,
        retry_on,
        proxy_next_upstream: _,
        haproxy_retry_on: _,
        envoy_retry_on: _,
        envoy_retriable_status_codes: _,
        envoy_retriable_headers: _,
        refused_on,
        non_idempotent,
        reuse_tried,
        retries_per_peer,
        backoff,
        retry_after,
    } = flags;
    set(&mut config.retry_on, retry_on.clone());
    set(&mut config.refused_on, *refused_on);
    set(&mut config.non_idempotent, non_idempotent.map(Into::into));
    set(&mut config.reuse_tried, reuse_tried.then_some(true));
    set(&mut config.retries_per_peer, *retries_per_peer);
    if let Some((base, max)) = *backoff {
        config.backoff = BackoffConfig::Exponential {
            base,
            max: Some(max),
            multiplier: 2.0,
        };
    }
    let heeded = retry_after.map(|Limit(longest)| match longest {
        Some(longest) => RetryAfterConfig::UpTo(longest),
        None => RetryAfterConfig::Ignored,
    });
    set(&mut config.retry_after, heeded);
}

fn limits(config: &mut RetryConfig, flags: &Limits) -> Result<(), ConfigError> {
    let Limits {
        max_attempts,
        timeout,
        retry_window,
        per_try_timeout,
        lift_on_last,
        deadline_from,
        send_deadline,
        attempt_header,
        replay_cap,
        budget,
    } = flags;
    if max_attempts.is_some() {
        config.max_attempts = *max_attempts;
        config.max_retries = None;
    }
    config.deadline = match timeout {
        Some(Limit(timeout)) => *timeout,
        None => config.deadline.or(Some(TIMEOUT)),
    };
    set(
        &mut config.retry_window,
        retry_window.map(|Limit(limit)| limit),
    );
    set(
        &mut config.per_try_timeout,
        per_try_timeout.map(|Limit(limit)| limit),
    );
    set(
        &mut config.lift_per_try_timeout_on_last,
        lift_on_last.then_some(true),
    );
    if !deadline_from.is_empty() {
        let headers = deadline_from.iter().cloned();
        config.deadline_from = headers
            .map(DeadlineHeader::named)
            .collect::<Result<_, _>>()?;
    }
    if let Some(name) = send_deadline {
        config.send_deadline = Some(DeadlineHeader::named(name.clone())?);
    }
    if attempt_header.is_some() {
        config.attempt_header.clone_from(attempt_header);
    }
    set(&mut config.replay_cap, *replay_cap);
    match budget {
        Some(Share(Some(ratio))) => {
            config
                .budget
                .get_or_insert_with(BudgetConfig::default)
                .ratio = *ratio;
        }
        Some(Share(None)) => config.budget = None,
        None => {}
    }
    Ok(())
}

fn set<T>(setting: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *setting = value;
    }
}
