//! Real nginx, HAProxy and Envoy beside the `proxy` example, each with the same retry line in its own
//! words and before the same scripted upstreams: what the client gets, and how many attempts are made at
//! which upstream.
//!
//! It is run by hand, and takes a minute and a half:
//!
//! ```text
//! cargo build --example proxy
//! cargo test --test differential -- --ignored --nocapture
//! ```
//!
//! The peers are looked for in `PATH`, or are where `NGINX`, `HAPROXY` and `ENVOY` say; one that is missing
//! is left out. It fails on a difference that is not [explained](expectations), and on an explained one that
//! is gone.
//!
//! Attempts are counted by the upstreams. Those at one that refuses, or lets nobody connect, are counted
//! by the proxy: nginx names the addresses, HAProxy its retries, Envoy and ours the attempts.

mod client;
mod expectations;
mod http2;
mod lines;
mod outcome;
mod peers;
mod scenarios;
#[path = "../support"]
mod support {
    pub(crate) mod scripted;
}
mod table;

use std::path::Path;

use futures_util::{StreamExt, stream};
use tokio::sync::Mutex;

use self::{
    client::send,
    lines::{Dialect, Line},
    outcome::Outcome,
    peers::{Peer, Route, host, ours::Ours},
    scenarios::{Scenario, Upstream},
    table::{Row, Table},
};

/// How many requests are under way at once: more would make the upstreams late on a small machine.
const AT_ONCE: usize = 8;

#[tokio::test]
#[ignore = "needs nginx, and `cargo build --example proxy`"]
async fn nginx() {
    compare(Dialect::Nginx).await;
}

#[tokio::test]
#[ignore = "needs HAProxy, and `cargo build --example proxy`"]
async fn haproxy() {
    compare(Dialect::Haproxy).await;
}

#[tokio::test]
#[ignore = "needs Envoy, and `cargo build --example proxy`"]
async fn envoy() {
    compare(Dialect::Envoy).await;
}

async fn compare(dialect: Dialect) {
    static TURN: Mutex<()> = Mutex::const_new(());
    // One after another, as above.
    let _turn = TURN.lock().await;
    let peer = Peer::of(dialect);
    let binary = peer.binary();
    let scenarios = scenarios::of(dialect);
    let version = match &binary {
        Some(binary) => Some(peer.version(binary).await),
        None => None,
    };
    let mut table = Table::new(peer.name, version, expectations::of(dialect));
    for line in dialect.lines() {
        let theirs = match &binary {
            Some(binary) => theirs(peer, binary, line, &scenarios).await,
            None => vec![None; scenarios.len()],
        };
        let ours = ours(dialect, line, &scenarios).await;
        for ((scenario, theirs), ours) in scenarios.iter().zip(theirs).zip(ours) {
            table.push(Row {
                line,
                scenario: *scenario,
                theirs,
                ours,
            });
        }
    }
    table.print();
    table.check();
}

/// What comes of each scenario when the peer is one process for all of them.
async fn theirs(
    peer: &Peer,
    binary: &Path,
    line: &Line,
    scenarios: &[Scenario],
) -> Vec<Option<Outcome>> {
    let upstreams = stream::iter(scenarios).then(Scenario::upstreams);
    let upstreams: Vec<[Upstream; 2]> = upstreams.collect().await;
    let routes: Vec<Route> = scenarios.iter().zip(&upstreams).map(route).collect();
    let peer = &peer.start(binary, line, &routes).await;
    let each = scenarios.iter().zip(&upstreams).enumerate();
    let outcomes = stream::iter(each).map(|(index, (scenario, upstreams))| async move {
        let answer = send(peer.addr, &host(index), scenario.method).await;
        let said = answer
            .response()
            .and_then(|response| peer.attempts(response));
        Some(Outcome::new(scenario, &answer, said, upstreams))
    });
    outcomes.buffered(AT_ONCE).collect().await
}

/// What comes of each when ours is a process for every one.
async fn ours(dialect: Dialect, line: &Line, scenarios: &[Scenario]) -> Vec<Outcome> {
    let outcomes = stream::iter(scenarios).map(|scenario| async move {
        let upstreams = scenario.upstreams().await;
        let ours = Ours::start(dialect, line, route((scenario, &upstreams))).await;
        let answer = send(ours.addr, "client.test", scenario.method).await;
        let said = answer.response().and_then(Ours::attempts);
        Outcome::new(scenario, &answer, said, &upstreams)
    });
    outcomes.buffered(AT_ONCE).collect().await
}

fn route((scenario, upstreams): (&Scenario, &[Upstream; 2])) -> Route {
    Route {
        upstreams: upstreams.each_ref().map(Upstream::addr),
        http2: scenario.is_http2(),
    }
}
