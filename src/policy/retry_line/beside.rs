//! What stands beside a retry line, in lines of its own.

use std::fmt;

/// Where to go with it here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Beside {
    Attempts,
    /// Attempts, the first not counted.
    Retries,
    RetryWindow,
    PerTryTimeout,
    Backoff,
    Redispatch,
    /// A setter of [`Envoy`](super::Envoy).
    Envoy(&'static str),
}

/// `proxy_next_upstream_tries` and its kin.
pub(super) fn nginx(word: &str) -> Option<Beside> {
    match word.split_once("_next_upstream_")? {
        ("proxy" | "grpc" | "fastcgi" | "uwsgi" | "scgi", "tries") => Some(Beside::Attempts),
        ("proxy" | "grpc" | "fastcgi" | "uwsgi" | "scgi", "timeout") => Some(Beside::RetryWindow),
        _ => None,
    }
}

pub(super) fn haproxy(word: &str) -> Option<Beside> {
    match word {
        "retries" => Some(Beside::Retries),
        "option" | "redispatch" => Some(Beside::Redispatch),
        _ => None,
    }
}

/// In YAML or JSON; Istio has some of them in its own manner.
pub(super) fn envoy(word: &str) -> Option<Beside> {
    let key = word.split(':').next().unwrap_or_default();
    match key.trim_matches(['"', '\'', '{', '}', ',']) {
        "num_retries" | "numRetries" | "attempts" => Some(Beside::Envoy("num_retries")),
        "retriable_status_codes" | "retriableStatusCodes" => {
            Some(Beside::Envoy("retriable_status_codes"))
        }
        "retriable_headers" | "retriableHeaders" => Some(Beside::Envoy("retriable_header_names")),
        "per_try_timeout" | "perTryTimeout" => Some(Beside::PerTryTimeout),
        "retry_back_off" | "retryBackOff" => Some(Beside::Backoff),
        _ => None,
    }
}

impl fmt::Display for Beside {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Attempts => "`FailoverLayer::max_attempts`",
            Self::Retries => "`FailoverLayer::max_attempts`, one more than the retries",
            Self::RetryWindow => "`FailoverLayer::retry_window`",
            Self::PerTryTimeout => "`FailoverLayer::per_try_timeout`",
            Self::Backoff => "`Standard::backoff`",
            Self::Redispatch => {
                "`option redispatch` is how it is here; without it, `Standard::retries_per_peer`"
            }
            Self::Envoy(setter) => return write!(f, "`Envoy::{setter}`"),
        })
    }
}
