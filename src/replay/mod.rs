//! A request body that can be read again.
//!
//! A [`Replay`] owns a body's source and a log of the frames that were pulled from it. Each attempt
//! gets a [`ReplayBody`] that reads the log from its start and then goes on with the live source:
//!
//! ```
//! use http_body_util::BodyExt;
//! use tower_failover::replay::Replay;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let replay = Replay::new(String::from("a request body"), 1024);
//!
//! let mut first = replay.start()?;
//! first.frame().await.unwrap()?;
//! replay.revoke_all();
//!
//! let second = replay.start()?;
//! assert_eq!(second.collect().await?.to_bytes(), "a request body");
//! # Ok(())
//! # }
//! ```
//!
//! # What it promises
//!
//! - **Streaming**: a frame is handed on as it arrives; nothing is collected first, and an attempt
//!   can be replaced while the request is still being uploaded.
//! - **Laziness**: the source is pulled only by a handle that has read the whole log. While no
//!   attempt runs, the sender is held back by flow control and nothing is buffered.
//! - **Order**: every handle yields every byte and the trailers once, in order, or ends in an error.
//! - **Revocation**: a revoked handle is woken and yields an error, so that its exchange aborts as
//!   soon as the transport asks for more. It takes no more from the source, and nothing waits for it
//!   to be dropped.
//! - **Sticky end**: a source that ended is not polled again, and one that failed, panicked, or did
//!   not keep to the length it promised fails for every later reader too: it never becomes a clean
//!   end. What the source itself takes for its end is one, though: hyper's server hides that an
//!   HTTP/2 client has reset an upload with NO_ERROR, unless there was a `Content-Length`.
//! - **Bounded memory**: past the cap of one body, or the limit of a [`ReplayMemory`], the log is
//!   freed at once. The attempt under way goes on in full; the body can no longer be replayed. A
//!   body whose known length is over the cap never starts a log. The cap is of payload; trailers
//!   count against the memory.
//! - **Exact hints**: `size_hint` and `is_end_stream` are what the handle has still to yield, so that
//!   a `Content-Length` survives, and a body that has ended has one. Ahead of trailers a length that
//!   was unknown stays so: HTTP/1 sends trailers in chunked bodies only.
//!
//! Empty data frames carry nothing and are not kept. There is nothing to revoke or to commit in a
//! body that was empty from the start: it can always be started.
//!
//! # Hedging
//!
//! Several attempts may read at once: [`start`](Replay::start) another, and [`revoke`](Replay::revoke)
//! the loser when one has succeeded. Only success wins: the other attempt may yet get there when one
//! has failed. If the body passes its cap while several attempts read, the one that pulled the frame
//! goes on, and the others, which needed the log, [say so](ReplayError::is_left_behind). The loser
//! may have sent everything before it was revoked.
//!
//! # What it costs
//!
//! A body that is empty from the start costs no allocation, any other one for what its handles share
//! and those of the log. The log keeps chunks of at least 4 KiB as they came, and copies smaller ones
//! together, so that they do not pin the read buffers that they are slices of. In a body of unknown
//! length it copies chunks of less than 204 KiB, since their sender chooses what lies between them.
//!
//! # Types
//!
//! A body must be `Unpin`, and its error convert into a `Box<dyn Error + Send + Sync>`; one that is
//! not `Unpin` is, in a `Box::pin`. Its data can be any `Buf`. hyper's clients and
//! `reqwest::Body::wrap` take a `ReplayBody` as it is.

mod after;
mod body;
mod error;
mod few;
mod handle_id;
#[cfg(all(test, replay_loom))]
mod interleavings;
mod log;
mod memory;
mod patience;
mod readers;
mod shared;
mod source;
mod state;
mod store;
mod sync;

use std::fmt;

use http_body::Body;
use tokio::time::Instant;

use self::{body::Handle, shared::Shared, sync::Arc};
pub use self::{
    body::ReplayBody,
    error::{ReplayError, Unreplayable},
    handle_id::HandleId,
    memory::ReplayMemory,
};
use crate::BoxError;

/// The owner of a body: it starts attempts at reading it, and revokes them.
///
/// Dropping it [commits](Self::commit) the body.
pub struct Replay<B> {
    /// `None`: the body is empty, and nothing needs to be kept.
    shared: Option<Arc<Shared<B>>>,
}

/// Tells whether a body can be read again, whatever it is made of.
pub(crate) trait Check {
    fn check(&self) -> Result<(), Unreplayable>;
}

