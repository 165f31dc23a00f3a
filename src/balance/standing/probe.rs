use std::sync::{Arc, atomic::Ordering::Relaxed};

use super::{Siblings, Standing};

/// The one request that may show whether a peer is well, for as long as it has not.
///
/// It is that for a time only: one that is never answered, or an upload that never ends, would else keep the peer out
/// for ever, and with it all others that wait to be asked.
pub(in crate::balance) struct Probe {
    standing: Arc<Standing>,
    siblings: Arc<dyn Siblings>,
    /// When it gives way to another, in milliseconds since the origin. It tells one of the peer's from the next.
    until: u64,
}

impl Probe {
    /// There is one a peer, and only so many in all: when many peers recover, most requests go to those that
    /// are known to be well.
    pub(super) fn claim(standing: &Arc<Standing>, now_ms: u64, until: u64) -> Option<Self> {
        let siblings = standing.siblings.upgrade()?;
        let before = standing.probing_until.load(Relaxed);
        if before > now_ms || !siblings.begin_probe(now_ms, until) {
            return None;
        }
        let claimed = standing
            .probing_until
            .compare_exchange(before, until, Relaxed, Relaxed);
        if claimed.is_err() {
            siblings.end_probe(until);
            return None;
        }
        Some(Self {
            standing: Arc::clone(standing),
            siblings,
            until,
        })
    }
}

impl Drop for Probe {
    fn drop(&mut self) {
        // Another may have taken its place.
        let _ = self
            .standing
            .probing_until
            .compare_exchange(self.until, 0, Relaxed, Relaxed);
        self.siblings.end_probe(self.until);
    }
}
