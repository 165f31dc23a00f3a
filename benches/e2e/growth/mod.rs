//! How costs grow: with one thing at a time.

mod chart;
mod point;
mod sweep;

use std::path::PathBuf;

use clap::Args;

use self::{point::Effort, sweep::Grown};
use crate::{
    Result,
    cores::{self, Cores},
    systems,
};

#[derive(Args, Debug)]
pub(crate) struct Options {
    /// Draw what was measured, too
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,

    /// One second for each point instead of three times two: rough
    #[arg(long)]
    quick: bool,

    /// What is changed, comma separated: connections, upstreams, response, request, attempts, threads [default: all]
    #[arg(long, value_name = "LIST", value_delimiter = ',', value_parser = sweep::name)]
    only: Vec<String>,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let cores = Cores::divide()?;
    let found = systems::find(&["bare", "ours", "nginx"].map(String::from))?;
    let effort = Effort {
        open_files: cores::open_files()?,
        bursts: if options.quick { 1 } else { 3 },
        seconds: if options.quick { 1 } else { 2 },
    };
    let mut all: Vec<Grown> = Vec::new();
    for sweep in sweep::chosen(&options.only) {
        let grown = sweep.run(&found, &effort, cores)?;
        grown.print();
        all.push(grown);
    }
    if let Some(file) = &options.svg {
        chart::draw(file, &all)?;
        println!("\n{}", file.display());
    }
    Ok(())
}
