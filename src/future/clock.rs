use std::time::Duration;

use http::request::Parts;
use tokio::time::Instant;

use crate::{
    head::Head,
    limits::{Deadline, Limits},
    policy::Attempt,
    replay::Check,
    trail::Ended,
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

/// The times that bound one request, within its layer's limits.
pub(super) struct Clock {
    /// When the request came.
    started: Instant,
    /// When it ends.
    deadline: Option<Instant>,
    /// Whether the attempt in flight may take longer than the per-try timeout.
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
        let asked = head.extensions.get().map(|Deadline(at)| *at);
        let told = limits.deadline_from.iter();
        let told = told.filter_map(|header| started.checked_add(header.read(&head.headers)?));
        let own = after(started, limits.deadline);
        Self {
            started,
            deadline: own.into_iter().chain(asked).chain(told).min(),
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
    pub(super) fn left(&self, limits: &Limits, lifted: bool) -> Option<Duration> {
        let now = Instant::now();
        let deadline = self.deadline.map(|at| at.saturating_duration_since(now));
        let per_try = limits.per_try_timeout.filter(|_| !lifted);
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
    pub(super) fn plan(&mut self, limits: &Limits, delay: Duration) -> Result<(), &'static str> {
        let Some(next) = Instant::now().checked_add(delay) else {
            return Err("deadline");
        };
        if self.deadline.is_some_and(|deadline| next >= deadline) {
            return Err("deadline");
        }
        if self.window(limits).is_some_and(|window| next > window) {
            return Err("retry window");
        }
        self.next = next;
        Ok(())
    }

    /// Why the attempt in flight has taken too long, if it has, when it has been the peer's turn
    /// `since` then; without a per-try timeout that is not asked.
    pub(super) fn overdue(
        &self,
        limits: &Limits,
        since: impl FnOnce() -> Option<Instant>,
    ) -> Option<Ended> {
        if self.deadline.is_none() && limits.per_try_timeout.is_none() {
            return None;
        }
        let now = Instant::now();
        let passed = |at: Option<Instant>| at.is_some_and(|at| at <= now);
        if passed(self.deadline) {
            Some(Ended::Deadline)
        } else if passed(self.try_end(limits, since)) {
            Some(Ended::TimedOut)
        } else {
            None
        }
    }

    /// Whether the deadline is none that the request asked for, and more than half of the time until then was the
    /// turn of the peer that is there now, since `since`: it has taken too long, whoever the client is.
    pub(super) fn was_wasted(
        &self,
        limits: &Limits,
        since: impl FnOnce() -> Option<Instant>,
    ) -> bool {
        let own = after(self.started, limits.deadline);
        let own = own.filter(|own| self.deadline == Some(*own));
        let (Some(own), Some(since)) = (own, since()) else {
            return false;
        };
        let had = own.saturating_duration_since(since.max(self.called));
        had > own.saturating_duration_since(self.started) / 2
    }

    /// When [`overdue`](Self::overdue) is to be asked again.
    pub(super) fn next_check(
        &self,
        limits: &Limits,
        since: impl FnOnce() -> Option<Instant>,
    ) -> Option<Instant> {
        // While it is not the peer's turn, its time cannot end sooner than if it were from now on.
        let per_try = self.try_end(limits, || since().or_else(|| Some(Instant::now())));
        self.deadline.into_iter().chain(per_try).min()
    }

    fn try_end(&self, limits: &Limits, since: impl FnOnce() -> Option<Instant>) -> Option<Instant> {
        let limit = limits.per_try_timeout.filter(|_| !self.lifted)?;
        since()?.max(self.begun).checked_add(limit)
    }

    /// Why it is too late to start the attempt that has begun, if it is.
    pub(super) fn late(&self, limits: &Limits) -> Option<Late> {
        let window = self.window(limits);
        if self.deadline.is_none() && window.is_none() && limits.per_try_timeout.is_none() {
            return None;
        }
        let now = Instant::now();
        let passed = |at: Option<Instant>| at.is_some_and(|at| at <= now);
        if passed(self.deadline) {
            Some(Late::Deadline)
        } else if window.is_some_and(|window| window < now) {
            Some(Late::Window)
        } else if passed(self.try_end(limits, || Some(self.begun))) {
            Some(Late::Try)
        } else {
            None
        }
    }

    /// When [`late`](Self::late) is to be asked again.
    pub(super) fn next_late(&self, limits: &Limits) -> Option<Instant> {
        let try_end = self.try_end(limits, || Some(self.begun));
        let window = self
            .window(limits)
            .and_then(|window| window.checked_add(TICK));
        [self.deadline, window, try_end].into_iter().flatten().min()
    }

    /// What a policy may know.
    pub(super) fn view<'a>(
        &self,
        limits: &Limits,
        head: &'a Head,
        replay: &'a dyn Check,
    ) -> Attempt<'a> {
        Attempt {
            head,
            replay,
            started: self.started,
            deadline: self.deadline,
            window: self.window(limits),
        }
    }

    /// Until when another attempt may begin.
    fn window(&self, limits: &Limits) -> Option<Instant> {
        after(self.started, limits.retry_window)
    }
}

/// A time too far away to be named is none.
fn after(start: Instant, limit: Option<Duration>) -> Option<Instant> {
    limit.and_then(|limit| start.checked_add(limit))
}
