//! One failure and one response of every sort, for tables of what a list means.

use http::{Response, response};

use super::RetryOn;
use crate::failure::{Evidence, Failure, FailureKind as Kind, Stage};

fn failures() -> Vec<(&'static str, Failure)> {
    use Stage::{MaybeProcessed, NotSent, Refused};
    let failure = |stage, kind| Failure::new(Evidence { stage, kind }, None);
    vec![
        ("refused", failure(NotSent, Kind::Connect)),
        ("connect-timeout", failure(NotSent, Kind::ConnectTimeout)),
        ("certificate", failure(NotSent, Kind::Certificate)),
        ("handed-back", failure(NotSent, Kind::Reset)),
        ("overloaded", failure(NotSent, Kind::Overload)),
        ("no-peer", failure(NotSent, Kind::NoPeer)),
        ("unsendable", failure(NotSent, Kind::Request)),
        ("waited", failure(NotSent, Kind::Timeout)),
        ("junk-unsent", failure(NotSent, Kind::Junk)),
        ("refused-stream", failure(Refused, Kind::RefusedStream)),
        ("goaway", failure(MaybeProcessed, Kind::RefusedStream)),
        (
            "reset",
            failure(MaybeProcessed, Kind::Reset).on_connection(Some(false)),
        ),
        (
            "reset-reused",
            failure(MaybeProcessed, Kind::Reset).on_connection(Some(true)),
        ),
        ("junk", failure(MaybeProcessed, Kind::Junk)),
        ("timeout", failure(MaybeProcessed, Kind::Timeout)),
        ("deadline", failure(MaybeProcessed, Kind::Deadline)),
        ("body", failure(MaybeProcessed, Kind::RequestBody)),
        ("refused-unproved", failure(MaybeProcessed, Kind::Connect)),
        (
            "connect-timeout-unproved",
            failure(MaybeProcessed, Kind::ConnectTimeout),
        ),
        ("other", failure(MaybeProcessed, Kind::Other)),
    ]
}

/// The failures after which `list` tries again.
pub(in crate::policy) fn failures_tried(list: &RetryOn) -> String {
    let mut failures = failures();
    failures.retain(|(_, failure)| list.matches_failure(failure));
    failures
        .iter()
        .map(|(name, _)| *name)
        .collect::<Vec<_>>()
        .join(" ")
}

/// [`failures_tried`] of a list's text.
pub(super) fn failures_that_meet(list: &str) -> String {
    failures_tried(&list.parse().unwrap())
}

pub(in crate::policy) fn response(status: u16, headers: &[(&str, &str)]) -> response::Parts {
    let head = Response::builder().status(status);
    let head = headers
        .iter()
        .fold(head, |head, (name, value)| head.header(*name, *value));
    head.body(()).unwrap().into_parts().0
}

/// The statuses that `list` tries again, as ranges.
pub(in crate::policy) fn statuses_tried(list: &RetryOn) -> String {
    let tried = (100..=999).filter(|status| list.matches_response(&response(*status, &[])));
    let statuses = tried.fold(super::Statuses::none(), |set, status| {
        set.with_range(status..=status)
    });
    statuses.to_string()
}

/// The gRPC statuses that `list` tries again.
pub(in crate::policy) fn grpc_tried(list: &RetryOn) -> String {
    let tried = (0..=20)
        .map(|code| code.to_string())
        .filter(|code| list.matches_response(&response(200, &[("grpc-status", code)])));
    tried.collect::<Vec<_>>().join(" ")
}
