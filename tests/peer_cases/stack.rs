//! A case's upstreams, and the gateway that stands before them as the case configures it.

use std::{convert::Infallible, sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::{Request, Response};
use http_body_util::{BodyExt, Full, combinators::UnsyncBoxBody};
use tokio::{
    sync::{Semaphore, mpsc, watch},
    time::Instant,
};
use tower::{
    Service, ServiceBuilder, ServiceExt, discover::Change, limit::ConcurrencyLimit,
    load_shed::LoadShed, service_fn, util::BoxCloneService,
};
use tower_failover::{
    BoxError, ReplayBody,
    balance::{Balance, Candidates, Endpoint, InOrder, PeerSnapshot, Pick, RoundRobin},
    gateway::GatewayLayer,
};

use super::{
    client,
    configure::{ATTEMPT_HEADER, breaker, failover, most_ejected, peek, pool},
};
use crate::support::{
    cases::{Case, Upstream},
    scripted::{Behaviour, Scripted, Seen},
    strict::Strict,
};

type Sent = ReplayBody<client::Body>;
type Got = UnsyncBoxBody<Bytes, BoxError>;
type Endpoints = BoxCloneSyncService;
type BoxCloneSyncService = tower::util::BoxCloneSyncService<Request<Sent>, Response<Got>, BoxError>;

/// How many attempts have begun and ended, over all upstreams, and how long after the end of one the
/// next began.
#[derive(Clone, Debug, Default)]
pub(crate) struct Progress {
    pub(crate) begun: usize,
    pub(crate) ended: usize,
    pub(crate) delays: Vec<Duration>,
    last_end: Option<Instant>,
}

impl Progress {
    fn begin(&mut self) {
        self.begun += 1;
        let end = self.last_end.take();
        self.delays.extend(end.map(|end| end.elapsed()));
    }

    fn end(&mut self) {
        self.ended += 1;
        self.last_end = Some(Instant::now());
    }
}

pub(crate) struct Stack {
    upstreams: Vec<Arc<Scripted>>,
    gateway: BoxCloneService<Request<client::Body>, Response<Got>, Infallible>,
    progress: Arc<watch::Sender<Progress>>,
    balance: Balance<Endpoints>,
    answers_itself: bool,
}

impl Stack {
    pub(crate) async fn start(case: &Case) -> Self {
        let progress = Arc::new(watch::Sender::default());
        let pool = pool(case).build();
        let (changes, discovered) = mpsc::unbounded_channel();
        let discovered = futures_util::stream::unfold(discovered, |mut discovered| async {
            let change = discovered.recv().await?;
            Some((Ok::<_, Infallible>(change), discovered))
        });
        let (balance, driver) =
            Balance::discover_with(Box::pin(discovered), |_: &String, endpoint| endpoint);
        tokio::spawn(driver);
        let balance = match &case.config.affinity {
            Some(name) => balance.pick(Affine(name.clone())),
            None if case.config.round_robin => balance.pick(RoundRobin),
            None => balance.pick(InOrder),
        };
        let balance = balance.breaker(breaker(case));
        let balance = balance.max_ejected(most_ejected(case)).unwrap();
        let mut stack = Self {
            upstreams: Vec::new(),
            gateway: BoxCloneService::new(service_fn(|_| async { unreachable!("not built") })),
            progress: Arc::clone(&progress),
            balance: balance.clone(),
            answers_itself: false,
        };
        for upstream in &case.upstreams {
            if let Some(local) = Local::parse(&upstream.script) {
                stack.answers_itself = true;
                let below = counted(local.service(), &progress);
                stack.gateway = gateway(case, below);
                return stack;
            }
            let scripted = Arc::new(scripted(upstream).await);
            let name = format!("http://{}", scripted.addr());
            let client = pool.upstream(&name).unwrap();
            if upstream.script[0] == "reused_read_close" {
                warm_up(client.clone()).await;
            }
            let client = counted(begun(&scripted, client), &progress);
            let client = match upstream.max_conns {
                Some(most) if !case.config.backup => limited(most, upstream.busy, client),
                _ => client,
            };
            let leaves = upstream
                .down_after_first
                .then(|| (changes.clone(), balance.clone()));
            let client = leaving(&upstream.name, client, leaves);
            let client = match upstream.max_conns {
                Some(most) if case.config.backup => {
                    Endpoints::new(ConcurrencyLimit::new(client, most))
                }
                _ => client,
            };
            let endpoint = Endpoint::new(upstream.name.as_str(), client);
            let endpoint = endpoint.tier(u32::from(upstream.backup));
            let change = Change::Insert(upstream.name.clone(), endpoint);
            changes.send(change).unwrap();
            stack.upstreams.push(scripted);
        }
        while balance.peers().len() < case.upstreams.len() {
            tokio::task::yield_now().await;
        }
        stack.gateway = gateway(case, balance);
        // Discovery must not end before the stack does.
        tokio::spawn(async move { changes.closed().await });
        stack
    }

    pub(crate) async fn call(&self, request: Request<client::Body>) -> Response<Got> {
        let response = self.gateway.clone().oneshot(request).await;
        response.unwrap_or_else(|never| match never {})
    }

    pub(crate) fn progress(&self) -> watch::Receiver<Progress> {
        self.progress.subscribe()
    }

    pub(crate) fn attempts(&self) -> usize {
        self.progress.borrow().begun
    }

    pub(crate) fn delays(&self) -> Vec<Duration> {
        self.progress.borrow().delays.clone()
    }

    /// What the upstreams have seen of the requests, in the order of the attempts at each.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.upstreams().flat_map(Scripted::seen).collect()
    }

    pub(crate) fn upstreams(&self) -> impl Iterator<Item = &Scripted> {
        self.upstreams.iter().map(|upstream| &**upstream)
    }

    /// How the balancer sees an upstream.
    pub(crate) fn peer(&self, name: &str) -> PeerSnapshot {
        let mut peers = self.balance.snapshot().peers.into_iter();
        peers.find(|peer| peer.peer.name() == name).unwrap()
    }

    /// Whether a layer below the failover answers, and no upstream.
    pub(crate) fn answers_itself(&self) -> bool {
        self.answers_itself
    }

    /// What the upstream of the last attempt has seen of it.
    pub(crate) async fn last_seen(&self, attempts: usize) -> Seen {
        let last = self.upstreams.iter().rev();
        let last = last.clone().find(|upstream| upstream.attempts() > 0);
        let upstream = last.unwrap_or_else(|| panic!("no upstream after {attempts} attempts"));
        let number = upstream.attempts();
        let is_last =
            |seen: &Seen| seen.attempt == Some(number) && (seen.complete || seen.abandoned);
        let seen = upstream.seen_when(|seen| seen.iter().any(is_last)).await;
        seen.into_iter().find(is_last).unwrap()
    }

    pub(crate) async fn stop(self) {
        drop((self.gateway, self.balance));
        for upstream in self.upstreams {
            if let Ok(upstream) = Arc::try_unwrap(upstream) {
                upstream.stop().await;
            }
        }
    }
}

