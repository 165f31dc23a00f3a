//! Real servers and the pooled client: a backup, consistent hashing, regions, a circuit breaker.

use http::{Method, StatusCode};
use http_body_util::BodyExt;
use hyper::{body::Incoming, server::conn::http1};
use hyper_util::rt::TokioIo;
use tokio::{
    net::{TcpListener, TcpSocket},
    sync::watch,
};
use tower::ServiceBuilder;
use tower_failover::{
    Failover, FailoverLayer, ReplayBody,
    balance::{Breaker, ConsistentHash, InOrder, State, StateChange, ZoneOrder},
    policy::Standard,
    report::Report,
    upstream::{Pool, Upstream},
};

use crate::{support::stopped_clock::StoppedClock, *};

type Servers = Balance<Upstream<ReplayBody<Body>>>;
type Client = Failover<Servers, Standard>;

/// What a server does with its requests.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Mode {
    Up,
    Sick,
    /// It answers when it is up.
    Busy,
}

/// A server that tells its name, and the length of what it was sent.
struct Server {
    name: &'static str,
    url: String,
    mode: watch::Sender<Mode>,
    /// Bound and not listening: connections are refused.
    down: Mutex<Option<TcpSocket>>,
}

impl Server {
    fn down(name: &'static str) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(([127, 0, 0, 1], 0).into()).unwrap();
        Self {
            name,
            url: format!("http://{}", socket.local_addr().unwrap()),
            mode: watch::Sender::new(Mode::Up),
            down: Mutex::new(Some(socket)),
        }
    }

    fn up(name: &'static str) -> Self {
        let server = Self::down(name);
        server.start();
        server
    }

    /// Listens from now on.
    fn start(&self) {
        let socket = self.down.lock().unwrap().take();
        let listener = socket.unwrap().listen(64).unwrap();
        tokio::spawn(serve(listener, self.name, self.mode.subscribe()));
    }

    fn set(&self, mode: Mode) {
        self.mode.send_replace(mode);
    }

    fn endpoint(&self, pool: &Pool<ReplayBody<Body>>) -> Endpoint<Upstream<ReplayBody<Body>>> {
        Endpoint::new(self.name, pool.upstream(&self.url).unwrap())
    }
}

async fn serve(listener: TcpListener, name: &'static str, mode: watch::Receiver<Mode>) {
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let mode = mode.clone();
        let answer = hyper::service::service_fn(move |request: Request<Incoming>| {
            let mut mode = mode.clone();
            async move {
                let sent = request.into_body().collect().await?.to_bytes().len();
                let is_busy = |mode: &Mode| *mode == Mode::Busy;
                let mode = *mode.wait_for(|mode| !is_busy(mode)).await.unwrap();
                let status = match mode {
                    Mode::Sick => StatusCode::SERVICE_UNAVAILABLE,
                    _ => StatusCode::OK,
                };
                let body = Full::new(Bytes::from(format!("{name} {sent}")));
                let response = Response::builder().status(status).body(body);
                Ok::<_, hyper::Error>(response.unwrap())
            }
        });
        let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), answer);
        tokio::spawn(connection);
    }
}

fn servers(list: &[&Server]) -> Servers {
    let pool = Pool::new();
    Balance::new(list.iter().map(|server| server.endpoint(&pool)))
}

fn client(servers: &Servers) -> Client {
    ServiceBuilder::new()
        .layer(FailoverLayer::default())
        .service(servers.clone())
}

fn request(method: Method, text: &'static str) -> Request<Body> {
    let body = Full::new(Bytes::from(text));
    Request::builder().method(method).body(body).unwrap()
}

/// Who answered, what of the request arrived there, and after how many attempts.
async fn ask(client: &Client, request: Request<Body>) -> String {
    let response = client.clone().oneshot(request).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    let report = Report::of(response.extensions());
    let attempts = report.map_or(1, |report| report.attempts().len());
    let body = response.into_body().collect().await.unwrap().to_bytes();
    format!("{} {attempts}", String::from_utf8(body.into()).unwrap())
}

async fn get(client: &Client) -> String {
    ask(client, request(Method::GET, "")).await
}

async fn post(client: &Client) -> String {
    ask(client, request(Method::POST, "order")).await
}

fn state(servers: &Servers, name: &str) -> State {
    let peers = servers.snapshot().peers.into_iter();
    let mut states = peers.filter(|peer| peer.peer.name() == name);
    states.next().unwrap().state
}

#[tokio::test]
async fn backup_takes_whole_posts_until_the_primary_is_back() {
    let _clock = StoppedClock::new();
    let (primary, backup) = (Server::down("primary"), Server::up("backup"));
    let pool = Pool::new();
    let servers = Balance::new([primary.endpoint(&pool), backup.endpoint(&pool).backup()]);
    let client = client(&servers);
    for _ in 0..5 {
        assert_eq!(post(&client).await, "backup 5 2");
    }
    primary.start();
    // It is left alone for its time.
    for wait in [0, 29_999] {
        tokio::time::advance(Duration::from_millis(wait)).await;
        assert_eq!(post(&client).await, "backup 5 1");
    }
    tokio::time::advance(Duration::from_millis(1)).await;
    // Whether it is well is found out by what can be repeated.
    assert_eq!(post(&client).await, "backup 5 1");
    for _ in 0..3 {
        assert_eq!(get(&client).await, "primary 0 1");
    }
    assert_eq!(state(&servers, "primary"), State::Closed);
    assert_eq!(post(&client).await, "primary 5 1");
}

