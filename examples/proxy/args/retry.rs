//! What is tried again, and within which limits.

use std::{path::PathBuf, time::Duration};

use clap::ValueEnum;
use http::HeaderName;
use tower_failover::policy::{
    Envoy, NonIdempotent, ParseRetryLineError, RetryLine, RetryOn, Statuses,
};

use super::value::{Limit, Share, budget, delays, limit, wait};

/// What stands over the settings of `--config`.
#[derive(clap::Args, Debug)]
pub(crate) struct Conditions {
    /// A TOML file with the retry settings; flags stand over it
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,

    /// What is tried again, comma separated, empty for nothing: connect-failure, connect-error,
    /// connect-timeout, reset, reset-reused, timeout, junk-response, refused-stream, gateway-error, a status, a class
    /// (5xx) or range (500-504) of them, header:NAME[=VALUE], unless-header:NAME[=VALUE], grpc:CODE
    /// [default: connect-failure,refused-stream,reset,timeout,gateway-error]
    #[arg(long, value_name = "LIST")]
    pub(crate) retry_on: Option<RetryOn>,

    /// The same as nginx has it: `error timeout http_503`. Each upstream once
    #[arg(long, value_name = "LINE", conflicts_with = "retry_on", value_parser = RetryLine::nginx)]
    pub(crate) proxy_next_upstream: Option<RetryLine>,

    /// The same as HAProxy has it: `conn-failure empty-response 503`. Up to 4 attempts
    #[arg(long, value_name = "LINE", conflicts_with_all = ["retry_on", "proxy_next_upstream"], value_parser = RetryLine::haproxy)]
    pub(crate) haproxy_retry_on: Option<RetryLine>,

    /// The same as Envoy has it: `5xx,reset`. Up to 2 attempts
    #[arg(long, value_name = "LINE", conflicts_with_all = ["retry_on", "proxy_next_upstream", "haproxy_retry_on"])]
    pub(crate) envoy_retry_on: Option<String>,

    /// The statuses of its `retriable-status-codes`
    #[arg(long, value_name = "LIST", requires = "envoy_retry_on")]
    pub(crate) envoy_retriable_status_codes: Option<String>,

    /// The response headers of its `retriable-headers`
    #[arg(long, value_name = "LIST", requires = "envoy_retry_on")]
    pub(crate) envoy_retriable_headers: Option<String>,

    /// Statuses with which the upstreams answer before they process anything: tried again for every
    /// method [default: none]
    #[arg(long, value_name = "LIST")]
    pub(crate) refused_on: Option<Statuses>,

    /// Whether POST and the like are sent again although they may have been processed
    /// [default: never]
    #[arg(long, value_enum)]
    pub(crate) non_idempotent: Option<Repeat>,

    /// Use a tried upstream when no untried one is left
    #[arg(long)]
    pub(crate) reuse_tried: bool,

    /// How often an upstream is tried again before another [default: 0]
    #[arg(long, value_name = "N")]
    pub(crate) retries_per_peer: Option<u32>,

    /// The delay before an upstream that may have been tried already, doubled each time [default: 25ms..250ms]
    #[arg(long, value_name = "BASE..MAX", value_parser = delays)]
    pub(crate) backoff: Option<(Duration, Duration)>,

    /// The longest `Retry-After` that is waited for; `off` to ignore them [default: 5s]
    #[arg(long, value_name = "D", value_parser = wait)]
    pub(crate) retry_after: Option<Limit>,
}

#[derive(clap::Args, Debug)]
pub(crate) struct Limits {
    /// Attempts a request may take, the first included; 0: each upstream once [default: 3]
    #[arg(long, value_name = "N")]
    pub(crate) max_attempts: Option<u32>,

    /// The time until the response head, attempts and delays included; `off` for none [default: 60s]
    #[arg(long, value_name = "D", value_parser = limit)]
    pub(crate) timeout: Option<Limit>,

    /// The time within which another attempt may start; `off` for none [default: off]
    #[arg(long, value_name = "D", value_parser = limit)]
    pub(crate) retry_window: Option<Limit>,

    /// The time an upstream may take for its response head; `off` for none [default: off]
    #[arg(long, value_name = "D", value_parser = limit)]
    pub(crate) per_try_timeout: Option<Limit>,

    /// Let the last attempt go on until --timeout
    #[arg(long)]
    pub(crate) lift_on_last: bool,

    /// Let requests shorten --timeout in this header (repeatable): `grpc-timeout`, or any in milliseconds
    #[arg(long, value_name = "HEADER")]
    pub(crate) deadline_from: Vec<HeaderName>,

    /// Tell each attempt in this header how much time is left
    #[arg(long, value_name = "HEADER")]
    pub(crate) send_deadline: Option<HeaderName>,

    /// Tell each attempt its number in this header
    #[arg(long, value_name = "HEADER")]
    pub(crate) attempt_header: Option<HeaderName>,

    /// The most bytes of a request body that are kept to be sent again [default: 1048576]
    #[arg(long, value_name = "BYTES")]
    pub(crate) replay_cap: Option<u64>,

    /// Retries in proportion to the requests; 10 per second come on top [default: 0.2]
    #[arg(long, value_name = "RATIO|off", value_parser = budget)]
    pub(crate) budget: Option<Share>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Repeat {
    Never,
    /// When a reused connection dies
    Reused,
    Always,
}

impl From<Repeat> for NonIdempotent {
    fn from(repeat: Repeat) -> Self {
        match repeat {
            Repeat::Never => Self::Never,
            Repeat::Reused => Self::Reused,
            Repeat::Always => Self::Always,
        }
    }
}

impl Conditions {
    /// The line of another proxy's configuration, if one was given.
    pub(crate) fn line(&self) -> Result<Option<RetryLine>, ParseRetryLineError> {
        let read = [&self.proxy_next_upstream, &self.haproxy_retry_on];
        if let Some(line) = read.into_iter().flatten().next() {
            return Ok(Some(line.clone()));
        }
        let Some(retry_on) = &self.envoy_retry_on else {
            return Ok(None);
        };
        let list = |list: &Option<String>| list.clone().unwrap_or_default();
        let envoy = Envoy::new()
            .retry_on(retry_on)
            .retriable_status_codes(list(&self.envoy_retriable_status_codes))
            .retriable_header_names(list(&self.envoy_retriable_headers));
        envoy.line().map(Some)
    }
}
