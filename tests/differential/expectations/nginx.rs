//! What nginx does otherwise.

use super::{
    Differ::{OnlyOurs, Race, Said},
    Known,
};
use crate::{
    lines::Line,
    outcome::Got::{NotHttp, Status},
    scenarios::{Method, Scenario},
};

pub(super) const KNOWN: &[Known] = &[
    Known {
        reason: "nginx takes whatever does not begin with a status line for an answer of HTTP/0.9, \
                 and relays it; here it is junk, and a 502",
        covers: |line, on| on.behaviour == "garbage" && !retries_junk(line, on),
        differ: Said(NotHttp, Status(502)),
    },
    Known {
        reason: "the same under `invalid_header`, which there is about header fields alone; here \
                 junk goes to another upstream",
        covers: |line, on| on.behaviour == "garbage" && retries_junk(line, on),
        differ: OnlyOurs,
    },
    Known {
        reason: "a race, on both sides: when a connection is closed before the request is \
                 written, nothing was sent, and even POST goes to another upstream",
        covers: |line, on| {
            let once_sent = line.says("error") && !line.says("non_idempotent");
            on.behaviour == "accept_close" && on.method == Method::Post && once_sent
        },
        differ: Race(None),
    },
];

fn retries_junk(line: &Line, on: &Scenario) -> bool {
    line.says("invalid_header") && on.method == Method::Get
}
