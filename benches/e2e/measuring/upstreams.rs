//! The scripted upstreams: a process of this program, which tells what it has counted when it is asked.

use std::{
    io::{BufRead, BufReader, Write},
    net::SocketAddr,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use crate::{Result, roles::Behaviour};

/// Running upstreams; dropping this ends them.
#[derive(Debug)]
pub(crate) struct Upstreams {
    pub(crate) addrs: Vec<SocketAddr>,
    child: Child,
    // They end when it does.
    stdin: Option<ChildStdin>,
    stdout: BufReader<ChildStdout>,
}

/// What upstreams have counted.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    /// Requests whose body was read to its end.
    pub(crate) requests: f64,
    /// Connections that were accepted.
    pub(crate) connections: f64,
    /// Bytes of request bodies.
    pub(crate) received: f64,
    /// Bytes of response bodies that were taken from them.
    pub(crate) sent: f64,
}

impl Upstreams {
    /// One of each, where the load is.
    pub(crate) fn start(behaviours: &[Behaviour]) -> Result<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .arg("upstreams")
            .args(behaviours.iter().map(ToString::to_string))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let stdin = child.stdin.take();
        let stdout = child.stdout.take().ok_or("no output of the upstreams")?;
        let mut upstreams = Self {
            addrs: Vec::new(),
            child,
            stdin,
            stdout: BufReader::new(stdout),
        };
        let line = upstreams.line()?;
        let addrs = line.split_whitespace().map(str::parse);
        upstreams.addrs = addrs.collect::<std::result::Result<_, _>>()?;
        Ok(upstreams)
    }

    /// What each has counted until now.
    pub(crate) fn each(&mut self) -> Result<Vec<Counts>> {
        let ask = self.stdin.as_mut().ok_or("the upstreams were ended")?;
        ask.write_all(b"\n")?;
        let line = self.line()?;
        let numbers = line.split_whitespace().map(str::parse);
        let numbers: Vec<f64> = numbers.collect::<std::result::Result<_, _>>()?;
        let counts = numbers.chunks_exact(4).map(|counts| Counts {
            requests: counts[0],
            connections: counts[1],
            received: counts[2],
            sent: counts[3],
        });
        Ok(counts.collect())
    }

    /// What all of them have counted until now.
    pub(crate) fn all(&mut self) -> Result<Counts> {
        let add = |sum: Counts, one: Counts| sum.map(one, |a, b| a + b);
        Ok(self.each()?.into_iter().fold(Counts::default(), add))
    }

    fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        match self.stdout.read_line(&mut line)? {
            0 => Err("the upstreams have ended".into()),
            _ => Ok(line),
        }
    }
}

impl Drop for Upstreams {
    fn drop(&mut self) {
        self.stdin = None;
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Counts {
    /// What was counted since then.
    pub(crate) fn since(self, before: Self) -> Self {
        self.map(before, |now, then| now - then)
    }

    fn map(self, other: Self, with: impl Fn(f64, f64) -> f64) -> Self {
        Self {
            requests: with(self.requests, other.requests),
            connections: with(self.connections, other.connections),
            received: with(self.received, other.received),
            sent: with(self.sent, other.sent),
        }
    }
}
