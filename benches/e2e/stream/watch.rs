//! A process' memory while something goes on.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use super::MIB;
use crate::{
    Result,
    measuring::{peak_memory, resident_memory},
};

const INTERVAL: Duration = Duration::from_millis(50);

/// Buffers have grown to their size by then, and what is kept to be sent again has been given up.
const SETTLED: u64 = 8 * MIB;

/// Resident memory, in MiB.
#[derive(Clone, Copy, Debug)]
pub(super) struct Watch {
    pub(super) before: f64,
    /// At the first look after the first MiB had passed.
    pub(super) level: f64,
    /// From then on.
    pub(super) most: f64,
    /// From the start of the process on, between the looks as well.
    pub(super) peak: f64,
    pub(super) elapsed: Duration,
}

impl Watch {
    /// Looks at a process while this is done.
    pub(super) fn during(
        pid: u32,
        passed: &Arc<AtomicU64>,
        work: impl FnOnce() -> Result<()>,
    ) -> Result<Self> {
        let before = resident_memory(pid)?;
        let began = Instant::now();
        let done = AtomicBool::new(false);
        let (worked, looks) = thread::scope(|scope| {
            let looks = scope.spawn(|| look(pid, passed, &done));
            let worked = work();
            done.store(true, Ordering::Relaxed);
            (worked, looks.join())
        });
        let elapsed = began.elapsed();
        worked?;
        let looks = looks.map_err(|_| "nobody has watched")??;
        let level = *looks.first().ok_or("it was over before anybody looked")?;
        let most = looks.into_iter().fold(level, f64::max);
        Ok(Self {
            before,
            level,
            most,
            // The kernel looks less often than it might.
            peak: peak_memory(pid)?.max(most),
            elapsed,
        })
    }
}

/// Looks until it is done, and once more; what passed first is not told.
fn look(pid: u32, passed: &AtomicU64, done: &AtomicBool) -> io::Result<Vec<f64>> {
    let mut looks = Vec::new();
    loop {
        let last = done.load(Ordering::Relaxed);
        let settled = passed.load(Ordering::Relaxed) >= SETTLED;
        if settled {
            looks.push(resident_memory(pid)?);
        }
        if last {
            return Ok(looks);
        }
        // Until then, more often: a machine may pass a hundred MiB in one interval.
        thread::sleep(if settled { INTERVAL } else { INTERVAL / 50 });
    }
}
