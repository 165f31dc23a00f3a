//! Peers that do as they are told, and the traffic that they are given.

use std::{
    io,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use bytes::Bytes;
use http::{Method, Request, Response};
use http_body_util::Full;
use tokio::{task::JoinSet, time::Instant};
use tower::{Layer, ServiceExt, service_fn, util::BoxCloneSyncService};
use tower_failover::{
    Failover, FailoverLayer, ReplayBody,
    balance::{Balance, Endpoint},
    policy::Standard,
    report::Report,
};

pub(crate) type Body = Full<Bytes>;
pub(crate) type Sent = ReplayBody<Body>;
pub(crate) type Peer = BoxCloneSyncService<Request<Sent>, Response<Body>, io::Error>;
pub(crate) type Peers = Balance<Peer>;
pub(crate) type Service = Failover<Peers, Standard>;

pub(crate) const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

pub(crate) const fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

/// What a peer does with every request.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Act {
    /// It answers with this status after this time.
    Answer(u16, Duration),
    /// It is well, and takes from so many milliseconds to so many, by chance.
    Vary(u64, u64),
    /// It refuses the connection.
    Refuse,
    /// It breaks the connection off.
    Reset,
}

impl Act {
    /// It is well, and takes 10 milliseconds.
    pub(crate) const WELL: Self = Self::Answer(200, ms(10));
}

/// A peer whose ways can be changed while there is traffic.
#[derive(Debug)]
pub(crate) struct Host {
    name: String,
    act: Mutex<Act>,
    attempts: AtomicUsize,
    in_flight: AtomicUsize,
}

impl Host {
    pub(crate) fn new(name: impl Into<String>) -> Arc<Self> {
        Arc::new(Self {
            name: name.into(),
            act: Mutex::new(Act::WELL),
            attempts: AtomicUsize::new(0),
            in_flight: AtomicUsize::new(0),
        })
    }

    /// Peers that are well.
    pub(crate) fn several(count: usize) -> Vec<Arc<Self>> {
        (0..count)
            .map(|number| Self::new(number.to_string()))
            .collect()
    }

    pub(crate) fn set(&self, act: Act) {
        *self.act.lock().unwrap() = act;
    }

    pub(crate) fn attempts(&self) -> usize {
        self.attempts.load(Relaxed)
    }

    pub(crate) fn in_flight(&self) -> usize {
        self.in_flight.load(Relaxed)
    }

    pub(crate) fn endpoint(self: &Arc<Self>) -> Endpoint<Peer> {
        let host = Arc::clone(self);
        let service = service_fn(move |_: Request<Sent>| {
            let host = Arc::clone(&host);
            async move { host.answer().await }
        });
        Endpoint::new(self.name.as_str(), Peer::new(service))
    }

    async fn answer(&self) -> io::Result<Response<Body>> {
        self.attempts.fetch_add(1, Relaxed);
        let act = *self.act.lock().unwrap();
        let (status, time) = match act {
            Act::Refuse => return Err(io::ErrorKind::ConnectionRefused.into()),
            Act::Reset => return Err(io::ErrorKind::ConnectionReset.into()),
            Act::Answer(status, time) => (status, time),
            Act::Vary(least, most) => (200, ms(fastrand::u64(least..=most))),
        };
        self.in_flight.fetch_add(1, Relaxed);
        if !time.is_zero() {
            tokio::time::sleep(time).await;
        }
        self.in_flight.fetch_sub(1, Relaxed);
        let response = Response::builder().status(status);
        Ok(response.body(Body::default()).unwrap())
    }
}

pub(crate) fn balance(hosts: &[Arc<Host>]) -> Peers {
    Balance::new(hosts.iter().map(Host::endpoint))
}

/// How many attempts there were at each.
pub(crate) fn attempts(hosts: &[Arc<Host>]) -> Vec<usize> {
    hosts.iter().map(|host| host.attempts()).collect()
}

/// What each has of their sum.
#[expect(clippy::cast_precision_loss, reason = "as many requests as there are")]
pub(crate) fn shares(counts: &[usize]) -> Vec<f64> {
    let sum = counts.iter().sum::<usize>() as f64;
    counts.iter().map(|count| *count as f64 / sum).collect()
}

/// The peers under the layer as it is by default.
pub(crate) fn failing_over(peers: &Peers) -> Service {
    FailoverLayer::default().layer(peers.clone())
}

/// What became of a request.
#[derive(Clone, Debug)]
pub(crate) struct Outcome {
    pub(crate) method: Method,
    /// When it arrived, after the first.
    pub(crate) at: Duration,
    pub(crate) took: Duration,
    /// `None`: an error.
    pub(crate) status: Option<u16>,
    pub(crate) attempts: usize,
}

impl Outcome {
    pub(crate) fn is_lost(&self) -> bool {
        self.status != Some(200)
    }
}

/// Requests that arrive at a steady rate.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Traffic {
    pub(crate) per_second: u32,
    pub(crate) length: Duration,
}

impl Traffic {
    /// A thousand requests per second.
    pub(crate) const fn of(length: Duration) -> Self {
        Self {
            per_second: 1_000,
            length,
        }
    }

    /// GETs and POSTs, mixed by chance: in turn, some peers would see one kind only.
    pub(crate) async fn send(self, service: &Service) -> Vec<Outcome> {
        let start = Instant::now();
        let mut arrivals = tokio::time::interval(secs(1) / self.per_second);
        let mut requests = JoinSet::new();
        let count =
            u64::from(self.per_second) * u64::try_from(self.length.as_millis()).unwrap() / 1_000;
        for _ in 0..count {
            arrivals.tick().await;
            let method = if fastrand::bool() {
                Method::GET
            } else {
                Method::POST
            };
            let request = Request::builder().method(method).body(Body::from("order"));
            requests.spawn(ask(service.clone(), request.unwrap(), start));
        }
        requests.join_all().await
    }
}

async fn ask(service: Service, request: Request<Body>, start: Instant) -> Outcome {
    let began = Instant::now();
    let method = request.method().clone();
    let (status, attempts) = match service.oneshot(request).await {
        Ok(response) => {
            let report = Report::of(response.extensions());
            let attempts = report.map_or(1, |report| report.attempts().len());
            (Some(response.status().as_u16()), attempts)
        }
        Err(error) => (None, error.report().attempts().len()),
    };
    Outcome {
        method,
        at: began - start,
        took: began.elapsed(),
        status,
        attempts,
    }
}

pub(crate) fn lost(outcomes: &[Outcome]) -> usize {
    outcomes.iter().filter(|outcome| outcome.is_lost()).count()
}

#[expect(clippy::cast_precision_loss, reason = "as many requests as there are")]
pub(crate) fn attempts_per_request(outcomes: &[Outcome]) -> f64 {
    let attempts: usize = outcomes.iter().map(|outcome| outcome.attempts).sum();
    attempts as f64 / outcomes.len() as f64
}

/// The time that this share of the requests did not exceed, in percent.
pub(crate) fn percentile(outcomes: &[Outcome], percent: usize) -> Duration {
    let mut times: Vec<_> = outcomes.iter().map(|outcome| outcome.took).collect();
    times.sort_unstable();
    times[(times.len() * percent / 100).min(times.len() - 1)]
}
