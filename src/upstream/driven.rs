use std::{
    future::Future,
    pin::Pin,
    sync::{Arc, Weak},
    task::{Context, Poll, Waker},
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response, StatusCode, Version};
use http_body::{Body, Frame};
use hyper::{
    body::Incoming,
    client::conn::{
        TrySendError,
        http1::{self, SendRequest},
    },
    rt::{Read, Write},
};
use pin_project_lite::pin_project;
use tokio::time::Instant;

use super::{
    backlog::Backlog,
    exchange::{After, Answer, Exchange, Flow, Progress, Unanswered},
    origin::Origin,
    relay::Relay,
    upload::{Slot, Upload, Uploading},
};
use crate::BoxError;

type Sent<B> = Result<Response<Incoming>, TrySendError<Request<Upload<B>>>>;

pin_project! {
    /// One HTTP/1 connection of hyper's, both of its halves: all that a request on it needs was allocated
    /// when it was made.
    ///
    /// hyper names neither the connection that can be upgraded, `D`, nor the future of a response, `F`.
    struct Driven<B, D, S, F> {
        // `None` once it has ended.
        #[pin]
        connection: Option<D>,
        sender: SendRequest<Upload<B>>,
        send: S,
        #[pin]
        response: Option<F>,
        uploading: Uploading,
        backlog: Backlog,
        relay: Arc<Relay>,
        // The relay.
        waker: Waker,
        origin: Weak<Origin<B>>,
        // Whether the connection is to a proxy, which must be told the whole URI.
        proxied: bool,
        reused: bool,
        // Whether hyper called the connection ready before there was a response. It does while the request
        // is still in the queue and, before 1.12, also later if it could not take it out at once. What it
        // then says of the end of the exchange is no proof.
        doubtful: bool,
        // Whether the upstream answered in HTTP/1.0. hyper then writes the next request in HTTP/1.0 too, which
        // has no chunks: a body of unknown length would be left out, and the request sent without.
        http10: bool,
        idle_since: Option<Instant>,
    }
}

/// Makes a connection of a transport.
pub(super) async fn open<B, T>(
    io: T,
    proxied: bool,
    origin: &Arc<Origin<B>>,
) -> hyper::Result<Pin<Box<dyn Exchange<B>>>>
where
    B: Body + Send + Unpin + 'static,
    B::Data: Send,
    B::Error: Into<BoxError>,
    T: Read + Write + Send + Unpin + 'static,
{
    let (backlog, relay) = (Backlog::default(), Arc::new(Relay::default()));
    let waker = Waker::from(Arc::clone(&relay));
    let io = backlog.watch(io, waker.clone());
    let (sender, connection) = http1::handshake(io).await?;
    Ok(Box::pin(Driven {
        connection: Some(connection.with_upgrades()),
        sender,
        send: SendRequest::try_send_request,
        response: None,
        uploading: Uploading::default(),
        backlog,
        waker,
        relay,
        origin: Arc::downgrade(origin),
        proxied,
        reused: false,
        doubtful: false,
        http10: false,
        idle_since: None,
    }))
}

impl<B, D, S, F> Flow for Driven<B, D, S, F>
where
    B: Body + Send + 'static,
    D: Future<Output = hyper::Result<()>> + Send + 'static,
    S: Fn(&mut SendRequest<Upload<B>>, Request<Upload<B>>) -> F + Send + 'static,
    F: Future<Output = Sent<B>> + Send + 'static,
{
    fn drive(self: Pin<&mut Self>) -> Progress {
        let mut this = self.project();
        this.relay.hush();
        let Some(connection) = this.connection.as_mut().as_pin_mut() else {
            return Progress::Ended;
        };
        this.backlog.look_again();
        // An error is told to the response, or to its body; on an idle connection it is nobody's.
        if connection
            .poll(&mut Context::from_waker(this.waker))
            .is_ready()
        {
            // A request that it has not taken is handed back by this.
            this.connection.set(None);
            return Progress::Ended;
        }
        if this.sender.is_ready() && this.backlog.is_empty() && !*this.doubtful {
            Progress::Idle
        } else {
            Progress::Busy
        }
    }

    fn hush(&self) {
        self.relay.hush();
    }

    fn read(&self, body: &mut Incoming) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        Pin::new(body).poll_frame(&mut Context::from_waker(&self.waker))
    }

    fn wait(&self, waker: &Waker) {
        self.relay.wait(waker);
    }

    fn release(mut self: Pin<Box<Self>>) {
        let this = self.as_mut().project();
        if *this.http10 {
            return;
        }
        *this.reused = true;
        *this.idle_since = None;
        if let Some(origin) = self.origin.upgrade() {
            origin.put(self);
        }
    }
}

impl<B, D, S, F> Exchange<B> for Driven<B, D, S, F>
where
    B: Body + Send + 'static,
    D: Future<Output = hyper::Result<()>> + Send + 'static,
    S: Fn(&mut SendRequest<Upload<B>>, Request<Upload<B>>) -> F + Send + 'static,
    F: Future<Output = Sent<B>> + Send + 'static,
{
    fn send(self: Pin<&mut Self>, request: &mut Slot<B>) {
        let mut this = self.project();
        if let Some(request) = request {
            if *this.proxied {
                if let Some(origin) = this.origin.upgrade() {
                    origin.place().locate(request);
                }
            }
            this.uploading.watch(request.body_mut());
        }
        let sent = request.take();
        this.response
            .set(sent.map(|request| (this.send)(this.sender, request)));
    }

    fn poll_response(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Answer<B>> {
        let progress = self.as_mut().drive();
        let mut this = self.project();
        let polled = match this.response.as_mut().as_pin_mut() {
            // It can be there and not be given, when the task has had its share of the time: then it wakes.
            Some(response) => response.poll(&mut Context::from_waker(this.waker)),
            None => panic!("a connection was asked for a response without a request"),
        };
        let Poll::Ready(answer) = polled else {
            *this.doubtful = this.sender.is_ready();
            this.relay.wait(cx.waker());
            return Poll::Pending;
        };
        this.response.set(None);
        Poll::Ready(match answer {
            Ok(response) => {
                *this.http10 = response.version() == Version::HTTP_10;
                let sent = this.uploading.is_over() && this.backlog.is_empty();
                let uploads = !sent && !*this.doubtful;
                let after = match progress {
                    Progress::Ended => After::Ended,
                    Progress::Idle => After::Idle,
                    Progress::Busy if uploads || switches(&response) => After::Detached,
                    Progress::Busy => After::Reads,
                };
                Ok((response, after))
            }
            Err(mut error) => Err(match error.take_message() {
                request @ Some(_) => Unanswered::HandedBack(Box::new(request), error.into_error()),
                None => Unanswered::Failed(error.into_error()),
            }),
        })
    }

    fn is_reused(&self) -> bool {
        self.reused
    }

    fn stays_idle(mut self: Pin<&mut Self>, now: Instant, timeout: Duration) -> bool {
        if self.relay.has_missed() && self.as_mut().drive() != Progress::Idle {
            return false;
        }
        let since = *self.project().idle_since.get_or_insert(now);
        now.saturating_duration_since(since) < timeout
    }

    fn into_flow(self: Pin<Box<Self>>) -> Pin<Box<dyn Flow>> {
        self
    }
}

fn switches(response: &Response<Incoming>) -> bool {
    response.status() == StatusCode::SWITCHING_PROTOCOLS
}
