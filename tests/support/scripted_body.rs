//! A request body that does what its script says, and counts how often it is asked.

use std::{
    cell::Cell,
    collections::VecDeque,
    fmt,
    marker::PhantomData,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};

/// What one poll of the body yields.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    Data(Bytes),
    Trailers(HeaderMap),
    /// Nothing yet, until the script is pushed on or woken.
    Pending,
    Fail(&'static str),
    Panic,
    End,
}

/// The test's end of a [`ScriptedBody`].
#[derive(Clone, Debug)]
pub(crate) struct Script(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    steps: VecDeque<Step>,
    polls: usize,
    yielded: u64,
    over: bool,
    dropped: bool,
    waker: Option<Waker>,
}

/// A body that yields its script's steps, and is pending behind the last of them.
///
/// It is not `Sync`, knows the waker of its latest poll only, and panics if it is polled after its end
/// or its failure.
#[derive(Debug)]
pub(crate) struct ScriptedBody {
    script: Script,
    length: Option<u64>,
    tells_end: bool,
    not_sync: PhantomData<Cell<()>>,
}

/// What a failing script yields.
#[derive(Debug)]
pub(crate) struct Failed(&'static str);

impl ScriptedBody {
    /// A body of unknown length that does not tell its end before it is asked.
    pub(crate) fn new(steps: impl IntoIterator<Item = Step>) -> (Self, Script) {
        let script = Script(Arc::new(Mutex::new(State {
            steps: steps.into_iter().collect(),
            ..State::default()
        })));
        let body = Self {
            script: script.clone(),
            length: None,
            tells_end: false,
            not_sync: PhantomData,
        };
        (body, script)
    }

    /// Promises `length` bytes, as a `Content-Length` does.
    pub(crate) fn of_length(mut self, length: u64) -> Self {
        self.length = Some(length);
        self
    }

    /// Tells its end as soon as nothing but the end is left, as an HTTP/2 stream does.
    pub(crate) fn telling_its_end(mut self) -> Self {
        self.tells_end = true;
        self
    }
}

impl Script {
    /// Adds a step, and wakes whoever waits.
    pub(crate) fn push(&self, step: Step) {
        self.lock().steps.push_back(step);
        self.wake();
    }

    /// Adds a step, and wakes nobody.
    pub(crate) fn push_silently(&self, step: Step) {
        self.lock().steps.push_back(step);
    }

    /// Wakes whoever polled last.
    pub(crate) fn wake(&self) {
        let waker = self.lock().waker.take();
        waker.into_iter().for_each(Waker::wake);
    }

    pub(crate) fn polls(&self) -> usize {
        self.lock().polls
    }

    /// Steps that were not yielded yet.
    pub(crate) fn left(&self) -> usize {
        self.lock().steps.len()
    }

    pub(crate) fn next(&self) -> Option<Step> {
        self.lock().steps.front().cloned()
    }

    pub(crate) fn is_dropped(&self) -> bool {
        self.lock().dropped
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Body for ScriptedBody {
    type Data = Bytes;
    type Error = Failed;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Failed>>> {
        let mut state = self.script.lock();
        state.polls += 1;
        assert!(!state.over, "body polled after its end");
        // Only the latest poll counts.
        state.waker = None;
        match state.steps.pop_front() {
            None | Some(Step::Pending) => {
                state.waker = Some(cx.waker().clone());
                Poll::Pending
            }
            Some(Step::Data(data)) => {
                state.yielded += data.len() as u64;
                Poll::Ready(Some(Ok(Frame::data(data))))
            }
            Some(Step::Trailers(trailers)) => Poll::Ready(Some(Ok(Frame::trailers(trailers)))),
            Some(Step::Fail(why)) => {
                state.over = true;
                Poll::Ready(Some(Err(Failed(why))))
            }
            Some(Step::Panic) => {
                state.over = true;
                panic!("scripted panic");
            }
            Some(Step::End) => {
                state.over = true;
                Poll::Ready(None)
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        let state = self.script.lock();
        self.tells_end && matches!(state.steps.front(), Some(Step::End))
    }

    fn size_hint(&self) -> SizeHint {
        match self.length {
            Some(length) => SizeHint::with_exact(length.saturating_sub(self.script.lock().yielded)),
            None => SizeHint::default(),
        }
    }
}

impl Drop for ScriptedBody {
    fn drop(&mut self) {
        self.script.lock().dropped = true;
    }
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for Failed {}
