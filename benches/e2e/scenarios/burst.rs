//! A short time of load towards one proxy, and what it has cost.

use crate::{
    Result,
    cores::Cores,
    measuring::{Account, Clock, Load, Outcome, Upstreams, stolen},
    systems::Running,
};

/// The share of a burst that others may have the proxy's core: about what two measurements differ by anyway.
const TOLERATED: f64 = 0.03;

/// How often a burst is repeated that others have disturbed.
const REPEATS: u32 = 3;

#[derive(Clone, Copy, Debug)]
pub(super) struct Burst {
    /// Time on a core for each request, in microseconds.
    pub(super) cpu: f64,
    pub(super) outcome: Outcome,
    /// Connections that the upstreams accepted, for each request.
    pub(super) connections: f64,
    pub(super) clock: Clock,
    /// How often it was repeated.
    pub(super) repeats: u32,
    /// The share of it that others had the proxy's core.
    lost: f64,
}

impl Burst {
    /// Loads a proxy, again where something else was on its core; it is the least disturbed one that counts.
    pub(super) fn measure(
        proxy: &Running,
        load: &Load,
        seconds: u64,
        upstreams: &mut Upstreams,
        cores: Cores,
    ) -> Result<Self> {
        let mut best = Self::once(proxy, load, seconds, upstreams, cores)?;
        for repeats in 1..=REPEATS {
            if !best.is_disturbed() {
                break;
            }
            let again = Self::once(proxy, load, seconds, upstreams, cores)?;
            if again.lost < best.lost {
                best = again;
            }
            best.repeats = repeats;
        }
        Ok(best)
    }

    /// Whether others had the core for too long each time.
    pub(super) fn is_disturbed(&self) -> bool {
        self.lost > TOLERATED
    }

    fn once(
        proxy: &Running,
        load: &Load,
        seconds: u64,
        upstreams: &mut Upstreams,
        cores: Cores,
    ) -> Result<Self> {
        let stolen_before = stolen(cores.proxy)?;
        let counts_before = upstreams.all()?;
        let before = Account::of(proxy.pid())?;
        let outcome = load.run(proxy.addr, seconds)?;
        let spent = Account::of(proxy.pid())?.since(&before);
        let counts = upstreams.all()?.since(counts_before);
        let lost = spent.waited + stolen(cores.proxy)?.saturating_sub(stolen_before);
        if outcome.requests == 0.0 {
            return Err(format!("{} has answered nothing", proxy.name).into());
        }
        Ok(Self {
            cpu: spent.cpu.as_secs_f64() * 1e6 / outcome.requests,
            connections: counts.connections / outcome.requests,
            outcome,
            clock: spent.clock,
            repeats: 0,
            lost: lost.as_secs_f64() / seconds as f64,
        })
    }
}
