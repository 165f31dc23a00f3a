//! Active health checks, by a clock that stands still until all wait for it.

mod ending;
mod judging;
mod members;
mod pacing;
mod requests;

use tokio::{
    sync::{
        mpsc::{UnboundedReceiver, unbounded_channel},
        watch,
    },
    task::JoinHandle,
    time::Instant,
};
use tower_failover::balance::{Fault, HealthCheck, InOrder, PeerSnapshot, State, StateChange};

use crate::*;

const PATH: &str = "/health";
const SECOND: Duration = Duration::from_secs(1);

/// A check each second.
fn check() -> HealthCheck {
    let check = HealthCheck::new(PATH).unwrap();
    check.interval(SECOND).unwrap().jitter(0.0).unwrap()
}

/// A peer whose checks are answered as it is told; traffic is answered with its name, unless it asks for what
/// is slow.
#[derive(Clone)]
struct Checked {
    name: &'static str,
    act: Arc<Mutex<Act>>,
    /// When its checks came.
    checks: watch::Sender<Vec<Instant>>,
    /// Lives for as long as its service and a check that hangs.
    alive: Arc<()>,
}

impl Checked {
    fn new(name: &'static str, act: Act) -> Self {
        Self {
            name,
            act: Arc::new(Mutex::new(act)),
            checks: watch::Sender::default(),
            alive: Arc::default(),
        }
    }

    fn tell(&self, act: Act) {
        *self.act.lock().unwrap() = act;
    }

    fn checks(&self) -> usize {
        self.checks.borrow().len()
    }

    /// Waits for so many checks from now on; the last one has been judged then, unless it hangs.
    async fn after(&self, more: usize) {
        let all = self.checks() + more;
        let mut checks = self.checks.subscribe();
        let enough = checks.wait_for(|seen| seen.len() >= all);
        let enough = tokio::time::timeout(100 * SECOND, enough).await;
        enough.expect("checks come").unwrap();
    }

    async fn answer(self, request: Request<Body>) -> io::Result<Response<Body>> {
        let act = match request.uri().path() {
            PATH => {
                self.checks.send_modify(|seen| seen.push(Instant::now()));
                *self.act.lock().unwrap()
            }
            "/slow" => Act::Hang,
            _ => Act::Answer(200),
        };
        match act {
            Act::Answer(status) => {
                let response = Response::builder().status(status).header("name", self.name);
                Ok(response.body(Full::default()).unwrap())
            }
            Act::Fail => Err(io::ErrorKind::ConnectionReset.into()),
            Act::Hang => std::future::pending().await,
        }
    }

    fn service(&self) -> Peer {
        let checked = self.clone();
        let answer = move |request| checked.clone().answer(request);
        Peer::new(Strict::new(service_fn(answer)))
    }

    fn endpoint(&self) -> Endpoint<Peer> {
        Endpoint::new(self.name, self.service())
    }
}

/// `a`, whose checks are answered as it is told, before `b`, which is well.
fn pair(act: Act) -> (Checked, Balance<Peer>) {
    let a = Checked::new("a", act);
    let balance = Balance::new([a.endpoint(), well("b")]).pick(InOrder);
    (a, balance)
}

fn run(balance: &Balance<Peer>, check: HealthCheck) -> JoinHandle<()> {
    tokio::spawn(balance.health_check(check))
}

fn snapshot(balance: &Balance<Peer>, name: &str) -> PeerSnapshot {
    let mut peers = balance.snapshot().peers.into_iter();
    peers.find(|peer| peer.peer.name() == name).unwrap()
}

fn state(balance: &Balance<Peer>, name: &str) -> State {
    snapshot(balance, name).state
}

fn last_fault(balance: &Balance<Peer>, name: &str) -> Option<Fault> {
    let last = snapshot(balance, name).last_failure;
    last.map(|failure| failure.fault)
}

/// The changes that a balancer's listener hears of.
fn heard(balance: Balance<Peer>) -> (Balance<Peer>, UnboundedReceiver<StateChange>) {
    let (tell, told) = unbounded_channel();
    let balance = balance.on_state_change(move |change: &StateChange| {
        let _ = tell.send(change.clone());
    });
    (balance, told)
}
