use std::{
    fmt,
    pin::Pin,
    sync::{Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, ready},
};

use bytes::{Buf, Bytes};
use http_body::{Body, Frame, SizeHint};

use super::{
    error::ReplayError, handle_id::HandleId, readers::ReaderId, shared::Shared, sync::Arc,
};
use crate::BoxError;

/// One attempt's handle on a request body that can be read again.
///
/// It yields the whole body, from its first byte: what earlier attempts have read comes from the
/// log, the rest from the source as it arrives. [`size_hint`](Body::size_hint) and
/// [`is_end_stream`](Body::is_end_stream) speak of what this handle has still to yield, so that a
/// `Content-Length` survives a replay.
///
/// A handle whose attempt was given up is *revoked*: it takes no more from the source, and yields
/// an error, unless it had yielded the whole body before.
///
/// It is `Send` and `Sync` whenever the source is `Send`.
pub struct ReplayBody<B> {
    handle: Handle<B>,
}

pub(super) enum Handle<B> {
    Empty,
    /// The source itself, for a request that can never be repeated. The mutex is never contended:
    /// it makes the handle `Sync`.
    Direct(Mutex<B>),
    Shared {
        shared: Arc<Shared<B>>,
        id: ReaderId,
        /// Set once everything was yielded: being revoked changes nothing any more.
        done: bool,
    },
}

impl<B> ReplayBody<B> {
    pub(super) fn new(handle: Handle<B>) -> Self {
        Self { handle }
    }

    pub(super) fn shared(shared: &Arc<Shared<B>>, id: ReaderId) -> Self {
        Self::new(Handle::Shared {
            shared: Arc::clone(shared),
            id,
            done: false,
        })
    }

    /// What [`Replay::revoke`](super::Replay::revoke) knows it by.
    pub fn id(&self) -> HandleId {
        match &self.handle {
            Handle::Empty | Handle::Direct(_) => HandleId::EMPTY,
            Handle::Shared { shared, id, .. } => HandleId::new(shared, *id),
        }
    }

    /// A body that is sent once and never logged.
    pub(crate) fn direct(source: B) -> Self {
        Self::new(Handle::Direct(Mutex::new(source)))
    }
}

impl<B> Body for ReplayBody<B>
where
    B: Body + Unpin,
    B::Error: Into<BoxError>,
{
    type Data = Bytes;
    type Error = ReplayError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, ReplayError>>> {
        match &mut self.get_mut().handle {
            Handle::Empty | Handle::Shared { done: true, .. } => Poll::Ready(None),
            Handle::Direct(source) => {
                let source = source.get_mut().unwrap_or_else(PoisonError::into_inner);
                let polled = ready!(Pin::new(source).poll_frame(cx));
                Poll::Ready(polled.map(|polled| match polled {
                    Ok(frame) => {
                        Ok(frame.map_data(|mut data| data.copy_to_bytes(data.remaining())))
                    }
                    Err(error) => Err(ReplayError::source_failed(error.into())),
                }))
            }
            Handle::Shared { shared, id, done } => shared.poll(*id, cx, done),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.handle {
            Handle::Empty | Handle::Shared { done: true, .. } => true,
            Handle::Direct(source) => lock(source).is_end_stream(),
            Handle::Shared { shared, id, .. } => shared.is_end_stream(*id),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.handle {
            Handle::Empty | Handle::Shared { done: true, .. } => SizeHint::with_exact(0),
            Handle::Direct(source) => lock(source).size_hint(),
            Handle::Shared { shared, id, .. } => shared.size_hint(*id),
        }
    }
}

fn lock<B>(source: &Mutex<B>) -> MutexGuard<'_, B> {
    source.lock().unwrap_or_else(PoisonError::into_inner)
}

/// An empty body.
impl<B> Default for ReplayBody<B> {
    fn default() -> Self {
        Self::new(Handle::Empty)
    }
}

impl<B> Drop for ReplayBody<B> {
    fn drop(&mut self) {
        if let Handle::Shared { shared, id, .. } = &self.handle {
            shared.remove(*id);
        }
    }
}

impl<B> fmt::Debug for ReplayBody<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReplayBody")
            .field("id", &self.id())
            .finish_non_exhaustive()
    }
}
