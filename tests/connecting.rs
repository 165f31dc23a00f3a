//! The time to connect and the time that a peer has: over real sockets, and with connectors that make no
//! connection.

mod support {
    pub(crate) mod scripted;
}

use std::{
    future::{Pending, pending},
    io,
    task::{Context, Poll},
    time::Duration,
};

use futures_util::future::{BoxFuture, join_all};
use http::{Request, Response, Uri};
use http_body_util::BodyExt;
use hyper_util::{client::legacy::connect::HttpConnector, rt::TokioIo};
use support::scripted::Scripted;
use tokio::{
    net::TcpStream,
    time::{Instant, sleep, timeout},
};
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_failover::{
    BoxError, Error, FailoverLayer, ReplayBody,
    balance::{Balance, InOrder},
    failure::{FailureKind, Stage},
    policy::Standard,
    report::{Outcome, Report},
    upstream::PoolOptions,
};

const MS: Duration = Duration::from_millis(1);

/// Ends a test that would hang; nothing is synchronised by it.
const BOUND: Duration = Duration::from_secs(20);

type Connection = TokioIo<TcpStream>;

async fn upstream(behaviours: &[&str]) -> Scripted {
    let script = behaviours.iter().map(|text| text.parse().unwrap());
    Scripted::unattended("upstream", script.collect()).await
}

fn base(upstream: &Scripted) -> String {
    format!("http://{}", upstream.addr())
}

fn connects_within(ms: u32) -> PoolOptions {
    PoolOptions::new().connect_timeout(ms * MS)
}

fn layer() -> FailoverLayer {
    FailoverLayer::new(Standard::new("connect-failure".parse().unwrap()))
}

/// A POST through the layer.
async fn send<S, R>(layer: FailoverLayer, service: S) -> Result<Response<R>, Error>
where
    S: Service<Request<ReplayBody<String>>, Response = Response<R>> + Clone,
    S::Error: Into<BoxError>,
    R: http_body::Body,
{
    let post = Request::post("/").body("hello".to_owned()).unwrap();
    let sent = layer.layer(service).oneshot(post);
    timeout(BOUND, sent).await.expect("no end")
}

fn assert_no_connection_in_time(error: &Error) {
    let evidence = (error.kind(), error.stage());
    let expected = (FailureKind::ConnectTimeout, Stage::NotSent);
    assert_eq!(evidence, expected, "{error:?}");
}

#[tokio::test]
async fn post_leaves_a_peer_that_lets_nobody_connect() {
    let [dead, well] = [upstream(&["blackhole"]).await, upstream(&["echo"]).await];
    let pool = connects_within(900).build();
    let peers = [&dead, &well].map(|upstream| pool.upstream(&base(upstream)).unwrap());
    let peers = Balance::new(peers).pick(InOrder);
    let response = send(layer().per_try_timeout(400 * MS), peers)
        .await
        .unwrap();
    let tried = Report::of(response.extensions()).unwrap().attempts();
    let first = Outcome::Failed(FailureKind::ConnectTimeout);
    assert_eq!(tried[0].outcome(), first);
    let body = response.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(body, "hello");
    assert_eq!(well.attempts(), 1);
}

#[tokio::test]
async fn post_stays_with_a_peer_that_lets_it_connect_and_says_nothing() {
    let [mute, well] = [upstream(&["hang"]).await, upstream(&["echo"]).await];
    let pool = connects_within(60_000).build();
    let peers = [&mute, &well].map(|upstream| pool.upstream(&base(upstream)).unwrap());
    let peers = Balance::new(peers).pick(InOrder);
    let error = send(layer().per_try_timeout(200 * MS), peers)
        .await
        .unwrap_err();
    let evidence = (error.kind(), error.stage());
    assert_eq!(evidence, (FailureKind::Timeout, Stage::MaybeProcessed));
    assert_eq!((mute.attempts(), well.attempts()), (1, 0));
}

/// Takes longer than the per-try timeout.
fn connects_slowly(uri: Uri) -> BoxFuture<'static, io::Result<Connection>> {
    Box::pin(async move {
        sleep(1_300 * MS).await;
        let address = uri.authority().expect("an authority").as_str();
        TcpStream::connect(address).await.map(TokioIo::new)
    })
}

#[tokio::test]
async fn connection_that_takes_its_time_is_not_the_peers_fault() {
    let well = upstream(&["echo"]).await;
    let sent = [1, 3].map(|attempts| {
        let pool = connects_within(60_000).build_with(service_fn(connects_slowly));
        let layer = layer().per_try_timeout(1_000 * MS).max_attempts(attempts);
        send(layer, pool.upstream(&base(&well)).unwrap())
    });
    for result in join_all(sent).await {
        assert_eq!(result.unwrap().status(), 200);
    }
}

