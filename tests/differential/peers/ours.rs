//! Ours: the `proxy` example, a process for each pair of upstreams.

use std::{net::SocketAddr, path::PathBuf, process::Stdio, time::Duration};

use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
    time::timeout,
};

use super::Route;
use crate::{
    client::Response,
    lines::{Dialect, Flags, Line},
};

const PATIENCE: Duration = Duration::from_secs(20);

/// A running example; dropping it kills it.
#[derive(Debug)]
pub(crate) struct Ours {
    pub(crate) addr: SocketAddr,
    _child: Child,
}

impl Ours {
    pub(crate) async fn start(dialect: Dialect, line: &Line, route: Route) -> Self {
        let mut command = Command::new(binary());
        let [connect, head] = [line.times.connect, line.times.head].map(|ms| format!("{ms}ms"));
        command
            .args(["--listen", "127.0.0.1:0"])
            .args(["--balance", "in-order", "--eject-after", "0"])
            .args(["--budget", "off", "--timeout", "10s"])
            .args(["--connect-timeout", &connect, "--per-try-timeout", &head])
            .args(["--attempts-header", "x-attempts"]);
        for upstream in route.upstreams {
            command.args(["--upstream", &format!("http://{upstream}")]);
        }
        if route.http2 {
            command.arg("--http2");
        }
        let flag = match dialect {
            Dialect::Nginx => "--proxy-next-upstream",
            Dialect::Haproxy => "--haproxy-retry-on",
            Dialect::Envoy => "--envoy-retry-on",
        };
        match line.flags {
            Flags::LineAnd(more) => command.args([flag, line.text]).args(more),
            Flags::Instead(flags) => command.args(flags),
        };
        if dialect == Dialect::Haproxy {
            // It waits a second before it connects again, or the time to connect if that is less.
            command.args(["--backoff", &format!("{connect}..{connect}")]);
        }
        let mut child = command
            .env("RUST_LOG", "off")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap()).lines();
        let line = timeout(PATIENCE, stdout.next_line()).await.unwrap();
        let line = line.unwrap().expect("the proxy listens");
        let addr = line.strip_prefix("listening on http://").unwrap();
        Self {
            addr: addr.parse().unwrap(),
            _child: child,
        }
    }

    /// How many attempts the proxy says it has made.
    pub(crate) fn attempts(response: &Response) -> Option<usize> {
        response.header("x-attempts")?.parse().ok()
    }
}

fn binary() -> PathBuf {
    let mut path = std::env::current_exe().unwrap();
    path.pop();
    path.pop();
    path.push("examples/proxy");
    assert!(path.exists(), "first: cargo build --example proxy");
    path
}
