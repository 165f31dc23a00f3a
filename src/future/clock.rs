use std::time::Duration;

use http::request::Parts;
use tokio::time::Instant;

use crate::{
    head::Head,
    limits::{Deadline, Limits},
    policy::Attempt,
    replay::Check,
    trail::{Ended, Trail},
};

/// Why it is too late to start another attempt.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Late {
    Deadline,
    Window,
    /// The peer's time for this attempt has passed before it could start.
    Try,
}

/// The retry window includes its end; this is behind it.
const TICK: Duration = Duration::from_millis(1);

/// The times that bound one request.
pub(super) struct Clock {
    /// When the request came.
    started: Instant,
    /// When it ends.
    deadline: Option<Instant>,
    /// When it ends at the latest, unless the request asks for less.
    own_deadline: Option<Instant>,
    /// Until when another attempt may begin.
    window: Option<Instant>,
    per_try_timeout: Option<Duration>,
    /// Whether the attempt in flight may take longer than that.
    lifted: bool,
    /// When the attempt in flight began.
    begun: Instant,
    /// When the service below was called for it.
    called: Instant,
    /// When the next attempt may begin.
    next: Instant,
}

impl Clock {
    pub(super) fn start(limits: &Limits, head: &Parts) -> Self {
        let started = Instant::now();
        // A time too far away to be named is none.
        let after = |limit: Option<Duration>| limit.and_then(|limit| started.checked_add(limit));
        let asked = head.extensions.get().map(|Deadline(at)| *at);
        let told = limits.deadline_from.iter();
        let told = told.filter_map(|header| after(header.read(&head.headers)));
        let own = after(limits.deadline);
        Self {
            started,
            deadline: own.into_iter().chain(asked).chain(told).min(),
            own_deadline: own,
            window: after(limits.retry_window),
            per_try_timeout: limits.per_try_timeout,
            lifted: false,
            begun: started,
            called: started,
            next: started,
        }
    }

    /// Whether the time was over when the request came.
    pub(super) fn is_over(&self) -> bool {
        self.deadline
            .is_some_and(|deadline| deadline <= self.started)
    }

    /// The time that the attempt which begins has left, if there is any limit; `lifted` says whether the
    /// per-try timeout is none.
    pub(super) fn left(&self, lifted: bool) -> Option<Duration> {
        let now = Instant::now();
        let deadline = self.deadline.map(|at| at.saturating_duration_since(now));
        let per_try = self.per_try_timeout.filter(|_| !lifted);
        deadline.into_iter().chain(per_try).min()
    }

    /// The attempt in flight may go on until the deadline.
    pub(super) fn lift(&mut self) {
        self.lifted = true;
    }

    pub(super) fn begun(&self) -> Instant {
        self.begun
    }

    pub(super) fn next_start(&self) -> Instant {
        self.next
    }

    /// The service below is called.
    pub(super) fn call(&mut self) {
        self.called = Instant::now();
    }

    /// An attempt begins.
    pub(super) fn begin(&mut self) {
        self.begun = Instant::now();
        self.lifted = false;
    }

    /// Plans the next attempt for after `delay`, or says why there cannot be one.
    pub(super) fn plan(&mut self, delay: Duration) -> Result<(), &'static str> {
        let Some(next) = Instant::now().checked_add(delay) else {
            return Err("deadline");
        };
        if self.deadline.is_some_and(|deadline| next >= deadline) {
            return Err("deadline");
        }
        if self.window.is_some_and(|window| next > window) {
            return Err("retry window");
        }
        self.next = next;
        Ok(())
    }

    /// Why the attempt in flight has taken too long, if it has, when it has been the peer's turn
    /// `since` then; without a per-try timeout that is not asked.
    pub(super) fn overdue(&self, since: impl FnOnce() -> Option<Instant>) -> Option<Ended> {
        if self.deadline.is_none() && self.per_try_timeout.is_none() {
            return None;
        }
        let now = Instant::now();
        let passed = |at: Option<Instant>| at.is_some_and(|at| at <= now);
        if passed(self.deadline) {
            Some(Ended::Deadline)
        } else if passed(self.try_end(since)) {
            Some(Ended::TimedOut)
        } else {
            None
        }
    }

    /// Whether the deadline is none that the request asked for, and more than half of the time until then was the
    /// turn of the peer that is there now, since `since`: it has taken too long, whoever the client is.
    pub(super) fn was_wasted(&self, since: impl FnOnce() -> Option<Instant>) -> bool {
        let own = self.own_deadline.filter(|own| self.deadline == Some(*own));
        let (Some(own), Some(since)) = (own, since()) else {
            return false;
        };
        let had = own.saturating_duration_since(since.max(self.called));
        had > own.saturating_duration_since(self.started) / 2
    }

    /// When [`overdue`](Self::overdue) is to be asked again.
    pub(super) fn next_check(&self, since: impl FnOnce() -> Option<Instant>) -> Option<Instant> {
        // While it is not the peer's turn, its time cannot end sooner than if it were from now on.
        let per_try = self.try_end(|| since().or_else(|| Some(Instant::now())));
        self.deadline.into_iter().chain(per_try).min()
    }

    fn try_end(&self, since: impl FnOnce() -> Option<Instant>) -> Option<Instant> {
        let limit = self.per_try_timeout.filter(|_| !self.lifted)?;
        since()?.max(self.begun).checked_add(limit)
    }

    /// Why it is too late to start the attempt that has begun, if it is.
    pub(super) fn late(&self) -> Option<Late> {
        if self.deadline.is_none() && self.window.is_none() && self.per_try_timeout.is_none() {
            return None;
        }
        let now = Instant::now();
        let passed = |at: Option<Instant>| at.is_some_and(|at| at <= now);
        if passed(self.deadline) {
            Some(Late::Deadline)
        } else if self.window.is_some_and(|window| window < now) {
            Some(Late::Window)
        } else if passed(self.try_end(|| Some(self.begun))) {
            Some(Late::Try)
        } else {
            None
        }
    }

    /// When [`late`](Self::late) is to be asked again.
    pub(super) fn next_late(&self) -> Option<Instant> {
        let try_end = self.try_end(|| Some(self.begun));
        let window = self.window.and_then(|window| window.checked_add(TICK));
        [self.deadline, window, try_end].into_iter().flatten().min()
    }

    /// What a policy may know.
    pub(super) fn view<'a>(
        &self,
        head: &'a Head,
        trail: &'a Trail,
        replay: &'a dyn Check,
    ) -> Attempt<'a> {
        Attempt {
            head,
            trail,
            replay,
            started: self.started,
            deadline: self.deadline,
            window: self.window,
        }
    }
}
