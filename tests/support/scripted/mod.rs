//! An upstream that does as it is told, attempt by attempt, on a raw socket.
//!
//! A refused connection cannot be counted at the socket, so whoever makes an attempt announces it
//! with [`Scripted::begin_attempt`] just before. The announcement picks the behaviour; the next
//! request, or connection, plays it. A request that nobody announced is answered with 500 and
//! shows in [`Scripted::seen`] without an attempt, so that a client's silent retry is caught.
//!
//! An attempt of another process is announced by nobody: see [`Scripted::unattended`].
//!
//! Delays are tokio's, and therefore real as long as the test does not pause the clock.

#![allow(dead_code, reason = "each test binary uses its own part")]

mod behaviour;
mod http1;
mod play;

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex, MutexGuard},
};

use tokio::{
    net::{TcpListener, TcpSocket, TcpStream},
    sync::watch,
    task::JoinSet,
};

pub(crate) use behaviour::Behaviour;
use behaviour::Fields;

/// A request whose head arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    /// Which attempt it was, from 1; `None` for the warm-up and for an unannounced request.
    pub(crate) attempt: Option<usize>,
    /// Which accepted connection it came on, from 0; two requests with one number shared it.
    pub(crate) connection: usize,
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) headers: Fields,
    /// What of the body was read so far.
    pub(crate) body: Vec<u8>,
    pub(crate) trailers: Fields,
    /// Whether the whole request was read.
    pub(crate) complete: bool,
    /// Whether the client went away while the upstream was reading, waiting or answering.
    pub(crate) abandoned: bool,
}

/// An upstream on a port of 127.0.0.1 that stays its own until it is dropped.
#[derive(Debug)]
pub(crate) struct Scripted {
    addr: SocketAddr,
    shared: Arc<Shared>,
}

impl Scripted {
    /// Binds, and listens unless the script begins with [`Behaviour::Refuse`].
    ///
    /// The i-th attempt plays the i-th behaviour; after the last one, `cycle` starts again and
    /// otherwise the last repeats.
    ///
    /// # Panics
    ///
    /// If the script is empty, refuses after it has listened, or has a blackhole beside anything
    /// but refusals before it: a port cannot stop listening, or lose its backlog, without being
    /// given up.
    pub(crate) async fn start(name: &str, script: Vec<Behaviour>, cycle: bool) -> Self {
        Self::start_with(name, script, cycle, Counting::Announced).await
    }

    /// The same for whoever makes attempts in another process: each request is one, and so is each
    /// connection that is closed unread. What is refused, or falls into a blackhole, is not counted.
    ///
    /// # Panics
    ///
    /// As [`Scripted::start`].
    pub(crate) async fn unattended(name: &str, script: Vec<Behaviour>) -> Self {
        Self::start_with(name, script, false, Counting::Arrived).await
    }

    async fn start_with(
        name: &str,
        script: Vec<Behaviour>,
        cycle: bool,
        counting: Counting,
    ) -> Self {
        assert_playable(&script, cycle);
        let socket = TcpSocket::new_v4().expect("a socket");
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        socket.bind(any).expect("a free port");
        let addr = socket.local_addr().expect("a bound port");
        let shared = Arc::new(Shared {
            name: name.to_owned(),
            script,
            cycle,
            counting,
            log: watch::Sender::new(Log::default()),
            released: watch::Sender::new(false),
            turn: Mutex::default(),
            port: tokio::sync::Mutex::new(Port::Bound(socket)),
            tasks: Mutex::new(Some(JoinSet::new())),
        });
        shared.open_for(shared.behaviour(0)).await;
        Self { addr, shared }
    }

    pub(crate) fn addr(&self) -> SocketAddr {
        self.addr
    }

    pub(crate) fn name(&self) -> &str {
        &self.shared.name
    }

    /// Counts an attempt, and makes the port and the next request play its behaviour.
    ///
    /// If several attempts were begun before their requests arrive, the first request to arrive
    /// plays the newest: an attempt cancelled before it was sent must not shift the later ones.
    ///
    /// A script that starts with [`Behaviour::ReusedReadClose`] takes its first request, begun or
    /// not, as the warm-up, which is not counted.
    pub(crate) async fn begin_attempt(&self) {
        if let Some(behaviour) = self.shared.begin() {
            self.shared.open_for(&behaviour).await;
        }
    }