/// How a [`Replay`] keeps its body.
#[derive(Debug)]
pub(crate) struct Keep {
    /// The most payload bytes to log.
    pub(crate) cap: u64,
    /// What the log counts against beside its cap.
    pub(crate) memory: Option<ReplayMemory>,
    /// Whether [`Replay::waiting_since`] will be asked.
    pub(crate) timed: bool,
}

impl<B> Replay<B>
where
    B: Body + Unpin,
    B::Error: Into<BoxError>,
{
    /// Takes a body of which at most `cap` payload bytes are to be kept.
    ///
    /// However small its cap, a body can be started again for as long as no handle has pulled a
    /// frame. No other bound holds: give many bodies a [memory](Self::with_memory) in common.
    pub fn new(body: B, cap: u64) -> Self {
        Self::wrap(body, || Keep {
            cap,
            memory: None,
            timed: false,
        })
    }

    /// As [`new`](Self::new), with a log that counts against `memory` too.
    pub fn with_memory(body: B, cap: u64, memory: ReplayMemory) -> Self {
        Self::wrap(body, || Keep {
            cap,
            memory: Some(memory),
            timed: false,
        })
    }

    /// Takes a body and starts its first attempt.
    pub(crate) fn begin(body: B, keep: impl FnOnce() -> Keep) -> (Self, ReplayBody<B>) {
        let replay = Self::wrap(body, keep);
        let first = match &replay.shared {
            None => ReplayBody::new(Handle::Empty),
            Some(shared) => ReplayBody::shared(shared, shared.start_first()),
        };
        (replay, first)
    }

    /// Takes a body, and asks how it is to be kept unless there is nothing to keep.
    fn wrap(body: B, keep: impl FnOnce() -> Keep) -> Self {
        let promised = body.size_hint();
        if body.is_end_stream() && promised.lower() == 0 {
            return Self { shared: None };
        }
        let keep = keep();
        // A body that is known not to fit is not logged at all.
        let fits = promised.lower() <= keep.cap;
        let cap = if fits { keep.cap } else { 0 };
        let shared = Shared::new(body, promised, Keep { cap, ..keep });
        Self {
            shared: Some(Arc::new(shared)),
        }
    }

    /// Starts an attempt: a handle that reads the body from its first byte.
    ///
    /// Earlier handles are not touched; whoever replaces an attempt [revokes](Self::revoke) it first.
    ///
    /// # Errors
    ///
    /// As [`check`](Self::check).
    pub fn start(&self) -> Result<ReplayBody<B>, Unreplayable> {
        Ok(match &self.shared {
            None => ReplayBody::new(Handle::Empty),
            Some(shared) => ReplayBody::shared(shared, shared.start()?),
        })
    }
}

impl<B> Replay<B> {
    /// Revokes one handle, as when another attempt of several has won. The others are not touched,
    /// and another body's handle is none of them.
    pub fn revoke(&self, handle: HandleId) {
        if let Some(shared) = &self.shared {
            if let Some(reader) = handle.reader_of(shared) {
                shared.revoke(reader);
            }
        }
    }

    /// Revokes every handle started so far.
    pub fn revoke_all(&self) {
        if let Some(shared) = &self.shared {
            shared.revoke_all();
        }
    }

    /// Gives up later attempts, as when a response has arrived. Live handles go on: what the slowest
    /// of them has read is freed now, the rest as it is read.
    pub fn commit(&self) {
        if let Some(shared) = &self.shared {
            shared.commit();
        }
    }

    /// As [`commit`](Self::commit), once the body is read: until then nothing has been given away,
    /// and it can still be started.
    pub(crate) fn commit_when_read(&self) {
        if let Some(shared) = &self.shared {
            shared.commit_when_read();
        }
    }

    /// Whether the body can be read from its start.
    ///
    /// A body that nobody has read yet can, even if it is known that it will not be kept.
    ///
    /// # Errors
    ///
    /// Says why it can no longer be.
    pub fn check(&self) -> Result<(), Unreplayable> {
        self.shared.as_deref().map_or(Ok(()), Shared::check)
    }

    /// Whether the request was sent in full: a handle has read all that there is. The transport may
    /// still have some of it in its buffers.
    ///
    /// [Revoking](Self::revoke) a handle that is not dropped yet takes back what it has sent, and
    /// [`revoke_all`](Self::revoke_all) what any has: ask first.
    pub fn is_sent_in_full(&self) -> bool {
        self.shared.as_deref().is_none_or(Shared::is_sent_in_full)
    }

    /// Payload bytes in the log.
    pub fn bytes_held(&self) -> u64 {
        self.shared.as_deref().map_or(0, Shared::bytes_held)
    }

