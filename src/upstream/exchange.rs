//! What an HTTP/1 connection does for the request that uses it, and for the body of its response.

use std::{
    future::poll_fn,
    pin::Pin,
    task::{Context, Poll, Waker},
    time::Duration,
};

use bytes::Bytes;
use http::Response;
use http_body::Frame;
use hyper::body::Incoming;
use tokio::{runtime::Handle, time::Instant};

use super::upload::Slot;

/// A connection that no task drives: whoever has it does, and closes it by dropping it.
pub(super) trait Flow: Send {
    /// Reads and writes what can be, and wakes nobody.
    fn drive(self: Pin<&mut Self>) -> Progress;

    /// Wakes nobody until the next [`wait`](Self::wait).
    fn hush(&self);

    /// Takes what was read of the response's body.
    fn read(&self, body: &mut Incoming) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>>;

    /// Has a task woken when there is more to [`drive`](Self::drive).
    fn wait(&self, waker: &Waker);

    /// Gives the connection, which is idle, back to its origin.
    fn release(self: Pin<Box<Self>>);
}

/// The same before the response's head.
pub(super) trait Exchange<B>: Flow {
    /// Takes a request, and sends it once the connection is driven. The connection must be new or idle.
    fn send(self: Pin<&mut Self>, request: &mut Slot<B>);

    /// Drives the connection until it has the response's head.
    fn poll_response(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Answer<B>>;

    /// Whether the connection has served a response before.
    fn is_reused(&self) -> bool;

    /// Whether an idle connection is open, and was not seen to be idle for this long.
    fn stays_idle(self: Pin<&mut Self>, now: Instant, timeout: Duration) -> bool;

    fn into_flow(self: Pin<Box<Self>>) -> Pin<Box<dyn Flow>>;
}

/// What a connection is after it was driven.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// In the middle of a request or a response.
    Busy,
    /// It has done with both.
    Idle,
    /// It is closed, or was given away in an upgrade.
    Ended,
}

/// What becomes of a connection after a response's head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum After {
    /// It is idle: all of the body was read with the head.
    Idle,
    /// The response's body drives it.
    Reads,
    /// A task of its own drives it. The request is still being sent, and that must not depend on whether
    /// the client reads; or the connection is about to be upgraded.
    Detached,
    /// It is over.
    Ended,
}

/// What a request ended in.
pub(super) type Answer<B> = Result<(Response<Incoming>, After), Unanswered<B>>;

/// A request without a response.
pub(super) enum Unanswered<B> {
    /// The connection has not taken it: nothing of it was sent.
    HandedBack(Box<Slot<B>>, hyper::Error),
    Failed(hyper::Error),
}

/// Drives a connection to the end of what it is at, whoever reads the response.
pub(super) fn detach(mut flow: Pin<Box<dyn Flow>>) {
    // Without a runtime there is nobody to drive it.
    let Ok(runtime) = Handle::try_current() else {
        return;
    };
    runtime.spawn(async move {
        let idle = poll_fn(|cx| match flow.as_mut().drive() {
            Progress::Busy => {
                flow.wait(cx.waker());
                Poll::Pending
            }
            Progress::Idle => Poll::Ready(true),
            Progress::Ended => Poll::Ready(false),
        });
        if idle.await {
            flow.release();
        }
    });
}
