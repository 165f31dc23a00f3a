//! wrk: the load.

use std::{
    net::SocketAddr,
    process::{Child, Command, Stdio},
    time::Duration,
};

use crate::{Result, process::Dir};

/// Adds up what wrk knows in one line, in the order of [`Outcome`].
const DONE: &str = r#"
function done(summary, latency)
    local errors = summary.errors
    print("measured", summary.requests, errors.status,
        errors.connect + errors.read + errors.write + errors.timeout,
        summary.duration, latency:percentile(50), latency:percentile(99))
end
"#;

/// Requests over connections that are kept.
#[derive(Debug)]
pub(crate) struct Load {
    /// What the requests are and what is told of them: a script of wrk's.
    dir: Dir,
    connections: u64,
}

/// What the clients saw.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Outcome {
    /// Requests that were answered, with whatever status.
    pub(crate) requests: f64,
    /// Statuses that are not 2xx, and connections that failed.
    pub(crate) failures: f64,
    /// The answers, and the connections that failed.
    pub(crate) all: f64,
    pub(crate) per_second: f64,
    pub(crate) p50: Duration,
    pub(crate) p99: Duration,
}

/// A load that goes on.
#[derive(Debug)]
pub(crate) struct Running(Child);

impl Load {
    /// GETs, or POSTs of a body of so many bytes if there are any.
    pub(crate) fn new(connections: u64, body: u64) -> Result<Self> {
        let dir = Dir::new("wrk")?;
        let request = match body {
            0 => String::new(),
            body => format!("wrk.method = \"POST\"\nwrk.body = string.rep(\"x\", {body})\n"),
        };
        dir.file("wrk.lua", &(request + DONE))?;
        Ok(Self { dir, connections })
    }

    /// Starts it towards this address, for so many seconds.
    pub(crate) fn start(&self, addr: SocketAddr, seconds: u64) -> Result<Running> {
        let child = Command::new("wrk")
            // Below its 2 s a large body is no failure.
            .args(["--threads", "1", "--latency", "--timeout", "60s"])
            .args(["--connections", &self.connections.to_string()])
            .args(["--duration", &format!("{seconds}s")])
            .arg("--script")
            .arg(self.dir.path().join("wrk.lua"))
            .arg(format!("http://{addr}/a/path?and=query"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| format!("wrk is needed on the path: {error}"))?;
        Ok(Running(child))
    }

    pub(crate) fn run(&self, addr: SocketAddr, seconds: u64) -> Result<Outcome> {
        self.start(addr, seconds)?.outcome()
    }
}

impl Running {
    /// Waits until it ends.
    pub(crate) fn outcome(self) -> Result<Outcome> {
        let output = self.0.wait_with_output()?;
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said);
        let line = said.lines().find_map(|line| line.strip_prefix("measured"));
        let numbers = line.unwrap_or_default().split_whitespace();
        let numbers: Vec<f64> = numbers.map_while(|number| number.parse().ok()).collect();
        let &[requests, statuses, sockets, us, p50, p99] = numbers.as_slice() else {
            return Err(format!("wrk: {}", said.trim()).into());
        };
        Ok(Outcome {
            requests,
            failures: statuses + sockets,
            all: requests + sockets,
            per_second: requests / us * 1e6,
            p50: Duration::from_secs_f64(p50 / 1e6),
            p99: Duration::from_secs_f64(p99 / 1e6),
        })
    }
}
