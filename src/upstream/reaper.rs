use std::{
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::{runtime::Handle, time::sleep};

use super::origins::Origins;

/// How often idle connections are looked at. One that is closed by its peer may stay open on this side for
/// that long; no request is sent on it.
const PERIOD: Duration = Duration::from_secs(1);

/// Starts the one task that looks after a pool's idle connections, unless it runs.
///
/// It ends when there are none, or no pool.
pub(super) fn start<B: Send + 'static>(
    pool: &Weak<Origins<B>>,
    reaping: &Arc<AtomicBool>,
    timeout: Duration,
) {
    // Without a runtime, the next that becomes idle will start it.
    let Ok(runtime) = Handle::try_current() else {
        return;
    };
    if !reaping.swap(true, Ordering::AcqRel) {
        let running = Running(Arc::clone(reaping));
        let period = PERIOD.min(timeout).max(Duration::from_millis(1));
        runtime.spawn(run(Weak::clone(pool), running, period));
    }
}

/// Says that the task runs; also when its runtime ends it, that it does not.
struct Running(Arc<AtomicBool>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

async fn run<B: Send + 'static>(pool: Weak<Origins<B>>, running: Running, period: Duration) {
    loop {
        sleep(period).await;
        let Some(origins) = pool.upgrade() else {
            return;
        };
        for origin in origins.all() {
            origin.sweep().await;
        }
        if origins.are_empty() {
            break;
        }
    }
    let reaping = Arc::clone(&running.0);
    drop(running);
    // One that became idle before that has started nothing.
    if let Some(origins) = pool.upgrade() {
        if !origins.are_empty() {
            start(&pool, &reaping, period);
        }
    }
}
