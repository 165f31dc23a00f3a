//! What this program is besides the one that measures: it starts itself again as these.

mod bare;
mod behaviour;
mod body;
mod forward;
mod retry;
mod upstreams;

use std::{io, num::NonZeroUsize};

use clap::Subcommand;
use tokio::runtime::{Builder, Runtime};

pub(crate) use self::{
    behaviour::Behaviour,
    body::{Length, Pattern},
};
use crate::Result;

#[derive(Subcommand, Debug)]
pub(crate) enum Role {
    /// Scripted upstreams: says their addresses, and what they have counted for each line that it reads
    #[command(hide = true)]
    Upstreams {
        /// What each of them does
        behaviours: Vec<Behaviour>,
    },
    /// A proxy that streams, and repeats nothing
    #[command(hide = true)]
    Bare(forward::Options),
    /// A proxy that collects request bodies, and repeats by `tower::retry`
    #[command(hide = true)]
    Retry(forward::Options),
}

impl Role {
    pub(crate) fn play(self) -> Result<()> {
        match self {
            Self::Upstreams { behaviours } => one_thread()?.block_on(upstreams::serve(&behaviours)),
            Self::Bare(options) => threads(options.threads)?.block_on(bare::serve(&options)),
            Self::Retry(options) => threads(options.threads)?.block_on(retry::serve(&options)),
        }
    }
}

/// A runtime whose only thread is this one.
pub(crate) fn one_thread() -> io::Result<Runtime> {
    Builder::new_current_thread().enable_all().build()
}

fn threads(threads: NonZeroUsize) -> io::Result<Runtime> {
    match threads.get() {
        1 => one_thread(),
        threads => Builder::new_multi_thread()
            .worker_threads(threads)
            .enable_all()
            .build(),
    }
}
