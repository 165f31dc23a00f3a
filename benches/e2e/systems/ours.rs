//! Ours: the `proxy` example.

use std::{ffi::OsString, net::SocketAddr, path::PathBuf};

use super::{Order, Setup, System, TakesPart, arguments};

/// With retries alone.
pub(super) const OURS: System = System {
    name: "ours",
    program,
    version: None,
    arguments: |setup, listen, _| {
        Ok(with(
            setup,
            listen,
            &["--budget", "off", "--eject-after", "0"],
        ))
    },
    takes_part: TakesPart::Everywhere,
};

/// With everything that a user may turn on. Budget and breaker are on by default.
pub(super) const ARMED: System = System {
    name: "armed",
    arguments: |setup, listen, _| {
        let limits = [
            ["--timeout", "30s"],
            ["--per-try-timeout", "10s"],
            ["--connect-timeout", "1s"],
        ];
        Ok(with(setup, listen, limits.as_flattened()))
    },
    takes_part: TakesPart::WhereNothingFails,
    ..OURS
};

fn with(setup: &Setup<'_>, listen: SocketAddr, more: &[&str]) -> Vec<OsString> {
    let (listen, threads) = (listen.to_string(), setup.threads.to_string());
    let attempts = setup.attempts.to_string();
    let order = match setup.order {
        Order::InTurn => "round-robin",
        Order::AsGiven => "in-order",
    };
    let settings = [
        ["--listen", &listen],
        ["--threads", &threads],
        ["--balance", order],
        ["--max-attempts", &attempts],
        ["--retry-on", "connect-failure,reset,503"],
        ["--non-idempotent", "always"],
    ];
    let mut all = arguments(settings.as_flattened().iter().chain(more).copied());
    for upstream in setup.upstreams {
        all.push("--upstream".into());
        all.push(format!("http://{upstream}").into());
    }
    all
}

/// The example that was built beside this program.
fn program() -> Result<PathBuf, String> {
    let mut path = std::env::current_exe().map_err(|error| error.to_string())?;
    path.pop();
    path.pop();
    path.push("examples/proxy");
    if path.is_file() {
        Ok(path)
    } else {
        Err("first: cargo build --release --example proxy".into())
    }
}
