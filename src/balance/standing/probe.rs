use std::sync::{Arc, atomic::Ordering::Relaxed};

use super::{Siblings, Standing};

/// The one request that may show whether a peer is well, for as long as it has not.
pub(in crate::balance) struct Probe {
    standing: Arc<Standing>,
    siblings: Arc<dyn Siblings>,
}

impl Probe {
    /// There is one a peer, and only so many in all: when many peers recover, most requests go to those that
    /// are known to be well.
    pub(super) fn claim(standing: &Arc<Standing>) -> Option<Self> {
        let siblings = standing.siblings.upgrade()?;
        standing
            .probing
            .compare_exchange(false, true, Relaxed, Relaxed)
            .ok()?;
        if !siblings.begin_probe() {
            standing.probing.store(false, Relaxed);
            return None;
        }
        Some(Self {
            standing: Arc::clone(standing),
            siblings,
        })
    }
}

impl Drop for Probe {
    fn drop(&mut self) {
        self.standing.probing.store(false, Relaxed);
        self.siblings.end_probe();
    }
}
