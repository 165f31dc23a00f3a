//! The words of a list.

use super::failures::Failures;

pub(super) const GATEWAY_ERROR: &str = "gateway-error";
pub(super) const HEADER: &str = "header";
pub(super) const UNLESS_HEADER: &str = "unless-header";
pub(super) const GRPC: &str = "grpc";

/// What stands before a colon.
pub(super) const PREFIXES: [&str; 3] = [HEADER, UNLESS_HEADER, GRPC];

pub(super) const CLASSES: [&str; 9] = [
    "1xx", "2xx", "3xx", "4xx", "5xx", "6xx", "7xx", "8xx", "9xx",
];

/// The words that stand alone.
pub(super) fn words() -> impl Iterator<Item = &'static str> {
    let failures = Failures::WORDS.into_iter().map(|(word, _)| word);
    failures.chain([GATEWAY_ERROR])
}
