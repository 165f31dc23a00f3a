//! A real handle in a task that notes whether it was woken.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
};

use bytes::Bytes;
use http_body::{Body, Frame};
use tower_failover::replay::{ReplayBody, ReplayError};

use crate::support::scripted_body::ScriptedBody;

pub(crate) type Polled = Poll<Option<Result<Frame<Bytes>, ReplayError>>>;

pub(crate) struct Handle {
    pub(crate) body: ReplayBody<ScriptedBody>,
    task: Arc<Task>,
    waker: Waker,
    /// Whether it was pending when it was polled last.
    pub(crate) pending: bool,
    /// Whether it was pending in another task before.
    pub(crate) moved: bool,
}

#[derive(Default)]
struct Task(AtomicBool);

impl Wake for Task {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Handle {
    pub(crate) fn new(body: ReplayBody<ScriptedBody>) -> Self {
        let task = Arc::new(Task::default());
        Self {
            body,
            waker: Arc::clone(&task).into(),
            task,
            pending: false,
            moved: false,
        }
    }

    pub(crate) fn poll(&mut self) -> Polled {
        self.task.0.store(false, Ordering::Relaxed);
        let mut cx = Context::from_waker(&self.waker);
        let polled = Pin::new(&mut self.body).poll_frame(&mut cx);
        self.pending = polled.is_pending();
        self.moved &= self.pending;
        polled
    }

    /// What happens to the old task counts no more.
    pub(crate) fn move_to_another_task(&mut self) {
        self.moved = self.pending;
        self.task = Arc::new(Task::default());
        self.waker = Arc::clone(&self.task).into();
    }

    pub(crate) fn is_woken(&self) -> bool {
        self.task.0.load(Ordering::Relaxed)
    }

    /// Whether it sleeps until it is woken.
    pub(crate) fn is_asleep(&self) -> bool {
        self.pending && !self.is_woken()
    }
}
