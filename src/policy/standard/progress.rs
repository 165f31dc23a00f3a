use std::time::Duration;

use tokio::time::Instant;

use crate::limits::Delays;

/// What one request has come through; made when it first fails.
#[derive(Default)]
pub(super) struct Progress {
    /// The delays that are left, once one was needed.
    delays: Option<Box<dyn Iterator<Item = Duration> + Send + Sync>>,
    /// Before when no peer that was tried wants to be called.
    not_before: Option<Instant>,
    /// How often the present peer was tried again.
    stayed: u32,
}

impl Progress {
    /// A peer asked to be left alone for a time, which is jittered upward only.
    pub(super) fn leave_alone(&mut self, wait: Duration) {
        let wait = wait.mul_f64(1.0 + fastrand::f64() / 2.0);
        let at = Instant::now().checked_add(wait);
        self.not_before = self.not_before.max(at);
    }

    /// The service said when to come: the delays begin anew.
    pub(super) fn start_over(&mut self) {
        self.delays = None;
    }

    /// How long to wait before a peer that may have been tried; `None` when there are no more delays.
    ///
    /// A time that was asked for stands in place of the next delay, which is not used up.
    pub(super) fn delay(&mut self, delays: &dyn Delays) -> Option<Duration> {
        let now = Instant::now();
        match self.not_before.filter(|at| *at > now) {
            Some(at) => Some(at - now),
            None => self.delays.get_or_insert_with(|| delays.series()).next(),
        }
    }

    /// Counts another attempt at the same peer, if fewer than `most` were made.
    pub(super) fn stay(&mut self, most: u32) -> bool {
        let stays = self.stayed < most;
        self.stayed = if stays { self.stayed + 1 } else { 0 };
        stays
    }
}
