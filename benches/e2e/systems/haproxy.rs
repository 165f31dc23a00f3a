//! HAProxy, without health checks: a server is never down.

use std::{fmt::Write, net::SocketAddr};

use super::{Body, Setup, System, TakesPart, arguments};
use crate::process::installed;

pub(super) const HAPROXY: System = System {
    name: "haproxy",
    program: || installed("HAPROXY", "haproxy"),
    version: Some("-v"),
    arguments: |setup, listen, dir| {
        let file = dir.file("haproxy.cfg", &configuration(setup, listen))?;
        let mut all = arguments(["-db", "-f"]);
        all.push(file.into());
        Ok(all)
    },
    takes_part: TakesPart::Everywhere,
};

fn configuration(setup: &Setup<'_>, listen: SocketAddr) -> String {
    // A request is sent again only if it fits one buffer whole, and 16 KiB have 16 KiB of room for head and body.
    let buffer = match setup.body {
        Body::Held => "tune.bufsize 65536",
        Body::None | Body::Streamed => "",
    };
    let mut text = format!(
        "global
            nbthread {threads}
            maxconn {connections}
            {buffer}
        defaults
            mode http
            timeout client 60s
            timeout connect 1s
            timeout server 30s
            retries {retries}
            option redispatch 1
            retry-on conn-failure empty-response 503
        frontend clients
            bind {listen}
            default_backend all
        backend all
            balance roundrobin
        ",
        threads = setup.threads,
        // In proportion to it, few idle connections would be kept.
        connections = 4096.max(2 * setup.connections),
        retries = setup.attempts.saturating_sub(1),
    );
    for (number, upstream) in setup.upstreams.iter().enumerate() {
        let _ = writeln!(text, "    server u{number} {upstream}");
    }
    text
}
