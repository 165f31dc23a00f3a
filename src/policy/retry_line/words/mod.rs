//! The words of each proxy, and what they add to a list of ours.

pub(super) mod envoy;
pub(super) mod haproxy;
pub(super) mod nginx;

use super::super::RetryOn;

/// A word, and what it adds to a list of ours.
pub(super) type Word = (&'static str, fn(RetryOn) -> RetryOn);

/// The first proxy that has this word.
pub(super) fn whose(word: &str) -> Option<&'static str> {
    let proxies = [
        (nginx::NAME, nginx::WORDS),
        (haproxy::NAME, haproxy::WORDS),
        (envoy::NAME, envoy::WORDS),
        (envoy::NAME, envoy::GRPC_WORDS),
    ];
    let has = |words: &[Word]| words.iter().any(|(known, _)| *known == word);
    let found = proxies.into_iter().find(|(_, words)| has(words));
    found.map(|(proxy, _)| proxy)
}