    /// How many attempts were begun, or have arrived at an unattended upstream.
    pub(crate) fn attempts(&self) -> usize {
        self.shared.log.borrow().attempts
    }

    /// Every request whose head arrived, in order, as far as it was read.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.shared.log.borrow().seen.clone()
    }

    /// Waits until attempt `n`, counted from 1, was begun.
    pub(crate) async fn attempt_started(&self, n: usize) {
        self.wait_for(|log| log.attempts >= n).await;
    }

    /// Waits until `ready` holds of [`Scripted::seen`], and returns it as it was then.
    pub(crate) async fn seen_when(&self, mut ready: impl FnMut(&[Seen]) -> bool) -> Vec<Seen> {
        self.wait_for(|log| ready(&log.seen)).await.seen
    }

    /// Lets every [`Behaviour::HangUntilReleased`] answer, now and later.
    pub(crate) fn release(&self) {
        self.shared.released.send_replace(true);
    }

    /// Closes the port and all connections before it returns.
    pub(crate) async fn stop(&self) {
        let tasks = self.shared.tasks().take();
        if let Some(mut tasks) = tasks {
            tasks.shutdown().await;
        }
        *self.shared.port.lock().await = Port::Given;
    }

    async fn wait_for(&self, ready: impl FnMut(&Log) -> bool) -> Log {
        let mut log = self.shared.log.subscribe();
        let log = log.wait_for(ready).await;
        log.expect("the log outlives its readers").clone()
    }
}

impl Drop for Scripted {
    fn drop(&mut self) {
        // The tasks share what owns them, so nothing else would end them.
        let tasks = self.shared.tasks().take();
        drop(tasks);
    }
}

fn assert_playable(script: &[Behaviour], cycle: bool) {
    let refusals = script.iter().take_while(|b| **b == Behaviour::Refuse);
    let (refusals, rest) = script.split_at(refusals.count());
    assert!(!script.is_empty(), "an upstream needs a behaviour");
    assert!(
        !rest.contains(&Behaviour::Refuse),
        "a port cannot refuse after it has listened: {script:?}"
    );
    let holes = rest.iter().filter(|b| **b == Behaviour::Blackhole).count();
    assert!(
        holes == 0 || holes == rest.len(),
        "a blackhole stays one: {script:?}"
    );
    assert!(
        !cycle || refusals.is_empty() || rest.is_empty(),
        "a cycle would refuse after listening: {script:?}"
    );
}

#[derive(Clone, Debug, Default)]
struct Log {
    attempts: usize,
    seen: Vec<Seen>,
}

/// What a request plays.
#[derive(Debug)]
enum Claim {
    Attempt(usize, Behaviour),
    WarmUp,
    Unannounced,
}

/// What makes an attempt one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Counting {
    Announced,
    Arrived,
}

/// What was announced and not claimed yet.
#[derive(Debug, Default)]
struct Turn {
    unclaimed: Vec<Claim>,
    warmed: bool,
    /// The newest attempt closes connections unread: the idle ones when used, and new ones.
    closes_unread: bool,
}

#[derive(Debug)]
enum Port {
    /// Bound and refusing.
    Bound(TcpSocket),
    /// Listening, with a full backlog.
    Full { _listener: TcpListener },
    /// Owned by the task that accepts, or closed.
    Given,
}

#[derive(Debug)]
struct Shared {
    name: String,
    script: Vec<Behaviour>,
    cycle: bool,
    counting: Counting,
    log: watch::Sender<Log>,
    released: watch::Sender<bool>,
    turn: Mutex<Turn>,
    port: tokio::sync::Mutex<Port>,
    /// `None` once stopped, so that nothing is started after that.
    tasks: Mutex<Option<JoinSet<()>>>,
}

impl Shared {
    fn behaviour(&self, attempt: usize) -> &Behaviour {
        let length = self.script.len();
        let index = match self.cycle {
            true => attempt % length,
            false => attempt.min(length - 1),
        };
        &self.script[index]
    }

