//! Whether memory is constant while a large body streams through the example proxy.

mod client;
mod watch;

use std::sync::{Arc, atomic::AtomicU64};

use clap::Args;

use self::{client::Transfer, watch::Watch};
use crate::{
    Result,
    cores::Cores,
    measuring::Upstreams,
    roles::{self, Behaviour},
    systems::{self, Body, Found, Order, Setup},
    table::Table,
};

const MIB: u64 = 1 << 20;

/// How many MiB the memory may grow by, once the first ones have passed.
const ALLOWED: f64 = 1.0;

#[derive(Args, Debug)]
pub(crate) struct Options {
    /// The size of each body
    #[arg(long, value_name = "MIB", default_value_t = 1024, value_parser = clap::value_parser!(u64).range(64..))]
    mib: u64,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let cores = Cores::divide()?;
    let found = systems::find(&["ours".to_owned()])?;
    let Some(ours) = found.first() else {
        return Ok(());
    };
    let bytes = options.mib * MIB;
    let mut table = Table::new([
        "",
        "MiB/s",
        "before",
        "after 8 MiB",
        "at most",
        "peak",
        "grown by",
        "grown after 8 MiB",
    ]);
    let mut grown = Vec::new();
    for transfer in Transfer::ALL {
        let watch = stream(transfer, bytes, ours, cores)?;
        let after = watch.most - watch.level;
        table.row([
            transfer.name().to_owned(),
            format!("{:.0}", options.mib as f64 / watch.elapsed.as_secs_f64()),
            format!("{:.2}", watch.before),
            format!("{:.2}", watch.level),
            format!("{:.2}", watch.most),
            format!("{:.2}", watch.peak),
            format!("{:.2}", watch.peak - watch.before),
            format!("{after:.2}"),
        ]);
        if after > ALLOWED {
            grown.push(transfer.name());
        }
    }
    println!("\nresident MiB while {} MiB pass", options.mib);
    table.print();
    if grown.is_empty() {
        return Ok(());
    }
    Err(format!("memory has grown: {}", grown.join(", ")).into())
}

/// Sends one body through a proxy of its own.
fn stream(transfer: Transfer, bytes: u64, ours: &Found, cores: Cores) -> Result<Watch> {
    let [small, large] = [1024, bytes].map(Behaviour::Healthy);
    let answers = if transfer == Transfer::Down {
        large
    } else {
        small
    };
    let mut upstreams = Upstreams::start(&[answers])?;
    let proxy = ours.start(
        &Setup {
            upstreams: &upstreams.addrs,
            connections: 1,
            body: Body::Streamed,
            threads: 1,
            order: Order::InTurn,
            attempts: 3,
        },
        cores,
    )?;
    let passed = Arc::<AtomicU64>::default();
    let watch = Watch::during(proxy.pid(), &passed, || {
        let runtime = roles::one_thread()?;
        runtime.block_on(client::send(transfer, bytes, proxy.addr, &passed))
    })?;
    let counts = upstreams.all()?;
    let arrived = match transfer {
        Transfer::Down => counts.sent,
        Transfer::Up | Transfer::UpChunked => counts.received,
    };
    if arrived != bytes as f64 {
        let name = transfer.name();
        return Err(format!("{name}: {arrived} bytes of {bytes} at the upstream").into());
    }
    Ok(watch)
}
