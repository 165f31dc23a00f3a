//! What HAProxy does otherwise.

use super::{
    Differ::{Attempts, Race, Said},
    Known,
};
use crate::{
    lines::{Line, STAY},
    outcome::Got::Status,
    scenarios::{Bad, Scenario},
};

pub(super) const KNOWN: &[Known] = &[
    Known {
        reason: "where no connection was made HAProxy says 503; here it is 502, as nginx has it",
        covers: |line, on| on.behaviour == "refuse" && !leaves(line, on),
        differ: Said(Status(503), Status(502)),
    },
    Known {
        reason: "where none was made in time HAProxy says 503; here it is 504, as nginx has it",
        covers: |line, on| on.behaviour == "blackhole" && !leaves(line, on),
        differ: Said(Status(503), Status(504)),
    },
    Known {
        reason: "without `option redispatch` HAProxy goes back to the same server; here an \
                 untried upstream comes first",
        covers: |line, on| line.more.is_empty() && leaves(line, on),
        differ: Attempts([4, 0], [1, 1]),
    },
    Known {
        reason: "the same, when that one is no better",
        covers: |line, on| line.more.is_empty() && on.bad == Bad::Both && again(line, on),
        differ: Attempts([4, 0], [2, 2]),
    },
    Known {
        reason: "a race of ours: a connection that is closed before the request is written is \
                 none, so that `conn-failure` goes to another upstream; to HAProxy it is an empty \
                 response",
        covers: |line, on| on.behaviour == "accept_close" && line.says("conn-failure"),
        differ: Race(Some(false)),
    },
];

fn retries(line: &Line, on: &Scenario) -> bool {
    let word = match on.behaviour {
        "refuse" | "blackhole" => "conn-failure",
        // Since 2.8 it is `junk-response`.
        "partial_headers" => "empty-response",
        "accept_close"
        | "read_close"
        | "reset_after_headers_read"
        | "h2 refused_stream"
        | "h2 internal_error" => "empty-response",
        "garbage" | "status:200;no field=1" => "junk-response",
        "hang" => "response-timeout",
        "status:503" | "status:503;x-envoy-ratelimited=true" => "503",
        "status:500" => "all-retryable-errors",
        _ => return false,
    };
    line.says(word) || line.says("all-retryable-errors")
}

/// Whether a retry of ours finds the good upstream.
fn leaves(line: &Line, on: &Scenario) -> bool {
    on.bad == Bad::First && retries(line, on) && line.more != STAY
}

/// Whether there is a second attempt, and the upstreams see them all.
fn again(line: &Line, on: &Scenario) -> bool {
    let race = on.behaviour == "accept_close" && tells_apart(line);
    retries(line, on) && on.sees(0) && !race
}

/// Whether a failed connection and an empty response are two things.
fn tells_apart(line: &Line) -> bool {
    line.says("conn-failure") || line.says("empty-response")
}
