//! What a request costs a proxy, from end to end: programs on loopback, each as its users run it, beside nginx, HAProxy, Envoy and
//! Pingora.
//!
//! ```text
//! cargo build --release --example proxy
//! cargo bench --bench e2e -- scenarios               # S1 to S7; --help tells how to run some of them
//! cargo bench --bench e2e -- growth --svg growth.svg # how costs grow; --quick takes a few minutes
//! cargo bench --bench e2e -- stream                  # 1 GiB up and down: is memory constant?
//! ```
//!
//! Without arguments it only says this, so that a plain `cargo bench` does not take an hour.
//!
//! # What is needed
//!
//! Linux, two cores, `wrk`, and `taskset` and `prlimit` (util-linux); `strace` for `--syscalls`. Nothing else should run: the proxy has the
//! first core of those that this process may use, and everything else has the second.
//!
//! The systems are these. One whose program is not found is left out, and a line says so.
//!
//! | | what it is | program |
//! |---|---|---|
//! | `bare` | hyper's server and hyper-util's client, round robin; streams, and repeats nothing | this one |
//! | `ours` | the example proxy: three attempts, no retry budget, and no health | `target/release/examples/proxy` |
//! | `armed` | the same with everything on: budget, breaker and all time limits; where nothing fails | the same |
//! | `retry` | hyper's server, `tower::retry` and hyper-util's client; collects every request body first | this one |
//! | `nginx` | `proxy_next_upstream`, and a buffer that holds the body | `NGINX`, or `nginx` on the path |
//! | `haproxy` | `retry-on`, and for POST a buffer that holds the body | `HAPROXY`, or on the path |
//! | `envoy` | `retry_policy` | `ENVOY`, or on the path |
//! | `pingora` | a load balancer as in its guide | `PINGORA`, or as it is built below |
//!
//! Pingora needs cmake, and is not part of the crate's own build:
//!
//! ```text
//! cargo build --release --locked --manifest-path benches/e2e/pingora/Cargo.toml
//! ```
//!
//! All of them make three attempts at most, keep connections alive, and do not track health.
//!
//! # Scenarios
//!
//! Three upstreams, 64 connections that are kept, one thread or worker. A healthy upstream answers 200 with 1 KiB; all read request
//! bodies to their end first.
//!
//! | | request | the third upstream |
//! |---|---|---|
//! | S1 | GET | is healthy |
//! | S2 | GET | refuses connections |
//! | S3 | GET | always answers 503 |
//! | S4 | POST of 16 KiB | is healthy |
//! | S5 | POST of 16 KiB | refuses connections |
//! | S6 | GET | accepts, then closes |
//! | S7 | POST of 16 KiB | always answers 503 |
//!
//! All systems of a scenario are up at once. After a warm-up each has a short burst of load in every round, and each round begins with another
//! one, so that a machine that becomes slower does so for all of them. A burst during which something else had the proxy's core for more than
//! 3 % of the time is repeated, three times at most.
//!
//! # What the columns mean
//!
//! | | |
//! |---|---|
//! | CPU us | time on the core of the proxy's whole process tree, divided by the requests that were answered; the median of the bursts |
//! | to bare, to nginx | the ratio of that to the other's within the same round: the median of the rounds, and their quartiles |
//! | req/s | answers a second, the median. The load is on one core as well, and may be what limits it |
//! | p50, p99 | the time to an answer, as `wrk` saw it, in milliseconds, medians |
//! | failed | of all requests, those that the clients saw fail: with another status than 2xx, or by their connection |
//! | conn/req | connections that the upstreams accepted, for each request |
//! | peak MiB | resident memory of the process tree at its highest, from the start on |
//!
//! Time on the core is read from `schedstat`, in nanoseconds; where threads ended meanwhile, or the two differ, from `stat`, in hundredths
//! of a second, and a line says so. With `--syscalls` there is a table of system calls for each request: `strace` makes all slower, and only
//! the counts are meant.
//!
//! # Growth
//!
//! From 64 connections, three healthy upstreams, 1 KiB answers and GET, one of these changes: connections, upstreams (names on one port), the size
//! of the response or of the request, the attempts that are needed (ours alone: so many upstreams less one answer 503 first), and threads (the load is
//! then on the same cores). Counted are a few seconds in the middle of the load, by what the upstreams have answered; of bodies
//! from 1 MiB on, a part counts as a part. nginx does not spool them to files, and neither system can repeat a request whose body has outgrown its
//! buffer. Each point has its own processes, so that peak MiB is its own. Where fewer files may be open than 10,000 connections need, there are fewer,
//! and a line says so: `ulimit -Hn` tells, and 31,000 are enough.
//!
//! # Stream
//!
//! One body at a time through the example proxy, looked at every 50 ms, which must not need more resident memory for more of it: not
//! 1 MiB more once the first 8 MiB have passed. Otherwise the program fails.

mod cores;
mod growth;
mod measuring;
mod process;
mod roles;
mod scenarios;
mod statistics;
mod stream;
mod systems;
mod table;

use std::{error::Error, process::ExitCode};

use clap::{CommandFactory, Parser, Subcommand};

use self::roles::Role;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Measures the example proxy beside others, from end to end.
#[derive(Parser, Debug)]
#[command(
    name = "cargo bench --bench e2e --",
    after_help = "What is needed, and what the figures mean, stands at the top of benches/e2e/main.rs."
)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// What a request costs: three upstreams, one of which may fail
    Scenarios(scenarios::Options),
    /// How costs grow with connections, upstreams, bodies, attempts and threads
    Growth(growth::Options),
    /// Whether memory is constant while a large body streams
    Stream(stream::Options),
    #[command(flatten)]
    Role(Role),
}

fn main() -> ExitCode {
    // Cargo adds this one.
    let given = std::env::args_os().filter(|argument| argument != "--bench");
    let done = match Arguments::parse_from(given).command {
        None => Arguments::command().print_help().map_err(Into::into),
        Some(Command::Scenarios(options)) => scenarios::run(&options),
        Some(Command::Growth(options)) => growth::run(&options),
        Some(Command::Stream(options)) => stream::run(&options),
        Some(Command::Role(role)) => role.play(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
