use std::{fmt, sync::Arc};

use http::StatusCode;
use tracing::debug;

use super::health::{Ejection, Health};
use crate::{
    failure::{Classify, FailureKind, KnownErrors},
    trail::{Ended, Trail},
};

/// One exchange with a peer, from the call until the end of the response's body: it tells the peer's
/// health how it went.
///
/// *Worth retrying* and *unhealthy* are different questions: a 404 never counts, nor does a client
/// that goes away, a request body that fails, or an overload of our own.
pub(super) struct Exchange {
    health: Arc<Health>,
    ejection: Ejection,
    trail: Option<Trail>,
    settled: bool,
}

impl Exchange {
    pub(super) fn begin(health: Arc<Health>, ejection: Ejection, trail: Option<Trail>) -> Self {
        Self {
            health,
            ejection,
            trail,
            settled: false,
        }
    }

    /// The service failed.
    pub(super) fn failed(&mut self, error: &(dyn std::error::Error + 'static)) {
        let evidence = KnownErrors.classify(error);
        match evidence.map(|evidence| evidence.kind) {
            Some(FailureKind::RequestBody | FailureKind::Overload | FailureKind::NoPeer) => {
                self.settled = true;
            }
            _ => self.charge(),
        }
    }

    /// A response head arrived.
    pub(super) fn answered(&mut self, status: StatusCode) {
        if matches!(
            status,
            StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT
        ) {
            self.charge();
        }
    }

    /// The response's body arrived whole.
    pub(super) fn completed(&mut self) {
        if !self.settled {
            self.settled = true;
            self.health.succeeded();
        }
    }

    /// The response's body broke off.
    pub(super) fn broken(&mut self) {
        self.charge();
    }

    fn charge(&mut self) {
        if self.settled {
            return;
        }
        self.settled = true;
        if self.health.failed(self.ejection) {
            let peer = self.health.peer();
            debug!(%peer, period = ?self.ejection.period, "peer ejected");
        }
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        let ended = self.trail.as_ref().and_then(Trail::ended);
        // Dropped before its end: the peer's fault only if its time was up.
        if ended == Some(Ended::TimedOut) {
            self.charge();
        }
    }
}

impl fmt::Debug for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exchange")
            .field("peer", self.health.peer())
            .finish_non_exhaustive()
    }
}
