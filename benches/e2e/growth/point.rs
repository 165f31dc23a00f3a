//! One point of a chart: processes of its own, and a few seconds in the middle of a load.

use std::{
    net::{Ipv4Addr, SocketAddr},
    thread::sleep,
    time::{Duration, Instant},
};

use crate::{
    Result,
    cores::Cores,
    measuring::{Account, Counts, Load, Outcome, Upstreams, peak_memory},
    roles::Behaviour,
    statistics::median,
    systems::{Body, Found, Order, Running, Setup},
};

/// From this size of a body on, a part of a request counts as a part.
const LARGE: u64 = 1 << 20;

/// From this size on, nginx does not hold a body.
const HELD: u64 = (1 << 16) + 1;

/// What is asked of a proxy.
#[derive(Clone, Copy, Debug)]
pub(super) struct Point {
    pub(super) connections: u64,
    pub(super) upstreams: u64,
    /// Bytes of each response's body.
    pub(super) response: u64,
    /// Bytes of each request's body; 0 is a GET.
    pub(super) request: u64,
    /// Which attempt is the first to be answered well.
    pub(super) attempts: u64,
    pub(super) order: Order,
    pub(super) threads: u64,
}

/// How long a point may take, and what it may use.
#[derive(Clone, Copy, Debug)]
pub(super) struct Effort {
    pub(super) open_files: usize,
    pub(super) bursts: usize,
    pub(super) seconds: u64,
}

/// What a point has cost a system.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cost {
    /// Requests.
    pub(super) per_second: f64,
    /// Microseconds on a core, for each request.
    pub(super) cpu: f64,
    /// In MiB.
    pub(super) peak_memory: f64,
    /// What the clients saw fail, in all bursts.
    pub(super) failures: f64,
    /// Of so many.
    pub(super) all: f64,
}

/// What was counted in one burst.
struct Burst {
    per_second: f64,
    cpu: f64,
    outcome: Outcome,
}

/// A system with upstreams that are all its own: they keep connections, and may not have more files open than it.
struct Served {
    proxy: Running,
    upstreams: Upstreams,
}

impl Default for Point {
    fn default() -> Self {
        Self {
            connections: 64,
            upstreams: 3,
            response: 1 << 10,
            request: 0,
            attempts: 1,
            order: Order::InTurn,
            threads: 1,
        }
    }
}

impl Effort {
    /// How many there may be of what takes so many files each.
    pub(super) fn most(&self, files: u64) -> u64 {
        // A few are open anyway.
        let left = (self.open_files as u64).saturating_sub(200);
        left.checked_div(files).unwrap_or(u64::MAX)
    }
}

impl Point {
    /// What it costs each of these.
    pub(super) fn measure(
        &self,
        found: &[&Found],
        effort: &Effort,
        cores: Cores,
    ) -> Result<Vec<Cost>> {
        let load = Load::new(self.connections, self.request)?;
        let mut served = Vec::new();
        for found in found {
            served.push(self.serve(found, cores)?);
        }
        let mut bursts: Vec<Vec<Burst>> = served.iter().map(|_| Vec::new()).collect();
        for round in 0..effort.bursts {
            for turn in 0..served.len() {
                let index = (round + turn) % served.len();
                bursts[index].push(self.burst(&mut served[index], &load, effort.seconds)?);
            }
        }
        let costs = served
            .iter()
            .zip(bursts)
            .map(|(Served { proxy, .. }, bursts)| {
                Ok(Cost {
                    per_second: median(bursts.iter().map(|burst| burst.per_second)),
                    cpu: median(bursts.iter().map(|burst| burst.cpu)),
                    peak_memory: peak_memory(proxy.pid())?,
                    failures: bursts.iter().map(|burst| burst.outcome.failures).sum(),
                    all: bursts.iter().map(|burst| burst.outcome.all).sum(),
                })
            });
        costs.collect()
    }

    fn serve(&self, found: &Found, cores: Cores) -> Result<Served> {
        let upstreams = self.start()?;
        let addrs = self.addrs(&upstreams);
        let setup = Setup {
            upstreams: &addrs,
            connections: self.connections,
            body: match self.request.max(self.response) {
                HELD.. => Body::Streamed,
                _ if self.request > 0 => Body::Held,
                _ => Body::None,
            },
            threads: self.threads as usize,
            order: self.order,
            attempts: self.attempts.max(3) as usize,
        };
        let proxy = found.start(&setup, cores)?;
        Ok(Served { proxy, upstreams })
    }

    /// One that is healthy, after those that are not.
    fn start(&self) -> Result<Upstreams> {
        let mut behaviours = vec![Behaviour::Unavailable(100); self.attempts as usize - 1];
        behaviours.push(Behaviour::Everywhere(self.response));
        Upstreams::start(&behaviours)
    }

    /// The healthy one has as many names as there are to be upstreams.
    fn addrs(&self, upstreams: &Upstreams) -> Vec<SocketAddr> {
        let Some((healthy, failing)) = upstreams.addrs.split_last() else {
            return Vec::new();
        };
        let first = u32::from(Ipv4Addr::new(127, 1, 0, 1));
        let names = (first..).take(self.upstreams as usize);
        let names = names.map(|name| SocketAddr::from((Ipv4Addr::from(name), healthy.port())));
        failing.iter().copied().chain(names).collect()
    }

    fn burst(
        &self,
        Served { proxy, upstreams }: &mut Served,
        load: &Load,
        seconds: u64,
    ) -> Result<Burst> {
        // Connections are made first.
        let lead = match self.connections.max(self.upstreams) {
            0..1000 => 1,
            _ => 3,
        };
        let load = load.start(proxy.addr, lead + seconds)?;
        sleep(Duration::from_secs(lead));
        let (began, before) = (Instant::now(), Account::of(proxy.pid())?);
        let counts = healthy(upstreams)?;
        // It ends before the load does.
        sleep(Duration::from_secs(seconds).mul_f64(0.9));
        let counts = healthy(upstreams)?.since(counts);
        let spent = Account::of(proxy.pid())?.since(&before);
        let elapsed = began.elapsed();
        let outcome = load.outcome()?;
        let requests = self.requests(counts);
        Ok(Burst {
            per_second: requests / elapsed.as_secs_f64(),
            cpu: spent.cpu.as_secs_f64() * 1e6 / requests,
            outcome,
        })
    }

    /// How many were answered, of large ones also in part.
    fn requests(&self, counts: Counts) -> f64 {
        let part = |bytes: f64, size: u64| bytes / size as f64;
        match (self.request, self.response) {
            (size @ LARGE.., _) => part(counts.received, size),
            (_, size @ LARGE..) => part(counts.sent, size),
            _ => counts.requests,
        }
    }
}

/// What the healthy upstream has counted.
fn healthy(upstreams: &mut Upstreams) -> Result<Counts> {
    let last = upstreams.each()?.pop();
    last.ok_or_else(|| "no upstreams".into())
}
