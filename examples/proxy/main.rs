//! A reverse proxy whose clients do not notice that an upstream is dead, resets, or answers 503.
//!
//! Without arguments it starts three upstreams of its own, one of which is well:
//!
//! ```text
//! cargo run --example proxy
//! ```
//!
//! With `--upstream` it stands before real ones; `--help` lists the rest.

mod args;
mod demo;
mod server;
mod settings;

use std::{error::Error, process::ExitCode};

use clap::{CommandFactory, Parser, error::ErrorKind};
use hyper::body::Incoming;
use tokio::net::TcpListener;
use tower::ServiceBuilder;
use tower_failover::{
    Failover, ReplayBody,
    balance::{Balance, Endpoint, InOrder, RoundRobin},
    gateway::{Gateway, GatewayLayer},
    policy::Standard,
    upstream::{Pool, PoolOptions, Upstream},
};

use self::{
    args::{Args, Strategy},
    demo::Demo,
};

type Peers = Balance<Upstream<ReplayBody<Incoming>>>;
type Proxy = Gateway<Failover<Peers, Standard>>;

#[tokio::main]
async fn main() -> ExitCode {
    match run(Args::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
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
        args.upstream = demo.urls();
        Some(demo)
    } else {
        None
    };
    let proxy = proxy(&args).unwrap_or_else(|wrong| {
        let mut command = Args::command();
        command.error(ErrorKind::ValueValidation, wrong).exit()
    });
    let listener = TcpListener::bind(args.listen)
        .await
        .map_err(|error| format!("cannot listen on {}: {error}", args.listen))?;
    let listen = listener.local_addr()?;
    println!("listening on http://{listen}");
    if let Some(demo) = &demo {
        demo.explain(listen);
    }
    server::serve(listener, proxy).await;
    Ok(())
}

/// The whole of it: a gateway over failover over the balanced upstreams.
fn proxy(args: &Args) -> Result<Proxy, Box<dyn Error>> {
    let pool: Pool<_> = PoolOptions::new()
        .connect_timeout(args.connect_timeout)
        .http2(args.http2)
        .build();
    let mut endpoints = Vec::new();
    for url in &args.upstream {
        endpoints.push(Endpoint::from(pool.upstream(url)?));
    }
    for url in &args.backup {
        endpoints.push(Endpoint::from(pool.upstream(url)?).backup());
    }
    let peers = Balance::new(endpoints).eject(args.eject_after, args.eject_for);
    let peers = match args.balance {
        Strategy::InOrder => peers.pick(InOrder),
        Strategy::RoundRobin => peers.pick(RoundRobin::default()),
    };
    let mut gateway = GatewayLayer::new();
    if let Some(name) = &args.proxy_status {
        gateway = gateway.proxy_status(name)?;
    }
    if let Some(header) = &args.attempts_header {
        gateway = gateway.attempts_header(header.clone())?;
    }
    Ok(ServiceBuilder::new()
        .layer(gateway)
        .layer(settings::failover(args)?)
        .service(peers))
}
