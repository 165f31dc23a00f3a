//! `bare` and `retry`: this program, as a proxy.

use std::{ffi::OsString, net::SocketAddr};

use super::{Setup, System, TakesPart};

pub(super) const BARE: System = System {
    name: "bare",
    program: || std::env::current_exe().map_err(|error| error.to_string()),
    version: None,
    arguments: |setup, listen, _| Ok(arguments("bare", setup, listen)),
    takes_part: TakesPart::Everywhere,
};

pub(super) const RETRY: System = System {
    name: "retry",
    arguments: |setup, listen, _| Ok(arguments("retry", setup, listen)),
    ..BARE
};

fn arguments(role: &str, setup: &Setup<'_>, listen: SocketAddr) -> Vec<OsString> {
    let (listen, threads) = (listen.to_string(), setup.threads.to_string());
    let mut all = super::arguments([role, "--listen", &listen, "--threads", &threads]);
    all.extend(setup.upstreams.iter().map(|addr| addr.to_string().into()));
    all
}
