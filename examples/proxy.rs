//! A reverse proxy whose clients do not notice that an upstream is dead, resets, or answers 503.
//!
//! Without arguments it starts three upstreams of its own, one of which is well:
//!
//! ```text
//! cargo run --example proxy
//! ```
//!
//! With `--upstream` it stands before real ones; `--help` lists the rest.

use std::{
    convert::Infallible,
    error::Error,
    net::{IpAddr, SocketAddr},
    pin::pin,
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use clap::{CommandFactory, Parser, ValueEnum, error::ErrorKind};
use http::{HeaderName, HeaderValue, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::{
    body::{Bytes, Incoming},
    service::service_fn,
};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{conn::auto, graceful::GracefulShutdown},
};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tower::{Service, ServiceBuilder};
use tower_failover::{
    FailoverLayer, ReplayBody,
    balance::{Balance, Endpoint, InOrder, RoundRobin},
    gateway::{Gateway, GatewayLayer},
    limits::{Backoff, Budget},
    policy::{NonIdempotent, RetryOn, Standard},
    upstream::{Pool, PoolOptions, Upstream},
};

type Peers = Balance<Upstream<ReplayBody<Incoming>>>;
type Proxy = Gateway<tower_failover::Failover<Peers, Standard>>;

/// A reverse proxy that fails over.
#[derive(Parser, Debug)]
#[command(
    name = "proxy",
    version,
    after_help = "RUST_LOG sets what is logged, for example `tower_failover=debug`: every failed attempt."
)]
struct Args {
    /// Where to listen; port 0 picks one
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8080")]
    listen: SocketAddr,

    /// An upstream's base URL (repeatable)
    #[arg(long, value_name = "URL")]
    upstream: Vec<String>,

    /// An upstream that is used when no other is left (repeatable)
    #[arg(long, value_name = "URL")]
    backup: Vec<String>,

    /// How an upstream is chosen
    #[arg(long, value_enum, default_value_t = Strategy::RoundRobin)]
    balance: Strategy,

    /// What is tried again, comma separated, empty for nothing: connect-failure, connect-error,
    /// connect-timeout, refused-stream, reset, reset-reused, timeout, junk-response, gateway-error, a
    /// status (503), a class (5xx), a range (500-504), header:NAME, header:NAME=VALUE, grpc:CODE,
    /// and never unless-header:NAME, unless-header:NAME=VALUE
    #[arg(
        long,
        value_name = "LIST",
        default_value = "connect-failure,refused-stream,reset,timeout,gateway-error"
    )]
    retry_on: RetryOn,

    /// Attempts a request may take, the first included; 0: each upstream once
    #[arg(long, value_name = "N", default_value_t = 3)]
    max_attempts: u32,

    /// Use a tried upstream when no untried one is left
    #[arg(long)]
    reuse_tried: bool,

    /// Whether POST and the like are sent again although they may have been processed
    #[arg(long, value_enum, default_value_t = Repeat::Never)]
    non_idempotent: Repeat,

    /// The time until the response head, attempts and delays included; `off` for none
    #[arg(long, value_name = "D", default_value = "60s", value_parser = limit)]
    timeout: Limit,

    /// The time within which another attempt may start; `off` for none
    #[arg(long, value_name = "D", default_value = "off", value_parser = limit)]
    retry_window: Limit,

    /// The time an upstream may take for its response head; `off` for none
    #[arg(long, value_name = "D", default_value = "off", value_parser = limit)]
    per_try_timeout: Limit,

    /// The time to connect to an upstream
    #[arg(long, value_name = "D", default_value = "5s", value_parser = duration)]
    connect_timeout: Duration,

    /// The most bytes of a request body that are kept to be sent again
    #[arg(long, value_name = "BYTES", default_value_t = 1024 * 1024)]
    replay_cap: u64,

    /// The delay before an upstream that may have been tried already
    #[arg(long, value_name = "BASE..MAX", default_value = "25ms..250ms", value_parser = backoff)]
    backoff: Backoff,

    /// Retries in proportion to the requests; 10 per second come on top
    #[arg(long, value_name = "RATIO|off", default_value = "0.2", value_parser = budget)]
    budget: Share,

    /// Failures in a row after which an upstream is left out for a while; 0: never
    #[arg(long, value_name = "N", default_value_t = 5)]
    eject_after: u32,

    /// How long it is left out
    #[arg(long, value_name = "D", default_value = "30s", value_parser = duration)]
    eject_for: Duration,

    /// Speak HTTP/2 with the upstreams, by prior knowledge
    #[arg(long)]
    http2: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Strategy {
    InOrder,
    RoundRobin,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Repeat {
    Never,
    /// When a reused connection dies
    Reused,
    Always,
}

/// A time limit, or none.
#[derive(Clone, Copy, Debug)]
struct Limit(Option<Duration>);

/// The retries' share of the requests, or no bound.
#[derive(Clone, Debug)]
struct Share(Option<Budget>);

fn duration(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text)
        .map_err(|error| format!("{error}; write it as in `500ms` or `2s`"))
}

fn limit(text: &str) -> Result<Limit, String> {
    match text {
        "off" => Ok(Limit(None)),
        _ => duration(text).map(|limit| Limit(Some(limit))),
    }
}

fn backoff(text: &str) -> Result<Backoff, String> {
    let (base, max) = text
        .split_once("..")
        .ok_or("write it as in `25ms..250ms`")?;
    Backoff::new(duration(base)?, duration(max)?).map_err(|error| error.to_string())
}

fn budget(text: &str) -> Result<Share, String> {
    if text == "off" {
        return Ok(Share(None));
    }
    let ratio = text.parse().map_err(|_| "write it as in `0.2`, or `off`")?;
    let budget = Budget::new(ratio, 10).map_err(|error| error.to_string())?;
    Ok(Share(Some(budget)))
}

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
    serve(listener, proxy).await;
    Ok(())
}