fn gateway<S, R>(
    case: &Case,
    below: S,
) -> BoxCloneService<Request<client::Body>, Response<Got>, Infallible>
where
    S: Service<Request<Sent>, Response = Response<R>, Error = BoxError> + Clone + Send + 'static,
    S::Future: Send,
    R: http_body::Body<Data = Bytes, Error: Into<BoxError>> + Send + Unpin + 'static,
{
    let gateway = ServiceBuilder::new()
        .layer(GatewayLayer::new().attempts_header(ATTEMPT_HEADER).unwrap())
        .layer(failover(case))
        .layer(peek(case))
        .service(Strict::new(below));
    let gateway = gateway
        .map_response(|response| response.map(|body| body.map_err(Into::into).boxed_unsync()));
    BoxCloneService::new(gateway)
}

async fn scripted(upstream: &Upstream) -> Scripted {
    let script = upstream.script.iter().map(|text| text.parse::<Behaviour>());
    let script = script.collect::<Result<_, _>>().unwrap();
    Scripted::start(&upstream.name, script, upstream.cycle).await
}

/// Leaves a connection in the pool that has served a request.
async fn warm_up<S, R>(client: S)
where
    S: Service<Request<Sent>, Response = Response<R>>,
    S::Error: std::fmt::Debug,
    R: http_body::Body<Error: std::fmt::Debug>,
{
    let body = Full::default()
        .map_err(|never| match never {})
        .boxed_unsync();
    let body = tower_failover::replay::Replay::new(body, 0)
        .start()
        .unwrap();
    let response = client.oneshot(Request::new(body)).await.unwrap();
    response.into_body().collect().await.unwrap();
    // The connection goes back into the pool a few turns of its own task later.
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}

