//! A timer for the heads of a connection's requests.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};

use hyper::rt::{Sleep, Timer};

/// hyper's server asks for a sleep whenever it waits for a head, and drops it when that is there. To register each with
/// the runtime and take it back costs some 1,500 instructions a request; here a connection has one, which runs on from
/// request to request: when it goes off, and nothing is over yet, it is set anew.
///
/// It serves one connection, which has one such sleep at a time, and one timeout for all heads: a deadline that is sooner than
/// the one before it would be late.
#[derive(Clone, Default)]
pub(crate) struct HeadTimer {
    kept: Kept,
}

type Kept = Arc<Mutex<Option<Pin<Box<tokio::time::Sleep>>>>>;

impl Timer for HeadTimer {
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Sleep>> {
        self.sleep_until(Instant::now() + duration)
    }

    fn sleep_until(&self, deadline: Instant) -> Pin<Box<dyn Sleep>> {
        let kept = self
            .kept
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        let sleep = kept.unwrap_or_else(|| Box::pin(tokio::time::sleep_until(deadline.into())));
        Box::pin(HeadSleep {
            deadline,
            sleep: Some(sleep),
            kept: Arc::clone(&self.kept),
        })
    }

    fn reset(&self, sleep: &mut Pin<Box<dyn Sleep>>, deadline: Instant) {
        if let Some(sleep) = sleep.as_mut().downcast_mut_pin::<HeadSleep>() {
            sleep.get_mut().deadline = deadline;
        }
    }
}

struct HeadSleep {
    deadline: Instant,
    /// It goes off no later than the deadline; `None` once it is given back.
    sleep: Option<Pin<Box<tokio::time::Sleep>>>,
    kept: Kept,
}

impl Future for HeadSleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        let Some(sleep) = &mut this.sleep else {
            return Poll::Ready(());
        };
        loop {
            ready!(sleep.as_mut().poll(cx));
            if this.deadline <= sleep.deadline().into_std() {
                return Poll::Ready(());
            }
            sleep.as_mut().reset(this.deadline.into());
        }
    }
}

impl Sleep for HeadSleep {}

impl Drop for HeadSleep {
    fn drop(&mut self) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        *kept = self.sleep.take();
    }
}

impl fmt::Debug for HeadTimer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HeadTimer").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[tokio::test(start_paused = true)]
    async fn goes_off_when_its_time_is_over_and_not_before() {
        let timer = HeadTimer::default();
        for _ in 0..3 {
            let begun = tokio::time::Instant::now();
            timer.sleep_until(begun.into_std() + MINUTE).await;
            assert_eq!(begun.elapsed(), MINUTE);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_was_dropped_shortens_no_other() {
        let timer = HeadTimer::default();
        for _ in 0..5 {
            let begun = tokio::time::Instant::now();
            let sleep = timer.sleep_until(begun.into_std() + MINUTE);
            assert!(tokio::time::timeout(MINUTE / 2, sleep).await.is_err());
        }
        let begun = tokio::time::Instant::now();
        timer.sleep_until(begun.into_std() + MINUTE).await;
        assert_eq!(begun.elapsed(), MINUTE);
    }

    #[tokio::test(start_paused = true)]
    async fn can_be_put_off() {
        let timer = HeadTimer::default();
        let begun = tokio::time::Instant::now();
        let mut sleep = timer.sleep_until(begun.into_std() + MINUTE);
        timer.reset(&mut sleep, begun.into_std() + 2 * MINUTE);
        sleep.await;
        assert_eq!(begun.elapsed(), 2 * MINUTE);
    }
}
