//! One thing that is changed, and what comes of it.

use super::point::{Cost, Effort, Point};
use crate::{
    Result,
    cores::Cores,
    systems::{Found, Order},
    table::{Table, failed, number},
};

#[derive(Debug)]
pub(super) struct Sweep {
    name: &'static str,
    unit: Unit,
    values: &'static [u64],
    /// Puts a value in its place.
    set: fn(&mut Point, u64),
    /// The files that a proxy has open for each.
    files: u64,
    /// The only system that can do it, unless all can.
    only: Option<&'static str>,
}

/// How a value is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unit {
    Number,
    Bytes,
}

/// What has come of a sweep.
#[derive(Debug)]
pub(super) struct Grown {
    pub(super) name: &'static str,
    /// The values, as they are written.
    pub(super) labels: Vec<String>,
    pub(super) lines: Vec<Line>,
}

/// A system's costs, one for each value.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) system: &'static str,
    pub(super) costs: Vec<Cost>,
}

const SIZES: &[u64] = &[0, 1 << 10, 1 << 16, 1 << 20, 1 << 24, 1 << 26];

static SWEEPS: [Sweep; 6] = [
    Sweep {
        name: "connections",
        unit: Unit::Number,
        values: &[64, 256, 1000, 4000, 10_000],
        set: |point, value| point.connections = value,
        // The client's, the upstream's, and one more that was opened while another became idle.
        files: 3,
        only: None,
    },
    Sweep {
        name: "upstreams",
        unit: Unit::Number,
        values: &[3, 10, 100, 1000, 10_000],
        set: |point, value| point.upstreams = value,
        files: 1,
        only: None,
    },
    Sweep {
        name: "response",
        unit: Unit::Bytes,
        values: SIZES,
        set: |point, value| point.response = value,
        files: 0,
        only: None,
    },
    Sweep {
        name: "request",
        unit: Unit::Bytes,
        values: SIZES,
        set: |point, value| point.request = value,
        files: 0,
        only: None,
    },
    Sweep {
        name: "attempts",
        unit: Unit::Number,
        values: &[1, 2, 3, 4, 5],
        set: |point, value| {
            point.attempts = value;
            point.order = Order::AsGiven;
        },
        files: 0,
        only: Some("ours"),
    },
    Sweep {
        name: "threads",
        unit: Unit::Number,
        values: &[1, 2],
        set: |point, value| point.threads = value,
        files: 0,
        only: None,
    },
];

/// Those that are named, or all.
pub(super) fn chosen(names: &[String]) -> impl Iterator<Item = &'static Sweep> + '_ {
    let named = |sweep: &&Sweep| names.iter().any(|name| name == sweep.name);
    SWEEPS
        .iter()
        .filter(move |sweep| names.is_empty() || named(sweep))
}

/// The name of a sweep.
pub(super) fn name(name: &str) -> std::result::Result<String, String> {
    let known: Vec<&str> = SWEEPS.iter().map(|sweep| sweep.name).collect();
    match known.contains(&name) {
        true => Ok(name.to_owned()),
        false => Err(format!("one of {}", known.join(", "))),
    }
}

impl Sweep {
    pub(super) fn run(&self, found: &[Found], effort: &Effort, cores: Cores) -> Result<Grown> {
        println!("\n{}", self.name);
        let able = |found: &&Found| self.only.is_none_or(|only| found.system.name == only);
        let found: Vec<&Found> = found.iter().filter(able).collect();
        let mut grown = Grown {
            name: self.name,
            labels: Vec::new(),
            lines: Vec::new(),
        };
        for found in &found {
            grown.lines.push(Line {
                system: found.system.name,
                costs: Vec::new(),
            });
        }
        for &value in self.values {
            let most = effort.most(self.files);
            if value > most {
                println!("  {most} instead of {value}: no more files may be open");
            }
            let value = value.min(most);
            let mut point = Point::default();
            (self.set)(&mut point, value);
            grown.labels.push(self.unit.written(value));
            for (line, cost) in grown
                .lines
                .iter_mut()
                .zip(point.measure(&found, effort, cores)?)
            {
                line.costs.push(cost);
            }
        }
        Ok(grown)
    }
}

impl Grown {
    pub(super) fn print(&self) {
        let columns = ["", "req/s", "CPU us", "peak MiB", "failed"];
        let mut table = Table::new(columns);
        for Line { system, costs } in &self.lines {
            for (label, cost) in self.labels.iter().zip(costs) {
                table.row([
                    format!("{system} {label}"),
                    number(cost.per_second),
                    number(cost.cpu),
                    format!("{:.1}", cost.peak_memory),
                    failed(cost.failures, cost.all),
                ]);
            }
        }
        table.print();
    }
}

impl Unit {
    fn written(self, value: u64) -> String {
        match (self, value) {
            (Self::Bytes, 1024..0x10_0000) => format!("{}K", value >> 10),
            (Self::Bytes, 0x10_0000..) => format!("{}M", value >> 20),
            _ => value.to_string(),
        }
    }
}