/// Announces each attempt to its upstream.
fn begun<S, R>(scripted: &Arc<Scripted>, client: S) -> Endpoints
where
    S: Service<Request<Sent>, Response = Response<R>> + Clone + Send + Sync + 'static,
    S::Error: Into<BoxError>,
    S::Future: Send,
    R: http_body::Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    let scripted = Arc::clone(scripted);
    erase(move |request| {
        let (scripted, client) = (Arc::clone(&scripted), client.clone());
        Box::pin(async move {
            scripted.begin_attempt().await;
            let response = Strict::new(client).oneshot(request).await;
            let response = response.map_err(Into::into)?;
            Ok(response.map(|body| body.map_err(Into::into).boxed_unsync()))
        })
    })
}

/// Counts the attempts that begin and end.
fn counted(inner: Endpoints, progress: &Arc<watch::Sender<Progress>>) -> Endpoints {
    let progress = Arc::clone(progress);
    erase(move |request| {
        let (inner, progress) = (inner.clone(), Arc::clone(&progress));
        Box::pin(async move {
            progress.send_modify(Progress::begin);
            let result = inner.oneshot(request).await;
            progress.send_modify(Progress::end);
            result
        })
    })
}

/// Admits as many requests at once as the upstream takes, and lets the others wait; all of its places may be taken
/// already.
fn limited(most: usize, busy: bool, inner: Endpoints) -> Endpoints {
    let places = Arc::new(Semaphore::new(if busy { 0 } else { most }));
    erase(move |request| {
        let (inner, places) = (inner.clone(), Arc::clone(&places));
        Box::pin(async move {
            let _place = places.acquire_owned().await?;
            inner.oneshot(request).await
        })
    })
}

type Changes = mpsc::UnboundedSender<Change<String, Endpoint<Endpoints>>>;

/// An upstream that is gone once it was tried.
fn leaving(
    name: &str,
    inner: Endpoints,
    leaves: Option<(Changes, Balance<Endpoints>)>,
) -> Endpoints {
    let name = name.to_owned();
    erase(move |request| {
        let (name, inner, leaves) = (name.clone(), inner.clone(), leaves.clone());
        Box::pin(async move {
            let result = inner.oneshot(request).await;
            if let Some((changes, balance)) = leaves {
                changes.send(Change::Remove(name.clone())).unwrap();
                while balance.peers().iter().any(|peer| peer.name() == name) {
                    tokio::task::yield_now().await;
                }
            }
            result
        })
    })
}

fn erase(
    call: impl Fn(Request<Sent>) -> BoxFuture<'static, Result<Response<Got>, BoxError>>
    + Clone
    + Send
    + Sync
    + 'static,
) -> Endpoints {
    BoxCloneSyncService::new(Strict::new(service_fn(call)))
}

/// Prefers one peer, and takes the first of the others without it.
struct Affine(String);

impl Pick for Affine {
    fn pick(&self, candidates: &Candidates<'_>) -> Option<usize> {
        let own = |index: &usize| {
            candidates
                .get(*index)
                .is_some_and(|peer| peer.name() == self.0)
        };
        candidates
            .indices()
            .find(own)
            .or_else(|| InOrder.pick(candidates))
    }
}

/// A layer between the failover and the balancer that answers by itself.
#[derive(Clone, Copy)]
enum Local {
    Overflow,
    Response(u16),
}

impl Local {
    fn parse(script: &[String]) -> Option<Self> {
        match script.first()?.split_once(':') {
            None if script[0] == "local_overflow" => Some(Self::Overflow),
            Some(("local_response", status)) => Some(Self::Response(status.parse().unwrap())),
            _ => None,
        }
    }

    fn service(self) -> Endpoints {
        match self {
            Self::Response(status) => erase(move |_| {
                let body = Full::default()
                    .map_err(|never| match never {})
                    .boxed_unsync();
                let response = Response::builder().status(status).body(body).unwrap();
                Box::pin(async { Ok(response) })
            }),
            Self::Overflow => {
                // A limit whose only permit is taken.
                let never = service_fn(|_: Request<Sent>| std::future::pending::<Never>());
                let limited = ConcurrencyLimit::new(never, 1);
                erase(move |request| {
                    let (mut other, limited) = (limited.clone(), limited.clone());
                    Box::pin(async move {
                        ServiceExt::<Request<Sent>>::ready(&mut other).await?;
                        LoadShed::new(limited).oneshot(request).await
                    })
                })
            }
        }
    }
}

type Never = Result<Response<Got>, std::io::Error>;