/// The whole of it: a gateway over failover over the balanced upstreams.
fn proxy(args: &Args) -> Result<Proxy, tower_failover::ConfigError> {
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
    Ok(ServiceBuilder::new()
        .layer(GatewayLayer::new())
        .layer(failover(args))
        .service(peers))
}

fn failover(args: &Args) -> FailoverLayer {
    let policy = Standard::new(args.retry_on.clone())
        .reuse_tried(args.reuse_tried)
        .backoff(args.backoff)
        .non_idempotent(match args.non_idempotent {
            Repeat::Never => NonIdempotent::Never,
            Repeat::Reused => NonIdempotent::Reused,
            Repeat::Always => NonIdempotent::Always,
        });
    let mut layer = FailoverLayer::new(policy)
        .max_attempts(args.max_attempts)
        .replay_cap(args.replay_cap);
    layer = match &args.budget.0 {
        Some(budget) => layer.budget(budget.clone()),
        None => layer.without_budget(),
    };
    if let Limit(Some(limit)) = args.timeout {
        layer = layer.deadline(limit);
    }
    if let Limit(Some(limit)) = args.retry_window {
        layer = layer.retry_window(limit);
    }
    if let Limit(Some(limit)) = args.per_try_timeout {
        layer = layer.per_try_timeout(limit);
    }
    layer
}

/// Serves HTTP/1 and h2c until Ctrl-C, then finishes what is in flight.
async fn serve(listener: TcpListener, proxy: Proxy) {
    let graceful = GracefulShutdown::new();
    let mut interrupted = pin!(tokio::signal::ctrl_c());
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, client)) => connection(stream, client.ip(), proxy.clone(), &graceful),
                Err(error) => {
                    // Out of file descriptors, mostly: those in use become free in time.
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            },
            _ = &mut interrupted => break,
        }
    }
    drop(listener);
    let patience = Duration::from_secs(10);
    if tokio::time::timeout(patience, graceful.shutdown())
        .await
        .is_err()
    {
        tracing::warn!("connections were still open after {patience:?}");
    }
}

/// How long a client may take for its first byte, and for a request's head.
const HEAD_TIMEOUT: Duration = Duration::from_secs(60);

fn connection(stream: TcpStream, client: IpAddr, proxy: Proxy, graceful: &GracefulShutdown) {
    // Without it, small writes wait for the peer's delayed acknowledgements.
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |mut request: Request<Incoming>| {
        if let Ok(client) = HeaderValue::try_from(client.to_string()) {
            let name = HeaderName::from_static("x-forwarded-for");
            request.headers_mut().append(name, client);
        }
        // A gateway over a balancer is always ready.
        proxy.clone().call(request)
    });
    let mut server = auto::Builder::new(TokioExecutor::new());
    server
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT);
    server
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(Duration::from_secs(30));
    let watcher = graceful.watcher();
    tokio::spawn(async move {
        // The server's own timeouts begin when it knows which version is spoken.
        let first = tokio::time::timeout(HEAD_TIMEOUT, stream.readable()).await;
        if !matches!(first, Ok(Ok(()))) {
            return;
        }
        let connection = server.serve_connection_with_upgrades(TokioIo::new(stream), service);
        if let Err(error) = watcher.watch(connection).await {
            tracing::debug!(error, "connection ended");
        }
    });
}

/// Three upstreams, of which one is well.
struct Demo {
    healthy: SocketAddr,
    flaky: SocketAddr,
    /// Bound and not listening: it refuses, and nobody else can get its port.
    refusing: TcpSocket,
}

impl Demo {
    async fn start() -> Result<Self, Box<dyn Error>> {
        let refusing = TcpSocket::new_v4()?;
        refusing.bind(SocketAddr::from(([127, 0, 0, 1], 0)))?;
        Ok(Self {
            healthy: upstream(|_| (StatusCode::OK, "hello from the healthy upstream\n")).await?,
            flaky: upstream(|request| match request % 2 {
                0 => (StatusCode::SERVICE_UNAVAILABLE, "not now\n"),
                _ => (StatusCode::OK, "hello from the flaky upstream\n"),
            })
            .await?,
            refusing,
        })
    }

    fn urls(&self) -> Vec<String> {
        let refusing = self.refusing.local_addr().into_iter();
        let all = refusing.chain([self.flaky, self.healthy]);
        all.map(|addr| format!("http://{addr}")).collect()
    }

    fn explain(&self, listen: SocketAddr) {
        println!("upstreams:");
        let what = [
            "refuses every connection",
            "answers 503 to every other request",
            "is well",
        ];
        for (url, what) in self.urls().iter().zip(what) {
            println!("  {url}  {what}");
        }
        println!("try, several times:\n  curl -i http://{listen}/");
    }
}

/// An upstream that answers by the number of the request.
async fn upstream(answer: fn(usize) -> (StatusCode, &'static str)) -> std::io::Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let addr = listener.local_addr()?;
    tokio::spawn(async move {
        let requests = Arc::new(AtomicUsize::new(0));
        while let Ok((stream, _)) = listener.accept().await {
            let requests = Arc::clone(&requests);
            let service = service_fn(move |_: Request<Incoming>| {
                let (status, text) = answer(requests.fetch_add(1, Ordering::Relaxed));
                let mut response = Response::new(Full::new(Bytes::from_static(text.as_bytes())));
                *response.status_mut() = status;
                async { Ok::<_, Infallible>(response) }
            });
            tokio::spawn(async move {
                let server = auto::Builder::new(TokioExecutor::new());
                server.serve_connection(TokioIo::new(stream), service).await
            });
        }
    });
    Ok(addr)
}
