//! The proxy's command line.

mod balance;
mod retry;
mod strategy;
mod upstream;
mod value;

use std::{net::SocketAddr, num::NonZeroUsize, time::Duration};

use clap::Parser;
use http::HeaderName;

use self::value::duration;
pub(crate) use self::{
    balance::{Choice, Health},
    retry::{Conditions, Limits},
    strategy::Strategy,
    upstream::UpstreamArg,
    value::{Limit, Share},
};

/// A reverse proxy that fails over.
#[derive(Parser, Debug)]
#[command(
    name = "proxy",
    version,
    after_help = "Durations are written as in `500ms`, `2s` or `1m 30s`, shares as in `0.5`.\n\
        An upstream's options follow its URL, in quotes for the shell's sake: `http://host:port;weight=2;zone=eu`. They \
        are weight=1..256, its share of the traffic in proportion to others; tier=N, of which 0 is used first; and zone=NAME. A \
        `;` of the URL's own is written `%3B`.\n\
        RUST_LOG sets what is logged, for example `tower_failover=debug`: every failed attempt."
)]
pub(crate) struct Args {
    /// Where to listen; port 0 picks one
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8080")]
    pub(crate) listen: SocketAddr,

    /// Where to show how the upstreams are, as JSON: their addresses and failures, to anybody who can reach it.
    /// Give it an address that is not public, such as `127.0.0.1:8081`; port 0 picks one
    #[arg(long, value_name = "ADDR")]
    pub(crate) admin: Option<SocketAddr>,

    /// How many threads serve; with 1, the main one does, and no other [default: one for each core]
    #[arg(long, value_name = "N")]
    pub(crate) threads: Option<NonZeroUsize>,

    /// An upstream's base URL, and its options (repeatable)
    #[arg(long, value_name = "URL[;OPTION=VALUE..]")]
    pub(crate) upstream: Vec<UpstreamArg>,

    /// An upstream that is used when no other is left: of tier 1, if it does not say another (repeatable)
    #[arg(long, value_name = "URL[;OPTION=VALUE..]")]
    pub(crate) backup: Vec<UpstreamArg>,

    /// The time to connect to an upstream
    #[arg(long, value_name = "D", default_value = "5s", value_parser = duration)]
    pub(crate) connect_timeout: Duration,

    /// Speak HTTP/2 with the upstreams, by prior knowledge
    #[arg(long)]
    pub(crate) http2: bool,

    /// Append `Proxy-Status` under this name to the proxy's own error responses
    #[arg(long, value_name = "NAME")]
    pub(crate) proxy_status: Option<String>,

    /// Tell the client in this header how many attempts were made
    #[arg(long, value_name = "HEADER")]
    pub(crate) attempts_header: Option<HeaderName>,

    #[command(flatten, next_help_heading = "Which upstream is chosen")]
    pub(crate) choice: Choice,

    #[command(flatten, next_help_heading = "Which upstream is left out")]
    pub(crate) health: Health,

    #[command(flatten, next_help_heading = "What is tried again")]
    pub(crate) conditions: Conditions,

    #[command(flatten, next_help_heading = "Within which limits")]
    pub(crate) limits: Limits,
}