#[tokio::test]
async fn peers_time_begins_at_once_over_a_pooled_connection() {
    let peer = upstream(&["status:200", "hang"]).await;
    let pool = connects_within(60_000).build();
    let upstream = pool.upstream(&base(&peer)).unwrap();
    let layer = layer().per_try_timeout(200 * MS);
    let response = send(layer.clone(), upstream.clone()).await.unwrap();
    response.into_body().collect().await.unwrap();
    let error = send(layer, upstream).await.unwrap_err();
    assert_eq!(error.kind(), FailureKind::Timeout);
    let connections: Vec<_> = peer.seen().iter().map(|seen| seen.connection).collect();
    assert_eq!(connections, [0, 0]);
}

/// A connector that is never ready.
#[derive(Clone)]
struct Busy;

impl Service<Uri> for Busy {
    type Response = Connection;
    type Error = io::Error;
    type Future = Pending<io::Result<Connection>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Pending
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        panic!("called unready")
    }
}

#[tokio::test(start_paused = true)]
async fn connect_timeout_binds_every_connector() {
    let never = service_fn(|_: Uri| pending::<io::Result<Connection>>());
    let unresolved = HttpConnector::new_with_resolver(service_fn(|_| {
        pending::<io::Result<std::vec::IntoIter<std::net::SocketAddr>>>()
    }));
    for layer in [layer(), layer().per_try_timeout(200 * MS)] {
        let layer = layer.max_attempts(1);
        let start = Instant::now();
        let pool = connects_within(600).build_with(never);
        let upstream = pool.upstream("http://never.test").unwrap();
        let error = send(layer.clone(), upstream).await.unwrap_err();
        assert_no_connection_in_time(&error);
        assert_eq!(start.elapsed(), 600 * MS);

        let pool = connects_within(600).build_with(unresolved.clone());
        let upstream = pool.upstream("http://unresolved.test").unwrap();
        let error = send(layer.clone(), upstream).await.unwrap_err();
        assert_no_connection_in_time(&error);
        assert_eq!(start.elapsed(), 1_200 * MS);

        let pool = connects_within(600).build_with(Busy);
        let upstream = pool.upstream("http://busy.test").unwrap();
        let error = send(layer, upstream).await.unwrap_err();
        assert_no_connection_in_time(&error);
        assert_eq!(start.elapsed(), 1_800 * MS);
    }
}

/// With HTTP/2 one request connects, and the others wait for it.
#[tokio::test(start_paused = true)]
async fn connect_timeout_binds_requests_that_wait_for_the_same_connection() {
    let never = service_fn(|_: Uri| pending::<io::Result<Connection>>());
    let pool = connects_within(600).http2(true).build_with(never);
    let upstream = pool.upstream("http://never.test").unwrap();
    let start = Instant::now();
    let layer = layer().max_attempts(1).per_try_timeout(200 * MS);
    let sent = (0..9).map(|_| send(layer.clone(), upstream.clone()));
    for result in join_all(sent).await {
        assert_eq!(result.unwrap_err().stage(), Stage::NotSent);
    }
    assert_eq!(start.elapsed(), 600 * MS);
}

/// A connection over which nothing can be written, as that of a connector which leaves its handshake to
/// the first write.
struct Stuck;

impl hyper::rt::Read for Stuck {
    fn poll_read(
        self: std::pin::Pin<&mut Self>,
        _: &mut Context<'_>,
        _: hyper::rt::ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Poll::Pending
    }
}

impl hyper::rt::Write for Stuck {
    fn poll_write(
        self: std::pin::Pin<&mut Self>,
        _: &mut Context<'_>,
        _: &[u8],
    ) -> Poll<io::Result<usize>> {
        Poll::Pending
    }
    fn poll_flush(self: std::pin::Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Pending
    }
    fn poll_shutdown(self: std::pin::Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl hyper_util::client::legacy::connect::Connection for Stuck {
    fn connected(&self) -> hyper_util::client::legacy::connect::Connected {
        hyper_util::client::legacy::connect::Connected::new()
    }
}

#[tokio::test(start_paused = true)]
async fn http_handshake_that_hangs_is_the_peers_when_the_time_to_connect_is_over() {
    for http2 in [false, true] {
        let pool = connects_within(300)
            .http2(http2)
            .build_with(service_fn(|_: Uri| {
                std::future::ready(Ok::<_, io::Error>(Stuck))
            }));
        let upstream = pool.upstream("http://upstream").unwrap();
        let post = Request::post("/").body("hello".to_owned()).unwrap();
        let sent = layer()
            .max_attempts(1)
            .per_try_timeout(200 * MS)
            .layer(upstream)
            .oneshot(post);
        let ended = timeout(Duration::from_secs(3_600), sent).await;
        assert!(ended.is_ok(), "http2: {http2}: waits for an hour");
    }
}