    /// The behaviour of the attempt that begins, unless it is the warm-up.
    fn begin(&self) -> Option<Behaviour> {
        let mut turn = self.turn();
        if self.warms_up(&turn) {
            turn.warmed = true;
            turn.unclaimed.push(Claim::WarmUp);
            return None;
        }
        let number = self.log.borrow().attempts + 1;
        let behaviour = self.behaviour(number - 1);
        turn.closes_unread = *behaviour == Behaviour::AcceptClose;
        // No request plays these three, so their claims would go to a later one.
        if !matches!(
            behaviour,
            Behaviour::Refuse | Behaviour::Blackhole | Behaviour::AcceptClose
        ) {
            let claim = Claim::Attempt(number, behaviour.clone());
            turn.unclaimed.push(claim);
        }
        self.log.send_modify(|log| log.attempts = number);
        Some(behaviour.clone())
    }

    fn claim(&self) -> Claim {
        if self.counting == Counting::Arrived {
            self.begin();
        }
        let mut turn = self.turn();
        match turn.unclaimed.pop() {
            Some(claim) => claim,
            None if self.warms_up(&turn) => {
                turn.warmed = true;
                Claim::WarmUp
            }
            None => Claim::Unannounced,
        }
    }

    fn warms_up(&self, turn: &Turn) -> bool {
        !turn.warmed && self.script[0] == Behaviour::ReusedReadClose
    }

    /// Whether a connection, or what came on it, is closed unread; unattended, that is an attempt.
    fn closes_unread(&self) -> bool {
        match self.counting {
            Counting::Announced => self.turn().closes_unread,
            Counting::Arrived => {
                let next = self.behaviour(self.log.borrow().attempts);
                let closes = *next == Behaviour::AcceptClose;
                if closes {
                    self.begin();
                }
                closes
            }
        }
    }

    async fn released(&self) {
        let released = &mut self.released.subscribe();
        // It fails only when the upstream is gone, and this task with it.
        let _ = released.wait_for(|released| *released).await;
    }

    /// Brings the port into the state that `behaviour` needs.
    async fn open_for(self: &Arc<Self>, behaviour: &Behaviour) {
        let mut port = self.port.lock().await;
        if *behaviour == Behaviour::Refuse {
            return;
        }
        *port = match std::mem::replace(&mut *port, Port::Given) {
            Port::Bound(socket) if *behaviour == Behaviour::Blackhole => {
                let listener = self.fill(socket).await.expect("a full backlog");
                Port::Full {
                    _listener: listener,
                }
            }
            Port::Bound(socket) => {
                let listener = socket.listen(128).expect("a bound port can listen");
                self.spawn(accept(listener, Arc::clone(self)));
                Port::Given
            }
            other => other,
        };
    }

    /// Listens with room for one connection, and takes the room.
    async fn fill(&self, socket: TcpSocket) -> io::Result<TcpListener> {
        let listener = socket.listen(0)?;
        let addr = listener.local_addr()?;
        let first = TcpStream::connect(addr).await?;
        self.spawn(async move {
            let _first = first;
            // Takes the room that a kernel may grant beyond the backlog asked for.
            let _more = tokio::join!(TcpStream::connect(addr), TcpStream::connect(addr));
            std::future::pending().await
        });
        Ok(listener)
    }

    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        if let Some(tasks) = self.tasks().as_mut() {
            while tasks.try_join_next().is_some() {}
            tasks.spawn(task);
        }
    }

    fn turn(&self) -> MutexGuard<'_, Turn> {
        self.turn.lock().expect("no panic while the turn is locked")
    }

    fn tasks(&self) -> MutexGuard<'_, Option<JoinSet<()>>> {
        let tasks = self.tasks.lock();
        tasks.expect("no panic while the tasks are locked")
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    for connection in 0.. {
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => continue,
            Err(error) => panic!("{} cannot accept: {error}", shared.name),
        };
        // Without this, what is sent in pieces would not leave in pieces.
        stream.set_nodelay(true).ok();
        if !shared.closes_unread() {
            shared.spawn(play::serve(stream, Arc::clone(&shared), connection));
        }
    }
}
