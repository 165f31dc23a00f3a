use std::{
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::{task::yield_now, time::Instant};

use super::{
    connector::{Connect, Connecting},
    exchange::Exchange,
    flight::{self, Flight},
    http2::{Http2, KeepAlive},
    origins::Origins,
    place::Place,
    reaper,
};

/// A server, and the connections to it that take a request at once.
///
/// A request locks them once to take one, and once to give it back.
pub(super) struct Origin<B> {
    place: Place,
    lines: Mutex<Lines<B>>,
    settings: Settings,
    connector: Arc<dyn Connect<B>>,
    origins: Weak<Origins<B>>,
    reaping: Arc<AtomicBool>,
}

/// How connections are made and kept.
#[derive(Clone, Copy, Debug)]
pub(super) struct Settings {
    pub(super) http2: bool,
    pub(super) keep_alive: Option<KeepAlive>,
    pub(super) connect_timeout: Duration,
    pub(super) idle_timeout: Duration,
}

struct Lines<B> {
    /// The last was used last, and is taken first.
    idle: Vec<Pin<Box<dyn Exchange<B>>>>,
    shared: Option<Shared<B>>,
    /// The connection that is being made for everyone.
    flight: Option<Flight>,
}

struct Shared<B> {
    connection: Http2<B>,
    idle_since: Instant,
}

/// A connection that takes a request.
pub(super) enum Line<B> {
    Http1(Pin<Box<dyn Exchange<B>>>),
    Http2(Http2<B>),
}

/// So many connections are looked at under one lock, and on one turn of a task.
const BATCH: usize = 16;

impl<B> Origin<B> {
    pub(super) fn new(
        place: Place,
        settings: Settings,
        connector: Arc<dyn Connect<B>>,
        origins: Weak<Origins<B>>,
        reaping: Arc<AtomicBool>,
    ) -> Self {
        let lines = Lines {
            idle: Vec::new(),
            shared: None,
            flight: None,
        };
        Self {
            place,
            lines: Mutex::new(lines),
            settings,
            connector,
            origins,
            reaping,
        }
    }

    pub(super) fn settings(&self) -> Settings {
        self.settings
    }

    pub(super) fn place(&self) -> &Place {
        &self.place
    }

    /// A connection that is there.
    pub(super) fn take(&self) -> Option<Line<B>> {
        let mut lines = self.lines();
        match lines.open() {
            Some(shared) => Some(Line::Http2(shared)),
            None => lines.idle.pop().map(Line::Http1),
        }
    }

    /// The connection that requests share.
    pub(super) fn shared(&self) -> Option<Http2<B>> {
        self.lines().open()
    }

    /// Drops what was closed or idle for too long.
    pub(super) async fn sweep(&self) {
        let now = Instant::now();
        let timeout = self.settings.idle_timeout;
        let closed = self.lines().sweep_shared(now, timeout);
        drop(closed);
        let mut looked = 0;
        loop {
            let (closed, more) = {
                let mut lines = self.lines();
                let closed = lines.sweep_idle(&mut looked, now, timeout);
                (closed, looked < lines.idle.len())
            };
            drop(closed);
            if !more {
                return;
            }
            yield_now().await;
        }
    }

    /// Whether there is no connection to be looked after.
    pub(super) fn is_empty(&self) -> bool {
        let lines = self.lines();
        lines.idle.is_empty() && lines.shared.is_none()
    }

    fn lines(&self) -> MutexGuard<'_, Lines<B>> {
        // Every write is complete in itself.
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<B: Send + 'static> Origin<B> {
    /// Shares a connection, unless one is shared already; the one that is.
    pub(super) fn share(&self, connection: Http2<B>) -> Http2<B> {
        let mut lines = self.lines();
        if let Some(open) = lines.open() {
            return open;
        }
        lines.shared = Some(Shared {
            connection: connection.clone(),
            idle_since: Instant::now(),
        });
        drop(lines);
        self.reap();
        connection
    }

    /// Keeps an idle connection for the next request.
    pub(super) fn put(&self, connection: Pin<Box<dyn Exchange<B>>>) {
        if self.settings.idle_timeout.is_zero() {
            return;
        }
        self.lines().idle.push(connection);
        self.reap();
    }

    fn reap(&self) {
        if !self.reaping.load(Ordering::Relaxed) {
            reaper::start(&self.origins, &self.reaping, self.settings.idle_timeout);
        }
    }

    /// Makes a connection; in HTTP/2, one for all who ask for it meanwhile.
    pub(super) fn connect(self: &Arc<Self>) -> Connecting<B> {
        if self.settings.http2 {
            Box::pin(flight::join(Arc::clone(self), Arc::clone(&self.connector)))
        } else {
            self.connector.connect(Arc::clone(self))
        }
    }

    /// The flight that is under way, or one that begins.
    pub(super) fn flight(&self, begin: impl FnOnce() -> Flight) -> Flight {
        let mut lines = self.lines();
        match &lines.flight {
            Some(flight) if flight.is_under_way() => flight.clone(),
            _ => lines.flight.insert(begin()).clone(),
        }
    }

    /// Keeps a connection that was made for nobody in particular.
    pub(super) fn keep(&self, line: Line<B>) {
        match line {
            Line::Http1(connection) => self.put(connection),
            Line::Http2(connection) => drop(self.share(connection)),
        }
    }
}

impl<B> Lines<B> {
    fn open(&mut self) -> Option<Http2<B>> {
        let connection = &self.shared.as_ref()?.connection;
        if connection.is_open() {
            connection.set_used();
            return Some(connection.clone());
        }
        self.shared = None;
        None
    }

    fn sweep_shared(&mut self, now: Instant, timeout: Duration) -> Option<Shared<B>> {
        let shared = self.shared.as_mut()?;
        if shared.connection.take_used() {
            shared.idle_since = now;
        }
        let idle = now.saturating_duration_since(shared.idle_since);
        let stays = shared.connection.is_open() && idle < timeout;
        if stays { None } else { self.shared.take() }
    }

    /// Looks at a batch from `looked` on, and moves that on; what must be closed is returned.
    fn sweep_idle(
        &mut self,
        looked: &mut usize,
        now: Instant,
        timeout: Duration,
    ) -> Vec<Pin<Box<dyn Exchange<B>>>> {
        let mut closed = Vec::new();
        for _ in 0..BATCH {
            let Some(connection) = self.idle.get_mut(*looked) else {
                break;
            };
            if connection.as_mut().stays_idle(now, timeout) {
                *looked += 1;
            } else {
                closed.push(self.idle.remove(*looked));
            }
        }
        closed
    }
}