    /// Whether reading the source has failed: the sender's fault, and final.
    pub fn has_source_failed(&self) -> bool {
        self.shared
            .as_deref()
            .is_some_and(Shared::has_source_failed)
    }

    /// Since when the handle's reader could have taken more, or `begun` for an empty body; `None`
    /// while it waits for the source.
    pub(crate) fn waiting_since(&self, begun: Instant) -> Option<Instant> {
        match &self.shared {
            None => Some(begun),
            Some(shared) => shared.waiting_since(),
        }
    }
}

impl<B> Check for Replay<B> {
    fn check(&self) -> Result<(), Unreplayable> {
        Replay::check(self)
    }
}

impl<B> Drop for Replay<B> {
    fn drop(&mut self) {
        self.commit();
    }
}

impl<B> fmt::Debug for Replay<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Replay")
            .field("bytes_held", &self.bytes_held())
            .field("check", &self.check())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use std::{
        pin::pin,
        task::{Context, Poll, Waker},
        time::Duration,
    };

    use bytes::Bytes;
    use http_body::Frame;
    use http_body_util::{BodyExt, StreamBody, channel::Channel};
    use tokio::time::advance;

    use super::*;

    fn keep() -> Keep {
        Keep {
            cap: 1 << 20,
            memory: Some(ReplayMemory::default()),
            timed: true,
        }
    }

    fn poll<B>(body: &mut ReplayBody<B>) -> Poll<Option<Result<Frame<Bytes>, ReplayError>>>
    where
        B: Body + Unpin,
        B::Error: Into<BoxError>,
    {
        pin!(body).poll_frame(&mut Context::from_waker(Waker::noop()))
    }

    #[tokio::test(start_paused = true)]
    async fn reader_is_timed_from_what_it_took_last() {
        let (mut sender, source) = Channel::<Bytes>::new(2);
        let (replay, mut body) = Replay::begin(source, keep);
        let begun = Instant::now();
        assert_eq!(replay.waiting_since(begun), Some(begun));
        advance(Duration::from_secs(1)).await;
        sender.send_data(Bytes::from("one")).await.unwrap();
        assert!(poll(&mut body).is_ready());
        assert_eq!(replay.waiting_since(begun), Some(Instant::now()));
    }

    #[tokio::test(start_paused = true)]
    async fn reader_is_not_timed_while_it_waits_for_the_source() {
        let (_sender, source) = Channel::<Bytes>::new(1);
        let (replay, mut body) = Replay::begin(source, keep);
        assert!(poll(&mut body).is_pending());
        assert_eq!(replay.waiting_since(Instant::now()), None);
        replay.revoke_all();
        let _second = replay.start().unwrap();
        assert_eq!(replay.waiting_since(Instant::now()), Some(Instant::now()));
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_for_the_source_once_the_handle_is_dropped() {
        let (_sender, source) = Channel::<Bytes>::new(1);
        let (replay, mut body) = Replay::begin(source, keep);
        assert!(poll(&mut body).is_pending());
        advance(Duration::from_secs(1)).await;
        drop(body);
        assert_eq!(replay.waiting_since(Instant::now()), Some(Instant::now()));
    }

    fn frames() -> impl Body<Data = Bytes, Error = std::convert::Infallible> + Unpin {
        let frames = [1, 2, 3].map(|byte| Ok(Frame::data(Bytes::from(vec![byte; 1000]))));
        StreamBody::new(futures_util::stream::iter(frames))
    }

    #[tokio::test]
    async fn commits_once_it_is_read_and_not_before() {
        let (replay, mut body) = Replay::begin(frames(), keep);
        assert!(poll(&mut body).is_ready());
        replay.revoke_all();
        let second = replay.start().unwrap();
        replay.commit_when_read();
        assert!(matches!(poll(&mut body), Poll::Ready(Some(Err(error))) if error.is_revoked()));
        assert_eq!(replay.check(), Ok(()));
        drop(second);
        let mut third = replay.start().unwrap();
        assert!(poll(&mut third).is_ready());
        assert_eq!(replay.check(), Err(Unreplayable::Committed));
        assert_eq!(replay.bytes_held(), 0);
        assert_eq!(third.collect().await.unwrap().to_bytes().len(), 2000);
    }

    #[test]
    fn commits_a_handle_that_is_in_the_middle() {
        let (replay, mut body) = Replay::begin(frames(), keep);
        assert!(poll(&mut body).is_ready());
        replay.commit_when_read();
        assert!(poll(&mut body).is_ready());
        assert_eq!(replay.bytes_held(), 0);
    }
}
