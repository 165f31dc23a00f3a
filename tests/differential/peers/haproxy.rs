//! HAProxy: a backend for each pair.
//!
//! Round robin in a fresh process with one thread begins with the first server; without `check` a server
//! is never down.

use std::fmt::Write;

use super::{Peer, Route, Task, host, process::arguments};
use crate::lines::{Line, Times};

pub(super) const HAPROXY: Peer = Peer {
    name: "haproxy",
    variable: "HAPROXY",
    file: "haproxy.cfg",
    version: "-v",
    configuration,
    arguments: |file| arguments(["-db".as_ref(), "-f".as_ref(), file.as_ref()]),
    // The retries, with a sign before them if another server was taken.
    attempts: |response| {
        let retries = response.header("x-retries")?.trim_start_matches('+');
        Some(retries.parse::<usize>().ok()? + 1)
    },
};

fn configuration(task: &Task<'_>) -> String {
    let Task { line, listen, .. } = task;
    let Line {
        text: words, more, ..
    } = line;
    let Times { connect, head } = line.times;
    let mut text = format!(
        "global
            nbthread 1
        defaults
            mode http
            timeout client 20s
            timeout connect {connect}ms
            timeout server {head}ms
        frontend all
            bind {listen}
            use_backend %[req.hdr(host)]
        "
    );
    for (index, route) in task.routes.iter().enumerate() {
        let host = host(index);
        let Route {
            upstreams: [first, second],
            http2,
        } = route;
        let spoken = if *http2 { "proto h2" } else { "" };
        let _ = writeln!(
            text,
            "backend {host}
            balance roundrobin
            retry-on {words}
            {more}
            http-after-response set-header x-retries %rc
            server u1 {first} {spoken}
            server u2 {second} {spoken}"
        );
    }
    text
}
