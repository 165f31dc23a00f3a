//! The proxy's command line.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use clap::{Parser, ValueEnum};
use http::HeaderName;
use tower_failover::{
    ConfigError,
    policy::{Envoy, NonIdempotent, ParseRetryLineError, RetryLine, RetryOn, Statuses},
};

/// A reverse proxy that fails over.
#[derive(Parser, Debug)]
#[command(
    name = "proxy",
    version,
    after_help = "Durations are written as in `500ms`, `2s` or `1m 30s`.\n\
        RUST_LOG sets what is logged, for example `tower_failover=debug`: every failed attempt."
)]
pub(crate) struct Args {
    /// Where to listen; port 0 picks one
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8080")]
    pub(crate) listen: SocketAddr,

    /// An upstream's base URL (repeatable)
    #[arg(long, value_name = "URL", value_parser = url)]
    pub(crate) upstream: Vec<String>,

    /// An upstream that is used when no other is left (repeatable)
    #[arg(long, value_name = "URL", value_parser = url)]
    pub(crate) backup: Vec<String>,

    /// How an upstream is chosen
    #[arg(long, value_enum, default_value_t = Strategy::RoundRobin)]
    pub(crate) balance: Strategy,

    /// The time to connect to an upstream
    #[arg(long, value_name = "D", default_value = "5s", value_parser = duration)]
    pub(crate) connect_timeout: Duration,

    /// Failures in a row after which an upstream is left out for a while; 0: never
    #[arg(long, value_name = "N", default_value_t = 5)]
    pub(crate) eject_after: u32,

    /// How long it is left out
    #[arg(long, value_name = "D", default_value = "30s", value_parser = duration)]
    pub(crate) eject_for: Duration,

    /// Speak HTTP/2 with the upstreams, by prior knowledge
    #[arg(long)]
    pub(crate) http2: bool,

    /// Append `Proxy-Status` under this name to the proxy's own error responses
    #[arg(long, value_name = "NAME")]
    pub(crate) proxy_status: Option<String>,

    /// Tell the client in this header how many attempts were made
    #[arg(long, value_name = "HEADER")]
    pub(crate) attempts_header: Option<HeaderName>,

    #[command(flatten, next_help_heading = "What is tried again")]
    pub(crate) conditions: Conditions,

    #[command(flatten, next_help_heading = "Within which limits")]
    pub(crate) limits: Limits,
}

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
pub(crate) enum Strategy {
    InOrder,
    RoundRobin,
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

/// A time limit, or none.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limit(pub(crate) Option<Duration>);

/// The retries' share of the requests, or no bound.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Share(pub(crate) Option<f64>);

fn duration(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text)
        .map_err(|error| format!("{error}; write it as in `500ms` or `2s`"))
}

fn wait(text: &str) -> Result<Limit, String> {
    match text {
        "off" => Ok(Limit(None)),
        _ => match duration(text) {
            Ok(longest) => Ok(Limit(Some(longest))),
            Err(wrong) => Err(format!("{wrong}, or `off`")),
        },
    }
}

fn limit(text: &str) -> Result<Limit, String> {
    match wait(text)? {
        Limit(Some(Duration::ZERO)) => Err("must be longer than 0s; `off` for none".into()),
        limit => Ok(limit),
    }
}

fn url(text: &str) -> Result<String, String> {
    let (scheme, _) = text.split_once("://").unwrap_or_default();
    if scheme.eq_ignore_ascii_case("https") {
        return Err("this example speaks no TLS; write it as in `http://host:port`".into());
    }
    Ok(text.to_owned())
}

fn delays(text: &str) -> Result<(Duration, Duration), String> {
    let (base, max) = text
        .split_once("..")
        .ok_or("write it as in `25ms..250ms`")?;
    let delays = (duration(base)?, duration(max)?);
    checked(tower_failover::limits::Backoff::new(delays.0, delays.1))?;
    Ok(delays)
}

fn budget(text: &str) -> Result<Share, String> {
    if text == "off" {
        return Ok(Share(None));
    }
    let ratio = text.parse().map_err(|_| "write it as in `0.2`, or `off`")?;
    checked(tower_failover::limits::Budget::new(ratio, 0))?;
    Ok(Share(Some(ratio)))
}

fn checked<T>(value: Result<T, ConfigError>) -> Result<T, String> {
    value.map_err(|wrong| wrong.to_string())
}
