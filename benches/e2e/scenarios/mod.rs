//! What a request costs, where nothing fails and where something does.

mod burst;
mod report;
mod rounds;
mod scenario;
mod syscalls;

use clap::Args;

use self::scenario::Scenario;
use crate::{Result, cores::Cores, systems};

#[derive(Args, Debug)]
pub(crate) struct Options {
    /// Those of S1 to S7 that are run, comma separated [default: all]
    #[arg(long, value_name = "LIST", value_delimiter = ',', value_parser = Scenario::named)]
    only: Vec<&'static Scenario>,

    /// The systems that are compared, comma separated: bare, ours, armed, retry, nginx, haproxy, envoy, pingora
    /// [default: all that are there]
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    systems: Vec<String>,

    /// How many bursts each system has; below 5 there is nothing to tell
    #[arg(long, value_name = "N", default_value_t = 9, value_parser = clap::value_parser!(u64).range(5..))]
    reps: u64,

    /// How long a burst is
    #[arg(long, value_name = "SECONDS", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    seconds: u64,

    /// Count the system calls of bare, ours and nginx as well
    #[arg(long)]
    syscalls: bool,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let cores = Cores::divide()?;
    let found = systems::find(&options.systems)?;
    for scenario in scenario::chosen(&options.only) {
        rounds::run(scenario, &found, options, cores)?;
    }
    Ok(())
}
