//! What choosing a peer costs: a call of a service that answers at once, over 3, 100 and 10,000 peers, for each
//! strategy, beside `tower::balance::p2c` with and without the `Buffer` that it needs to be cloned.
//!
//! ```text
//! cargo bench --bench balance
//! ```

use std::convert::Infallible;

use bytes::Bytes;
use criterion::{BatchSize, BenchmarkId, Criterion};
use futures_util::FutureExt;
use http::{HeaderName, Request, Response};
use http_body_util::Empty;
use tokio::runtime::Runtime;
use tower::{
    BoxError, Service, ServiceExt,
    balance::p2c,
    buffer::Buffer,
    discover::ServiceList,
    load::{CompleteOnResponse, PeakEwmaDiscover, PendingRequestsDiscover},
    service_fn,
};
use tower_failover::balance::{
    Balance, ConsistentHash, Endpoint, InOrder, LeastLoaded, Pick, Random, RoundRobin,
};

type Body = Empty<Bytes>;

fn request() -> Request<Body> {
    Request::get("/path")
        .header("x-key", fastrand::u32(..))
        .body(Body::new())
        .unwrap()
}

async fn answer(_: Request<Body>) -> Result<Response<Body>, Infallible> {
    Ok(Response::new(Body::new()))
}

/// Calls of a service that is ready at once, and answers at once.
fn measure<S>(c: &mut Criterion, name: &str, peers: usize, mut service: S)
where
    S: Service<Request<Body>>,
{
    let mut group = c.benchmark_group(name);
    group.bench_function(BenchmarkId::from_parameter(peers), |bencher| {
        bencher.iter_batched(
            request,
            |request| {
                let ready = service.ready().now_or_never();
                let Some(Ok(ready)) = ready else {
                    panic!("not ready at once");
                };
                assert!(
                    ready.call(request).now_or_never().is_some(),
                    "no answer at once"
                );
            },
            BatchSize::SmallInput,
        );
    });
}

/// Calls of a service that has a task of its own.
fn measure_waiting<S>(
    c: &mut Criterion,
    name: &str,
    peers: usize,
    runtime: &Runtime,
    mut service: S,
) where
    S: Service<Request<Body>, Error = BoxError>,
{
    let mut group = c.benchmark_group(name);
    group.bench_function(BenchmarkId::from_parameter(peers), |bencher| {
        bencher.iter_batched(
            request,
            |request| {
                runtime
                    .block_on(async { service.ready().await.unwrap().call(request).await.is_ok() })
            },
            BatchSize::SmallInput,
        );
    });
}

type Strategy = Box<dyn Fn() -> Box<dyn Pick>>;

fn strategies() -> [(&'static str, Strategy); 7] {
    let by_key = || ConsistentHash::header(HeaderName::from_static("x-key"));
    [
        ("in order", Box::new(|| Box::new(InOrder))),
        ("round robin", Box::new(|| Box::new(RoundRobin))),
        ("random", Box::new(|| Box::new(Random))),
        ("least loaded", Box::new(|| Box::new(LeastLoaded))),
        ("consistent hash", Box::new(move || Box::new(by_key()))),
        (
            "consistent hash, bounded",
            Box::new(move || Box::new(by_key().bounded_load(1.25).unwrap())),
        ),
        (
            "closure",
            Box::new(|| {
                Box::new(|candidates: &tower_failover::balance::Candidates<'_>| {
                    candidates.get(0).map(|_| 0)
                })
            }),
        ),
    ]
}

/// A strategy that is chosen when the program runs.
struct Chosen(Box<dyn Pick>);

impl Pick for Chosen {
    fn pick(&self, candidates: &tower_failover::balance::Candidates<'_>) -> Option<usize> {
        self.0.pick(candidates)
    }

    fn needs_latency(&self) -> bool {
        self.0.needs_latency()
    }
}

fn balance(c: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let _entered = runtime.enter();
    measure(c, "bare service", 1, service_fn(answer));
    for peers in [3, 100, 10_000] {
        let services = || (0..peers).map(|_| service_fn(answer));
        let endpoints =
            || (0..peers).map(|n| Endpoint::new(format!("http://10.0.0.{n}"), service_fn(answer)));
        for (name, pick) in strategies() {
            let name = format!("Balance, {name}");
            measure(
                c,
                &name,
                peers,
                Balance::new(endpoints()).pick(Chosen(pick())),
            );
        }
        let pending = || {
            let found = ServiceList::new(services().collect::<Vec<_>>());
            p2c::Balance::new(PendingRequestsDiscover::new(
                found,
                CompleteOnResponse::default(),
            ))
        };
        let peak = || {
            let found = ServiceList::new(services().collect::<Vec<_>>());
            let (default, decay) = (std::time::Duration::from_millis(1), 10e9);
            p2c::Balance::new(PeakEwmaDiscover::new(
                found,
                default,
                std::time::Duration::from_nanos(decay as u64),
                CompleteOnResponse::default(),
            ))
        };
        // The first time it makes all endpoints ready.
        let mut warm = pending();
        runtime
            .block_on(async { warm.ready().await.map(|_| ()) })
            .unwrap();
        measure(c, "p2c, pending requests", peers, warm);
        let mut warm = peak();
        runtime
            .block_on(async { warm.ready().await.map(|_| ()) })
            .unwrap();
        measure(c, "p2c, peak ewma", peers, warm);
        let buffered = Buffer::new(pending(), 64);
        measure_waiting(c, "p2c in a buffer", peers, &runtime, buffered);
        let ours = Balance::new(endpoints()).pick(LeastLoaded);
        measure_waiting(
            c,
            "Balance, least loaded, in the same runtime",
            peers,
            &runtime,
            ours,
        );
    }
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    balance(&mut criterion);
    criterion.final_summary();
}
