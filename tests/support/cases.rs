//! The cases of other proxies' test suites, as data.

#![allow(dead_code, reason = "each test binary uses its own part")]

use std::{collections::BTreeMap, str::FromStr};

use serde::Deserialize;

/// The file of all cases, read and checked.
///
/// # Panics
///
/// If the file is not what the types below say.
pub(crate) fn load() -> Vec<Case> {
    let file: File = toml::from_str(include_str!("../data/cases.toml")).expect("cases.toml");
    file.case
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    case: Vec<Case>,
}

/// What upstreams do, how retry is configured, what the client sends, and what it must see.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Case {
    pub(crate) id: String,
    pub(crate) tier: Tier,
    /// The project, file and test it was restated from.
    pub(crate) source: String,
    #[serde(default)]
    pub(crate) fidelity: Fidelity,
    #[serde(default)]
    pub(crate) config: Config,
    /// In the order of preference; primaries before backups.
    #[serde(default)]
    pub(crate) upstreams: Vec<Upstream>,
    #[serde(default)]
    pub(crate) request: Request,
    #[serde(default)]
    pub(crate) expect: Expect,
    /// The requests of a case that needs several.
    pub(crate) sequence: Option<String>,
    #[serde(default)]
    pub(crate) note: String,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, PartialOrd, Ord)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Tier {
    Core,
    /// Needs an optional feature.
    Option,
    /// The peers disagree; what is expected is our side.
    Conflict,
    Hedge,
    Budget,
    Health,
    /// A unit test of the replayed body.
    Body,
}

/// How near the case is to what the peer itself tests.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Fidelity {
    /// The peer's test asserts this outcome end to end.
    #[default]
    Direct,
    /// A unit test, or one of another protocol, told as upstream behaviour.
    Translated,
    /// A bug fix that came without a test.
    DerivedFromFix,
    /// The peer's code.
    Source,
    /// The peer's manual or specification.
    Spec,
}

/// How retry is configured.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Config {
    /// Tokens in the proxy's own words.
    pub(crate) retry_on: Vec<String>,
    /// All attempts with the first; 0 is bounded by the hosts alone.
    pub(crate) max_tries: usize,
    pub(crate) non_idempotent: NonIdempotent,
    /// Bytes of the request body kept for replay.
    pub(crate) buffer_cap: u64,
    pub(crate) backoff_ms: u64,
    /// Whether a tried host may be used again once no untried one is left.
    pub(crate) same_host_ok: bool,
    pub(crate) connect_timeout_ms: Option<u64>,
    pub(crate) per_try_timeout_ms: Option<u64>,
    /// A hard deadline, which also ends what is in flight.
    pub(crate) overall_timeout_ms: Option<u64>,
    /// No further attempt starts after this; one in flight goes on.
    pub(crate) retry_window_ms: Option<u64>,
    /// The upstream that session affinity prefers.
    pub(crate) affinity: Option<String>,
    /// Whether a primary at its limit is passed over for a backup.
    pub(crate) backup: bool,
    pub(crate) prefer_other_host: bool,
    /// Whether hosts take turns, instead of the first that may be used being used.
    pub(crate) round_robin: bool,
    pub(crate) only_paths: Vec<String>,
    pub(crate) never_retry_if_header: Option<String>,
    pub(crate) per_request_max_tries: Option<usize>,
    pub(crate) attempt_header: bool,
    pub(crate) transparent_retry: bool,
    pub(crate) honor_retry_after: bool,
    pub(crate) retry_after_max_ms: Option<u64>,
    pub(crate) backoff_base_ms: Option<u64>,
    pub(crate) backoff_max_ms: Option<u64>,
    pub(crate) budget_allows: Option<u64>,
    pub(crate) budget_balance: Option<u64>,
    pub(crate) budget_percent: Option<f64>,
    pub(crate) budget_min_concurrency: Option<u64>,
    pub(crate) budget_ratio: Option<f64>,
    pub(crate) budget_min_per_sec: Option<u64>,
    pub(crate) per_request_budget_fraction: Option<f64>,
    pub(crate) throttle_max_tokens: Option<u64>,
    pub(crate) throttle_ratio: Option<f64>,
    pub(crate) max_fails: Option<u64>,
    pub(crate) fail_timeout_ms: Option<u64>,
    pub(crate) error_limit: Option<u64>,
    pub(crate) outlier_consecutive_5xx: Option<u64>,
    pub(crate) outlier_base_ejection_ms: Option<u64>,
    pub(crate) outlier_interval_ms: Option<u64>,
    pub(crate) outlier_max_ejection_percent: Option<f64>,
    pub(crate) hedge_delay_ms: Option<u64>,
    pub(crate) hedge_on_per_try_timeout: bool,
    pub(crate) hedge_non_fatal: Vec<String>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            retry_on: Vec::new(),
            max_tries: 2,
            non_idempotent: NonIdempotent::Never,
            buffer_cap: 65536,
            backoff_ms: 0,
            same_host_ok: false,
            connect_timeout_ms: None,
            per_try_timeout_ms: None,
            overall_timeout_ms: None,
            retry_window_ms: None,
            affinity: None,
            backup: false,
            prefer_other_host: true,
            round_robin: false,
            only_paths: Vec::new(),
            never_retry_if_header: None,
            per_request_max_tries: None,
            attempt_header: false,
            transparent_retry: false,
            honor_retry_after: false,
            retry_after_max_ms: None,
            backoff_base_ms: None,
            backoff_max_ms: None,
            budget_allows: None,
            budget_balance: None,
            budget_percent: None,
            budget_min_concurrency: None,
            budget_ratio: None,
            budget_min_per_sec: None,
            per_request_budget_fraction: None,
            throttle_max_tokens: None,
            throttle_ratio: None,
            max_fails: None,
            fail_timeout_ms: None,
            error_limit: None,
            outlier_consecutive_5xx: None,
            outlier_base_ejection_ms: None,
            outlier_interval_ms: None,
            outlier_max_ejection_percent: None,
            hedge_delay_ms: None,
            hedge_on_per_try_timeout: false,
            hedge_non_fatal: Vec::new(),
        }
    }
}

