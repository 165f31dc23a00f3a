//! What Envoy does otherwise.

use super::{
    Differ::{Race, Said},
    Known,
};
use crate::{
    lines::Line,
    outcome::Got::Status,
    scenarios::{Bad, Scenario},
};

pub(super) const KNOWN: &[Known] = &[
    Known {
        reason: "where an upstream ends without a response (no connection, closed, reset) Envoy \
                 says 503; here it is 502, as nginx has it",
        covers: |line, on| {
            let ends = matches!(
                on.behaviour,
                "refuse"
                    | "accept_close"
                    | "read_close"
                    | "reset_after_headers_read"
                    | "h2 refused_stream"
                    | "h2 internal_error"
            );
            ends && !leaves(line, on) && !races(line, on)
        },
        differ: Said(Status(503), Status(502)),
    },
    Known {
        reason: "where no connection was made in time Envoy says 503; here it is 504, as nginx \
                 has it",
        covers: |line, on| on.behaviour == "blackhole" && !leaves(line, on),
        differ: Said(Status(503), Status(504)),
    },
    Known {
        reason: "a race of ours: a connection that is closed before the request is written is \
                 none, so that `connect-failure` goes to another upstream; to Envoy it is a reset",
        covers: races,
        differ: Race(Some(false)),
    },
];

/// Whether a retry finds the good upstream after an end without a response.
fn leaves(line: &Line, on: &Scenario) -> bool {
    let any = ["5xx", "gateway-error", "reset"];
    let retries = match on.behaviour {
        "refuse" | "blackhole" => line.says("connect-failure"),
        "h2 refused_stream" => line.says("refused-stream"),
        _ => false,
    };
    on.bad == Bad::First && (retries || any.into_iter().any(|word| line.says(word)))
}

fn races(line: &Line, on: &Scenario) -> bool {
    on.behaviour == "accept_close" && line.says("connect-failure")
}
