//! A reverse proxy whose clients do not notice that an upstream is dead, resets, or answers 503.
//!
//! Without arguments it starts three upstreams of its own, one of which is well:
//!
//! ```text
//! cargo run --example proxy
//! ```
//!
//! With `--upstream` it stands before real ones; `--help` lists the rest.

mod admin;
mod args;
mod demo;
mod ending;
mod peers;
mod server;
mod settings;
mod timer;

use std::{error::Error, io, net::SocketAddr, num::NonZeroUsize, process::ExitCode};

use clap::{CommandFactory, Parser, error::ErrorKind};
use hyper::body::Incoming;
use tokio::{
    net::TcpListener,
    runtime::{Builder, Runtime},
    task::JoinSet,
};
use tower::ServiceBuilder;
use tower_failover::{
    Failover, ReplayBody,
    balance::Balance,
    gateway::{Gateway, GatewayLayer},
    policy::Standard,
    trail::Directly,
    upstream::Upstream,
};

use self::{
    args::{Args, UpstreamArg},
    demo::Demo,
};

type Peers = Balance<Upstream<ReplayBody<Incoming>>>;
type Proxy = Gateway<Failover<Peers, Standard, Directly>>;

fn main() -> ExitCode {
    let args = Args::parse();
    let served = match runtime(args.threads) {
        Ok(runtime) => runtime.block_on(run(args)),
        Err(error) => Err(error.into()),
    };
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// A runtime of so many threads, or of one for each core.
fn runtime(threads: Option<NonZeroUsize>) -> io::Result<Runtime> {
    let mut runtime = match threads.map(NonZeroUsize::get) {
        // Nothing is handed between threads.
        Some(1) => Builder::new_current_thread(),
        Some(threads) => {
            let mut runtime = Builder::new_multi_thread();
            runtime.worker_threads(threads);
            runtime
        }
        None => Builder::new_multi_thread(),
    };
    runtime.enable_all().build()
}

async fn run(mut args: Args) -> Result<(), Box<dyn Error>> {
    let embedded = args.upstream.is_empty() && args.backup.is_empty();
    let shown = if embedded {
        "warn,tower_failover=debug"
    } else {
        "warn"
    };
    let filter = std::env::var("RUST_LOG").unwrap_or_else(|_| shown.to_owned());
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .init();

    let demo = if embedded {
        let demo = Demo::start().await?;
        args.upstream = demo.urls().into_iter().map(UpstreamArg::new).collect();
        Some(demo)
    } else {
        None
    };
    let (peers, proxy) = proxy(&args).unwrap_or_else(|wrong| {
        let mut command = Args::command();
        command.error(ErrorKind::ValueValidation, wrong).exit()
    });
    let (listener, listen) = bind(args.listen).await?;
    // What runs beside the proxy ends with it.
    let mut beside = JoinSet::new();
    if let Some(check) = peers::check(&args.health)? {
        beside.spawn(peers.health_check(check));
    }
    let admin = match args.admin {
        Some(addr) => {
            let (listener, admin) = bind(addr).await?;
            beside.spawn(admin::serve(listener, peers));
            Some(admin)
        }
        None => None,
    };
    println!("listening on http://{listen}");
    if let Some(admin) = admin {
        println!("admin on http://{admin}");
    }
    if let Some(demo) = &demo {
        demo.explain(listen);
    }
    server::serve(listener, proxy).await;
    Ok(())
}

async fn bind(addr: SocketAddr) -> Result<(TcpListener, SocketAddr), Box<dyn Error>> {
    let listener = TcpListener::bind(addr)
        .await
        .map_err(|error| format!("cannot listen on {addr}: {error}"))?;
    let bound = listener.local_addr()?;
    Ok((listener, bound))
}

/// The whole of it: a gateway over failover over the balanced upstreams.
fn proxy(args: &Args) -> Result<(Peers, Proxy), Box<dyn Error>> {
    let peers = peers::balanced(args)?;
    let mut gateway = GatewayLayer::new();
    if let Some(name) = &args.proxy_status {
        gateway = gateway.proxy_status(name)?;
    }
    if let Some(header) = &args.attempts_header {
        gateway = gateway.attempts_header(header.clone())?;
    }
    let proxy = ServiceBuilder::new()
        .layer(gateway)
        .layer(settings::failover(args)?.directly())
        .service(peers.clone());
    Ok((peers, proxy))
}
