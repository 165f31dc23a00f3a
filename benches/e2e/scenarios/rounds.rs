//! Bursts in turn, so that a machine that becomes slower does so for every system alike.

use super::{
    Options,
    burst::Burst,
    report,
    scenario::{CONNECTIONS, Scenario},
    syscalls,
};
use crate::{
    Result,
    cores::Cores,
    measuring::{Load, peak_memory},
    systems::{Found, Running},
};

/// The bursts of one system, one for each round.
/// Runs a scenario with all systems that take part, and prints what has come out.
pub(super) fn run(
    scenario: &Scenario,
    found: &[Found],
    options: &Options,
    cores: Cores,
) -> Result<()> {
    let mut upstreams = scenario.upstreams()?;
    let load = Load::new(CONNECTIONS, scenario.body)?;
    let mut proxies: Vec<Running> = Vec::new();
    for found in found.iter().filter(|found| scenario.has(found)) {
        match found.start(&scenario.setup(&upstreams), cores) {
            Ok(proxy) => proxies.push(proxy),
            Err(error) => println!("{} goes without {error}", scenario.name),
        }
    }
    for proxy in &proxies {
        load.run(proxy.addr, options.seconds)?;
    }
    let mut bursts: Vec<Vec<Burst>> = proxies.iter().map(|_| Vec::new()).collect();
    for round in 0..options.reps as usize {
        for turn in 0..proxies.len() {
            let index = (round + turn) % proxies.len();
            let proxy = &proxies[index];
            let burst = Burst::measure(proxy, &load, options.seconds, &mut upstreams, cores)?;
            bursts[index].push(burst);
        }
    }
    let mut measured = Vec::new();
    for (proxy, bursts) in proxies.iter().zip(bursts) {
        measured.push(report::Measured {
            name: proxy.name,
            bursts,
            peak_memory: peak_memory(proxy.pid())?,
        });
    }
    report::print(scenario, &measured);
    if options.syscalls {
        syscalls::print(&proxies, &load, options.seconds)?;
    }
    Ok(())
}
