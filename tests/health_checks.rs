//! Active health checks of real servers.

use std::{
    convert::Infallible,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU16, AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
};
use tokio::{
    net::{TcpListener, TcpSocket},
    sync::{mpsc, watch},
    time::timeout,
};
use tower::{Layer, ServiceExt};
use tower_failover::{
    FailoverLayer, ReplayBody,
    balance::{Balance, Fault, HealthCheck, InOrder, State, StateChange},
    upstream::{Pool, PoolOptions, Upstream},
};

type Body = ReplayBody<Full<Bytes>>;
type Peers<B> = Balance<Upstream<B>>;

const PATIENCE: Duration = Duration::from_secs(30);

/// A server that answers checks with a status and a body, and all else with its address.
struct Server {
    addr: SocketAddr,
    status: Arc<AtomicU16>,
    connections: Arc<AtomicUsize>,
    checks: watch::Receiver<usize>,
}

impl Server {
    async fn start(status: u16) -> Self {
        Self::start_with(status, Bytes::from_static(b"well")).await
    }

    async fn start_with(status: u16, body: Bytes) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let connections = Arc::<AtomicUsize>::default();
        let accepted = Arc::clone(&connections);
        let status = Arc::new(AtomicU16::new(status));
        let answered = Arc::clone(&status);
        let (checked, checks) = watch::channel(0);
        let service = service_fn(move |request: Request<Incoming>| {
            let mut response = Response::new(Full::<Bytes>::from(addr.to_string()));
            if request.uri().path() == "/health" {
                let status = answered.load(Ordering::SeqCst);
                *response.status_mut() = status.try_into().unwrap();
                *response.body_mut() = Full::new(body.clone());
                checked.send_modify(|checks| *checks += 1);
            }
            async { Ok::<_, Infallible>(response) }
        });
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                accepted.fetch_add(1, Ordering::SeqCst);
                let service = service.clone();
                tokio::spawn(async move {
                    let server = auto::Builder::new(TokioExecutor::new());
                    server.serve_connection(TokioIo::new(stream), service).await
                });
            }
        });
        Self {
            addr,
            status,
            connections,
            checks,
        }
    }

    fn set(&self, status: u16) {
        self.status.store(status, Ordering::SeqCst);
    }

    async fn checked(&self, times: usize) {
        let mut checks = self.checks.clone();
        let checked = checks.wait_for(|checks| *checks >= times);
        timeout(PATIENCE, checked).await.unwrap().unwrap();
    }
}

fn check() -> HealthCheck {
    let check = HealthCheck::new("/health").unwrap();
    check.interval(Duration::from_millis(5)).unwrap()
}

type Told = mpsc::UnboundedReceiver<StateChange>;

fn balance<B>(pool: &Pool<B>, addrs: &[SocketAddr]) -> (Peers<B>, Told)
where
    B: http_body::Body + Send + Unpin + 'static,
    B::Data: Send,
    B::Error: Into<tower_failover::BoxError>,
{
    let upstream = |addr| pool.upstream(&format!("http://{addr}")).unwrap();
    let (tell, told) = mpsc::unbounded_channel();
    let balance = Balance::new(addrs.iter().map(upstream)).pick(InOrder);
    let balance = balance.on_state_change(move |change: &StateChange| {
        let _ = tell.send(change.clone());
    });
    (balance, told)
}

/// What becomes of a peer next.
async fn next(told: &mut Told) -> (String, State) {
    let change = timeout(PATIENCE, told.recv()).await.unwrap().unwrap();
    (change.peer().name().to_owned(), change.to())
}

/// Who answers.
async fn send(balance: &Peers<Body>) -> String {
    let service = FailoverLayer::default().layer(balance.clone());
    let response = service.oneshot(Request::new(Full::default()));
    let body = response.await.unwrap().into_body();
    let body = body.collect().await.unwrap().to_bytes();
    String::from_utf8(body.to_vec()).unwrap()
}

#[tokio::test]
async fn server_that_fails_its_checks_gets_no_requests_until_it_passes_them() {
    for http2 in [false, true] {
        let (a, b) = (Server::start(503).await, Server::start(200).await);
        let pool = PoolOptions::new().http2(http2).build::<Body>();
        let (balance, mut told) = balance(&pool, &[a.addr, b.addr]);
        let name = format!("http://{}", a.addr);
        assert_eq!(send(&balance).await, a.addr.to_string());
        let checker = tokio::spawn(balance.health_check(check()));
        assert_eq!(next(&mut told).await, (name.clone(), State::Down));
        assert_eq!(send(&balance).await, b.addr.to_string());
        a.set(204);
        assert_eq!(next(&mut told).await, (name, State::Closed));
        assert_eq!(send(&balance).await, a.addr.to_string());
        b.checked(9).await;
        assert!(told.try_recv().is_err(), "b has passed all of its checks");
        checker.abort();
    }
}

#[tokio::test]
async fn peers_that_refuse_and_that_are_silent_go_down() {
    let refusing = TcpSocket::new_v4().unwrap();
    refusing.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addrs = [
        refusing.local_addr().unwrap(),
        silent.local_addr().unwrap(),
        Server::start(200).await.addr,
    ];
    // As it is below a failover over hyper's own requests.
    let pool = Pool::<ReplayBody<Incoming>>::new();
    let (balance, mut told) = balance(&pool, &addrs);
    let check = check().timeout(Duration::from_millis(50));
    let _checker = tokio::spawn(balance.health_check(check));
    for _ in 0..2 {
        let (peer, state) = next(&mut told).await;
        assert_eq!(state, State::Down, "{peer}");
    }
    let peers = balance.snapshot().peers;
    let faults = peers.iter().map(|peer| peer.last_failure.map(|f| f.fault));
    let faults: Vec<_> = faults.collect();
    let [one, other, None] = faults[..] else {
        panic!("{faults:?}");
    };
    assert!(matches!(one, Some(Fault::CheckError(_))), "{one:?}");
    assert!(matches!(other, Some(Fault::CheckError(_))), "{other:?}");
}

#[tokio::test]
async fn checks_share_a_connection_unless_their_bodies_are_large_ones_of_http_1() {
    for (http2, body, share) in [
        (false, 4, true),
        (true, 4, true),
        (false, 1 << 20, false),
        (true, 1 << 20, true),
    ] {
        let a = Server::start_with(200, vec![b'a'; body].into()).await;
        let pool = PoolOptions::new().http2(http2).build::<Body>();
        let (balance, _told) = balance(&pool, &[a.addr]);
        let checker = tokio::spawn(balance.health_check(check()));
        a.checked(20).await;
        let connections = a.connections.load(Ordering::SeqCst);
        assert_eq!(connections == 1, share, "{http2} {body} {connections}");
        checker.abort();
    }
}

#[cfg(feature = "reqwest")]
#[tokio::test]
async fn service_of_any_body_is_checked_with_the_one_that_is_named() {
    let (a, client) = (Server::start(503).await, reqwest::Client::builder());
    let pool = tower_failover::upstream::ReqwestPool::new(client).unwrap();
    let balance = Balance::new([pool.upstream(&format!("http://{}", a.addr)).unwrap()]);
    let checker = balance.health_check::<Body, _>(check());
    let _checker = tokio::spawn(checker);
    a.checked(4).await;
    assert_eq!(balance.snapshot().peers[0].state, State::Down);
}
