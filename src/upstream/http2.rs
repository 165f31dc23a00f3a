use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use http::{Request, Response};
use http_body::Body;
use hyper::{
    body::Incoming,
    client::conn::{
        TrySendError,
        http2::{Builder, SendRequest},
    },
    rt::{Read, Write},
};
use hyper_util::rt::{TokioExecutor, TokioTimer};

use crate::BoxError;

/// A future of a response in HTTP/2.
pub(super) type Answer<B> =
    Pin<Box<dyn Future<Output = Result<Response<Incoming>, TrySendError<Request<B>>>> + Send>>;

/// A connection in HTTP/2, which requests share; a task of its own drives it.
///
/// It closes when all of its clones are gone, and their requests have ended.
pub(super) struct Http2<B> {
    sender: SendRequest<B>,
    marks: Arc<Marks>,
}

/// When an upstream that says nothing is asked whether it is there, and how long it has to say so.
#[derive(Clone, Copy, Debug)]
pub(super) struct KeepAlive {
    interval: Duration,
    timeout: Duration,
}

impl KeepAlive {
    /// Neither time is shorter than a millisecond: a connection that is asked all the time does nothing else.
    pub(super) fn new(interval: Duration, timeout: Duration) -> Self {
        let least = Duration::from_millis(1);
        Self {
            interval: interval.max(least),
            timeout: timeout.max(least),
        }
    }
}

#[derive(Default)]
struct Marks {
    /// Whether it has served a response.
    served: AtomicBool,
    /// Whether it was taken since somebody looked.
    used: AtomicBool,
}

impl<B> Http2<B>
where
    B: Body + Send + Unpin + 'static,
    B::Data: Send,
    B::Error: Into<BoxError>,
{
    /// Makes a connection of a transport, once the preface is written.
    pub(super) async fn open<T>(io: T, keep_alive: Option<KeepAlive>) -> hyper::Result<Self>
    where
        T: Read + Write + Send + Unpin + 'static,
    {
        let mut builder = Builder::new(TokioExecutor::new());
        builder.timer(TokioTimer::new());
        if let Some(KeepAlive { interval, timeout }) = keep_alive {
            builder.keep_alive_interval(interval);
            builder.keep_alive_timeout(timeout);
        }
        let (sender, connection) = builder.handshake(io).await?;
        // What ends it is told to every request that it ends.
        tokio::spawn(async move { drop(connection.await) });
        let marks = Arc::default();
        Ok(Self { sender, marks })
    }

    pub(super) fn send(&mut self, request: Request<B>) -> Answer<B> {
        Box::pin(self.sender.try_send_request(request))
    }
}

impl<B> Http2<B> {
    /// Whether it takes requests: it is neither closed nor going away.
    pub(super) fn is_open(&self) -> bool {
        self.sender.is_ready()
    }

    pub(super) fn set_used(&self) {
        self.marks.used.store(true, Ordering::Relaxed);
    }

    /// Whether it was used since the last call.
    pub(super) fn take_used(&self) -> bool {
        self.marks.used.swap(false, Ordering::Relaxed)
    }

    pub(super) fn set_served(&self) {
        // Most of the time it has.
        if !self.has_served() {
            self.marks.served.store(true, Ordering::Relaxed);
        }
    }

    /// Whether it has served a response.
    pub(super) fn has_served(&self) -> bool {
        self.marks.served.load(Ordering::Relaxed)
    }
}

impl<B> Clone for Http2<B> {
    fn clone(&self) -> Self {
        Self {
            sender: self.sender.clone(),
            marks: Arc::clone(&self.marks),
        }
    }
}

impl<B> fmt::Debug for Http2<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Http2").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_between_pings_are_at_least_a_millisecond_and_longer_ones_are_kept() {
        let [none, least, long] = [0, 1, 9_000].map(Duration::from_millis);
        let times = |KeepAlive { interval, timeout }| (interval, timeout);
        assert_eq!(times(KeepAlive::new(none, long)), (least, long));
        assert_eq!(times(KeepAlive::new(long, none)), (long, least));
    }
}
