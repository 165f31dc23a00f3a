//! What a case's configuration is in this crate's words.

use std::{iter, time::Duration};

use tower_failover::{
    FailoverLayer, Policy,
    balance::Breaker,
    limits::{Backoff, Budget, MaxAttempts},
    peek::PeekLayer,
    policy::{self, PolicyExt, RetryAfter, RetryOn, Standard},
    upstream::PoolOptions,
};

use crate::support::cases::{Case, Config, NonIdempotent};

const MS: Duration = Duration::from_millis(1);

/// What each attempt is told its number in, and the client the number of attempts.
pub(crate) const ATTEMPT_HEADER: http::HeaderName =
    http::HeaderName::from_static("x-attempt-count");

fn ms(number: u64) -> Duration {
    MS * u32::try_from(number).unwrap()
}

pub(crate) fn failover(case: &Case) -> FailoverLayer<impl Policy + Clone + Send + Sync + use<>> {
    let config = &case.config;
    let paths = config.only_paths.clone();
    let policy = standard(config)
        .only_if(move |head| paths.is_empty() || paths.iter().any(|path| head.uri.path() == path));
    // Without a number of tries, hosts that may be used again bound nothing.
    let most = match config.max_tries {
        0 if config.same_host_ok => u32::MAX,
        tries => tries.try_into().unwrap(),
    };
    let mut layer = FailoverLayer::new(policy)
        .max_attempts(most)
        .replay_cap(config.buffer_cap);
    if let Some(budget) = budget(config) {
        layer = layer.budget(budget);
    }
    if let Some(timeout) = config.overall_timeout_ms {
        layer = layer.deadline(ms(timeout));
    }
    if let Some(timeout) = config.per_try_timeout_ms {
        layer = layer.per_try_timeout(ms(timeout));
    }
    if let Some(window) = config.retry_window_ms {
        layer = layer.retry_window(ms(window));
    }
    if config.attempt_header {
        layer = layer.attempt_header(ATTEMPT_HEADER).unwrap();
    }
    layer
}

/// Waits for a status in trailers where the case decides by one; its upstreams do not name their type.
pub(crate) fn peek(case: &Case) -> PeekLayer {
    let mut words = case.config.retry_on.iter();
    let by_status = words.any(|word| word.starts_with("grpc:"));
    PeekLayer::new().when(move |_| by_status)
}

fn standard(config: &Config) -> Standard {
    let unless = config.never_retry_if_header.iter();
    let unless = unless.map(|name| format!("unless-header:{name}"));
    let words: Vec<_> = config.retry_on.iter().cloned().chain(unless).collect();
    let retry_on: RetryOn = words.join(",").parse().unwrap();
    let policy = Standard::new(retry_on)
        .reuse_tried(config.same_host_ok)
        .retry_after(retry_after(config))
        .non_idempotent(match config.non_idempotent {
            NonIdempotent::Never => policy::NonIdempotent::Never,
            NonIdempotent::Reused => policy::NonIdempotent::Reused,
            NonIdempotent::Always => policy::NonIdempotent::Always,
        });
    let policy = match config.backoff_base_ms {
        Some(base) => {
            let max = config.backoff_max_ms.unwrap_or(10 * base);
            policy.backoff(Backoff::new(ms(base), ms(max)).unwrap())
        }
        None => {
            let delay = ms(config.backoff_ms);
            policy.backoff(move || iter::repeat(delay))
        }
    };
    if config.prefer_other_host {
        policy
    } else {
        policy.retries_per_peer(u32::MAX)
    }
}

fn retry_after(config: &Config) -> RetryAfter {
    match (config.honor_retry_after, config.retry_after_max_ms) {
        (true, Some(longest)) => RetryAfter::up_to(ms(longest)).or_backoff(),
        (true, None) => RetryAfter::default(),
        (false, _) => RetryAfter::IGNORED,
    }
}

fn budget(config: &Config) -> Option<Budget> {
    let initial = config.budget_allows.or(config.budget_balance);
    if initial.is_none() && config.budget_ratio.is_none() {
        return None;
    }
    let per_second = config.budget_min_per_sec.unwrap_or(0).try_into().unwrap();
    let budget = Budget::new(config.budget_ratio.unwrap_or(0.0), per_second).unwrap();
    let budget = budget
        .starting_with(initial.unwrap_or(0).try_into().unwrap())
        .unwrap();
    Some(match config.per_request_budget_fraction {
        Some(share) => budget.per_request(share).unwrap(),
        None => budget,
    })
}

/// The limit that a case gives its one request, if it does.
pub(crate) fn own_limit(case: &Case) -> Option<MaxAttempts> {
    let tries = case.config.per_request_max_tries?;
    Some(MaxAttempts(tries.try_into().unwrap()))
}

pub(crate) fn pool(case: &Case) -> PoolOptions {
    match case.config.connect_timeout_ms {
        Some(timeout) => PoolOptions::new().connect_timeout(ms(timeout)),
        None => PoolOptions::new(),
    }
}

/// When an upstream is left out, in the words of nginx and Caddy, HAProxy, or Envoy.
pub(crate) fn breaker(case: &Case) -> Breaker {
    let config = &case.config;
    let breaker = Breaker::new();
    let all = |breaker: Breaker| breaker.statuses("500-599".parse().unwrap()).successes(1);
    if let (Some(most), Some(timeout)) = (config.max_fails, config.fail_timeout_ms) {
        return all(breaker)
            .failures(0)
            .failures_within(most.try_into().unwrap(), ms(timeout))
            .open_for(ms(timeout));
    }
    if let Some(limit) = config.error_limit {
        return all(breaker).failures(limit.try_into().unwrap());
    }
    let Some(in_a_row) = config.outlier_consecutive_5xx else {
        return breaker;
    };
    let period = config.outlier_base_ejection_ms.unwrap_or(30_000);
    all(breaker)
        .failures(in_a_row.try_into().unwrap())
        .open_for(ms(period))
}

/// The largest share of the upstreams that may be left out at once. The only one may be where nothing says otherwise:
/// nginx, Caddy and HAProxy know no such bound.
pub(crate) fn most_ejected(case: &Case) -> f64 {
    let percent = case.config.outlier_max_ejection_percent;
    percent.map_or(1.0, |percent| percent / 100.0)
}
