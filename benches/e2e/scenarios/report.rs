//! A scenario's table.

use super::{burst::Burst, scenario::Scenario};
use crate::{
    measuring::Clock,
    statistics::{median, quantile},
    table::{Table, failed},
};

/// What came of one system.
#[derive(Debug)]
pub(super) struct Measured {
    pub(super) name: &'static str,
    pub(super) bursts: Vec<Burst>,
    /// In MiB.
    pub(super) peak_memory: f64,
}

pub(super) fn print(scenario: &Scenario, measured: &[Measured]) {
    println!("\n{}: {}", scenario.name, scenario.tells);
    let bases =
        ["bare", "nginx"].map(|name| measured.iter().find(|measured| measured.name == name));
    let mut table = Table::new([
        "", "CPU us", "to bare", "to nginx", "req/s", "p50", "p99", "failed", "conn/req",
        "peak MiB",
    ]);
    for system in measured {
        let of = |value: fn(&Burst) -> f64| median(system.bursts.iter().map(value));
        let [to_bare, to_nginx] =
            bases.map(|base| base.map_or_else(String::new, |base| ratio(system, base)));
        table.row([
            system.name.to_owned(),
            format!("{:.2}", of(|burst| burst.cpu)),
            to_bare,
            to_nginx,
            format!("{:.0}", of(|burst| burst.outcome.per_second)),
            format!("{:.2}", of(|burst| burst.outcome.p50.as_secs_f64() * 1e3)),
            format!("{:.2}", of(|burst| burst.outcome.p99.as_secs_f64() * 1e3)),
            failed(
                sum(system, |burst| burst.outcome.failures),
                sum(system, |burst| burst.outcome.all),
            ),
            format!("{:.3}", of(|burst| burst.connections)),
            format!("{:.1}", system.peak_memory),
        ]);
    }
    table.print();
    notes(measured);
}

/// The ratio of two systems' costs in the same round: the median, and the quartiles.
fn ratio(system: &Measured, base: &Measured) -> String {
    let pairs = system.bursts.iter().zip(&base.bursts);
    let ratios: Vec<f64> = pairs.map(|(own, base)| own.cpu / base.cpu).collect();
    let [low, middle, high] = [0.25, 0.5, 0.75].map(|share| quantile(&ratios, share));
    format!("{middle:.2} ({low:.2}..{high:.2})")
}

fn sum(system: &Measured, value: fn(&Burst) -> f64) -> f64 {
    system.bursts.iter().map(value).sum()
}

/// What makes the figures less sure.
fn notes(measured: &[Measured]) {
    let note = |text: &str, count: fn(&Burst) -> u32| {
        let counted = measured.iter().filter_map(|system| {
            let count: u32 = system.bursts.iter().map(count).sum();
            (count > 0).then(|| format!("{} {count}", system.name))
        });
        let counted: Vec<String> = counted.collect();
        if !counted.is_empty() {
            println!("  bursts {text}: {}", counted.join(", "));
        }
    };
    note(
        "repeated because something else was on the proxy's core",
        |burst| burst.repeats,
    );
    note("disturbed all the same", |burst| {
        u32::from(burst.is_disturbed())
    });
    note("measured in hundredths of a second", |burst| {
        u32::from(burst.clock == Clock::Processes)
    });
}
