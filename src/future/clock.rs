use std::time::Duration;

use http::request::Parts;
use tokio::time::Instant;

use crate::{
    head::Head,
    limits::{Deadline, Limits},
    policy::Attempt,
    replay::Check,
    trail::Trail,
};

/// The times that bound one request.
pub(super) struct Clock {
    /// When the request came.
    pub(super) started: Instant,
    /// When it ends.
    pub(super) deadline: Option<Instant>,
    /// When the attempt in flight began.
    pub(super) begun: Instant,
    /// When the next attempt may begin.
    pub(super) next: Instant,
}

impl Clock {
    pub(super) fn start(limits: &Limits, head: &Parts) -> Self {
        let started = Instant::now();
        // A deadline too far away to be named is none.
        let set = limits.deadline.and_then(|after| started.checked_add(after));
        let asked = head.extensions.get().map(|Deadline(at)| *at);
        Self {
            started,
            deadline: set.into_iter().chain(asked).min(),
            begun: started,
            next: started,
        }
    }

    /// Plans the next attempt for after `delay`, or says why there cannot be one.
    pub(super) fn plan(
        &mut self,
        delay: Duration,
        window: Option<Duration>,
    ) -> Result<(), &'static str> {
        let now = Instant::now();
        let Some(next) = now.checked_add(delay) else {
            return Err("delay does not end");
        };
        if self.deadline.is_some_and(|deadline| next >= deadline) {
            return Err("deadline");
        }
        if window.is_some_and(|window| next.duration_since(self.started) > window) {
            return Err("retry window");
        }
        self.next = next;
        Ok(())
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
        }
    }
}