/// When a request that is not idempotent may be sent again although it may have arrived.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum NonIdempotent {
    #[default]
    Never,
    /// Only when it failed on a connection that had served before.
    Reused,
    Always,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Upstream {
    pub(crate) name: String,
    /// One behaviour per attempt, the last one repeated.
    pub(crate) script: Vec<String>,
    /// Whether the script starts again instead.
    #[serde(default)]
    pub(crate) cycle: bool,
    #[serde(default)]
    pub(crate) backup: bool,
    pub(crate) max_conns: Option<usize>,
    /// Whether its connections are all taken already.
    #[serde(default)]
    pub(crate) busy: bool,
    /// Whether it cannot be selected any more once it was tried.
    #[serde(default)]
    pub(crate) down_after_first: bool,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body_bytes: usize,
    /// Whether the body's length is not announced.
    pub(crate) chunked: bool,
    pub(crate) trailers: BTreeMap<String, String>,
    /// When the body becomes available; empty means all of it at once.
    pub(crate) body_schedule: Vec<Step>,
    /// Whether the body fails if it is read before an attempt began.
    pub(crate) body_error_if_prebuffered: bool,
    /// When the client goes away.
    pub(crate) abort_after_ms: Option<u64>,
}

impl Default for Request {
    fn default() -> Self {
        Self {
            method: "GET".to_owned(),
            path: "/".to_owned(),
            headers: BTreeMap::new(),
            body_bytes: 0,
            chunked: false,
            trailers: BTreeMap::new(),
            body_schedule: Vec::new(),
            body_error_if_prebuffered: false,
            abort_after_ms: None,
        }
    }
}

/// A part of the body, and when it becomes available.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Step {
    pub(crate) at: At,
    #[serde(default)]
    pub(crate) bytes: usize,
    /// Whether the request's trailers come, which also ends the body.
    #[serde(default)]
    pub(crate) trailers: bool,
    /// Whether the body ends here.
    #[serde(default)]
    pub(crate) end: bool,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(try_from = "String")]
pub(crate) enum At {
    Start,
    /// After an attempt failed, before the next began.
    InBackoff,
    /// Once this attempt, counted from 1 over all upstreams, began.
    AttemptStarted(usize),
}

impl FromStr for At {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = text.strip_prefix("attempt");
        let number = number.and_then(|text| text.strip_suffix("_started"));
        match (text, number.map(str::parse)) {
            ("start", _) => Ok(Self::Start),
            ("in_backoff", _) => Ok(Self::InBackoff),
            (_, Some(Ok(number))) => Ok(Self::AttemptStarted(number)),
            _ => Err(format!("`{text}` is no point in time")),
        }
    }
}

impl TryFrom<String> for At {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

/// What must be seen; what is absent is not asserted.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Expect {
    pub(crate) status: Option<u16>,
    /// What the peer answers where its answer is another.
    pub(crate) peer_status: Option<u16>,
    /// Attempts on all upstreams together.
    pub(crate) attempts: Option<usize>,
    pub(crate) attempts_by: BTreeMap<String, usize>,
    pub(crate) served_by: ServedBy,
    pub(crate) body: Option<String>,
    /// Whether the client must see the body break off.
    pub(crate) client_body_error: bool,
    /// Bytes of the request body that the last attempt delivered.
    pub(crate) body_seen: Option<usize>,
    pub(crate) trailers_seen: BTreeMap<String, String>,
    /// From and to, for the whole request.
    pub(crate) elapsed_ms: Option<[u64; 2]>,
    /// From and to, before each further attempt.
    pub(crate) delays_ms: Vec<[u64; 2]>,
    pub(crate) attempt_header_seen: Vec<usize>,
    pub(crate) attempt_header_response: Option<usize>,
    pub(crate) winner_attempt: Option<usize>,
    pub(crate) cancelled_attempts: Vec<usize>,
    /// Responses to the client by upstream, over the whole sequence.
    pub(crate) served_counts: BTreeMap<String, usize>,
    pub(crate) health_failures: BTreeMap<String, usize>,
    pub(crate) inflight_after: BTreeMap<String, usize>,
    pub(crate) metrics: BTreeMap<String, u64>,
    /// Active requests, active retries, and whether one more retry is allowed.
    pub(crate) table: Vec<(usize, usize, bool)>,
}

/// Whose response reaches the client.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(from = "String")]
pub(crate) enum ServedBy {
    /// No upstream's: the proxy's own answer, or a case whose requests differ in it.
    #[default]
    Nobody,
    /// Any upstream's.
    Any,
    Upstream(String),
}

impl From<String> for ServedBy {
    fn from(name: String) -> Self {
        match name.as_str() {
            "any" => Self::Any,
            _ => Self::Upstream(name),
        }
    }
}