#[tokio::test]
async fn keys_of_a_sick_server_move_and_others_do_not() {
    let list = ["a", "b", "c", "d"].map(Server::up);
    let servers = servers(&list.each_ref()).pick(ConsistentHash::path());
    let client = client(&servers);
    let ask_all = async || {
        let mut owners = Vec::new();
        for key in 0..40 {
            let mut request = request(Method::GET, "");
            *request.uri_mut() = format!("/{key}").parse().unwrap();
            let answer = ask(&client, request).await;
            owners.push(answer.split(' ').next().unwrap().to_owned());
        }
        owners
    };
    let before = ask_all().await;
    assert_eq!(ask_all().await, before);
    assert!(before.iter().any(|owner| owner == "b"));
    list[1].set(Mode::Sick);
    // While it is found out, and when it is known.
    for _ in 0..2 {
        for (before, now) in before.iter().zip(ask_all().await) {
            assert!(now != "b" && (before == "b" || *before == now));
        }
    }
    assert_eq!(state(&servers, "b"), State::Open);
}

#[tokio::test]
async fn other_region_stands_in_until_one_of_the_own_is_back() {
    let _clock = StoppedClock::new();
    let near = ["eu-1", "eu-2"].map(Server::down);
    let far = ["us-1", "us-2"].map(Server::up);
    let pool = Pool::new();
    let endpoints = near.iter().chain(&far);
    let endpoints = endpoints.map(|server| server.endpoint(&pool).zone(&server.name[..2]));
    let servers = Balance::new(endpoints).prefer_zones(ZoneOrder::new(["eu", "us"]));
    let client = client(&servers);
    for _ in 0..5 {
        let answer = post(&client).await;
        assert!(
            answer.starts_with("us-") && answer.ends_with(" 5 3"),
            "{answer}"
        );
    }
    let answers = [post(&client).await, post(&client).await];
    assert_eq!(answers, ["us-1 5 1", "us-2 5 1"]);
    near[1].start();
    tokio::time::advance(Duration::from_secs(30)).await;
    for _ in 0..5 {
        get(&client).await;
    }
    assert_eq!(state(&servers, "eu-1"), State::Open);
    assert_eq!(state(&servers, "eu-2"), State::Closed);
    for _ in 0..3 {
        assert_eq!(post(&client).await, "eu-2 5 1");
    }
    let mut own = request(Method::POST, "order");
    own.extensions_mut().insert(ZoneOrder::new(["us"]));
    assert!(ask(&client, own).await.starts_with("us-"));
}

/// A sick server before one that is up, and what the first one's breaker does.
fn breaking(sick: &Server, up: &Server) -> (Servers, Arc<Mutex<Vec<String>>>) {
    let changes = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&changes);
    let servers = servers(&[sick, up])
        .pick(InOrder)
        .breaker(Breaker::new())
        .on_state_change(move |change: &StateChange| {
            let out_for = change.out_for().map_or(0, |time| time.as_secs());
            let (from, to) = (change.from(), change.to());
            heard
                .lock()
                .unwrap()
                .push(format!("{from} to {to}, {out_for}"));
        });
    (servers, changes)
}

#[tokio::test]
async fn breaker_opens_after_five_failures_and_closes_after_three_successes() {
    let _clock = StoppedClock::new();
    let (sick, up) = (Server::up("sick"), Server::up("up"));
    let (servers, changes) = breaking(&sick, &up);
    let client = client(&servers);
    sick.set(Mode::Sick);
    for _ in 0..5 {
        assert_eq!(state(&servers, "sick"), State::Closed);
        assert_eq!(get(&client).await, "up 0 2");
    }
    assert_eq!(state(&servers, "sick"), State::Open);
    assert_eq!(get(&client).await, "up 0 1");

    tokio::time::advance(Duration::from_millis(29_999)).await;
    assert_eq!(get(&client).await, "up 0 1");
    tokio::time::advance(Duration::from_millis(1)).await;
    sick.set(Mode::Busy);
    let probe = tokio::spawn({
        let client = client.clone();
        async move { get(&client).await }
    });
    while state(&servers, "sick") != State::HalfOpen {
        tokio::task::yield_now().await;
    }
    // One at a time.
    for _ in 0..3 {
        assert_eq!(get(&client).await, "up 0 1");
    }
    sick.set(Mode::Up);
    assert_eq!(probe.await.unwrap(), "sick 0 1");
    for _ in 0..2 {
        assert_eq!(state(&servers, "sick"), State::HalfOpen);
        assert_eq!(get(&client).await, "sick 0 1");
    }
    assert_eq!(state(&servers, "sick"), State::Closed);
    let expected = [
        "closed to open, 30",
        "open to half-open, 0",
        "half-open to closed, 0",
    ];
    assert_eq!(*changes.lock().unwrap(), expected);
}

#[tokio::test]
async fn breaker_does_not_close_for_a_server_that_is_still_sick() {
    let _clock = StoppedClock::new();
    let (sick, up) = (Server::up("sick"), Server::up("up"));
    let (servers, changes) = breaking(&sick, &up);
    let client = client(&servers);
    sick.set(Mode::Sick);
    for _ in 0..5 {
        get(&client).await;
    }
    tokio::time::advance(Duration::from_secs(30)).await;
    assert_eq!(get(&client).await, "up 0 2");
    tokio::time::advance(Duration::from_secs(59)).await;
    assert_eq!(get(&client).await, "up 0 1");
    let expected = [
        "closed to open, 30",
        "open to half-open, 0",
        "half-open to open, 60",
    ];
    assert_eq!(*changes.lock().unwrap(), expected);
}
