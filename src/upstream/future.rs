use std::{
    fmt,
    future::Future,
    mem,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, ready},
};

use http::{HeaderValue, Request, Response, StatusCode, Version};
use http_body::Body;
use hyper::{body::Incoming, client::conn::TrySendError};

use super::{
    body::UpstreamBody,
    connector::Connecting,
    error::UpstreamError,
    exchange::{After, Exchange, Flow, Unanswered, detach},
    headers::clean_response,
    http2::{self, Http2},
    origin::Line,
    target::Target,
    upload::{Slot, Upload},
};
use crate::{
    BoxError,
    failure::{Junk, NotSent},
    trail::Trail,
};

/// The future of an [`Upstream`](super::Upstream)'s response.
///
/// Dropping it ends the exchange: a connection in HTTP/1 is closed, a stream in HTTP/2 is reset.
pub struct UpstreamFuture<B> {
    /// The lock is for `Sync`, and never taken.
    state: Mutex<State<B>>,
    asked: Asked<B>,
}

/// What stays the same from connection to connection.
struct Asked<B> {
    target: Arc<Target<B>>,
    trail: Option<Trail>,
    /// Few have one.
    upgrade: Option<Box<HeaderValue>>,
}

enum State<B> {
    Connecting {
        connecting: Connecting<B>,
        request: Box<Slot<B>>,
    },
    Http1 {
        exchange: Pin<Box<dyn Exchange<B>>>,
    },
    Http2 {
        response: http2::Answer<B>,
        connection: Http2<B>,
        /// Whether it was not made for this request.
        found: bool,
        /// Whether the request has a body.
        uploads: bool,
    },
    Refused(Option<NotSent>),
    Ended,
}

/// Another state, or a failure.
type Next<B> = Result<State<B>, BoxError>;

impl<B> UpstreamFuture<B>
where
    B: Body + Send + Unpin + 'static,
    B::Data: Send,
    B::Error: Into<BoxError>,
{
    pub(super) fn new(target: &Arc<Target<B>>, request: Request<B>, trail: Option<Trail>) -> Self {
        let mut asked = Asked {
            target: Arc::clone(target),
            trail,
            upgrade: None,
        };
        let mut request = Some(Upload::of(request));
        let rewritten = request.as_mut().map(|request| target.rewrite(request));
        let state = match rewritten.transpose() {
            Ok(upgrade) => {
                asked.upgrade = upgrade.flatten().map(Box::new);
                asked.begin(&mut request)
            }
            Err(error) => State::Refused(Some(error)),
        };
        Self {
            state: Mutex::new(state),
            asked,
        }
    }
}

impl<B> Asked<B>
where
    B: Body + Send + Unpin + 'static,
    B::Data: Send,
    B::Error: Into<BoxError>,
{
    /// Sends the request on a connection that is there, or waits for one to be made.
    fn begin(&self, request: &mut Slot<B>) -> State<B> {
        let origin = &self.target.origin;
        if let Some(line) = origin.take() {
            return self.send(line, request, true);
        }
        if let Some(trail) = self.timed() {
            trail.connecting();
        }
        State::Connecting {
            connecting: origin.connect(),
            request: Box::new(request.take()),
        }
    }

    fn send(&self, line: Line<B>, request: &mut Slot<B>, found: bool) -> State<B> {
        let origin = &self.target.origin;
        match line {
            Line::Http1(mut exchange) => {
                if let Some(request) = request {
                    origin.place().lower(request);
                }
                exchange.as_mut().send(request);
                State::Http1 { exchange }
            }
            Line::Http2(mut connection) => {
                let Some(mut request) = request.take() else {
                    return State::Ended;
                };
                origin.place().raise(&mut request);
                let uploads = !request.body().is_end_stream();
                // Its streams need no watch.
                let request = request.map(Upload::into_inner);
                State::Http2 {
                    response: connection.send(request),
                    connection,
                    found,
                    uploads,
                }
            }
        }
    }

    /// The trail, where somebody wants to know how the request connects.
    fn timed(&self) -> Option<&Trail> {
        self.trail.as_ref().filter(|trail| trail.is_timed())
    }

    fn connected(&self, made: Result<Line<B>, UpstreamError>, request: &mut Slot<B>) -> Next<B> {
        if let Some(trail) = self.timed() {
            trail.connected();
        }
        Ok(self.send(made?, request, false))
    }

    fn unanswered_in_http1(&self, unanswered: Unanswered<B>, reused: bool) -> Next<B> {
        match unanswered {
            // It was closed while it was idle: another takes the request.
            Unanswered::HandedBack(mut request, _) if reused => Ok(self.begin(&mut request)),
            Unanswered::HandedBack(_, error) => self.failed(reused, UpstreamError::queue(error)),
            Unanswered::Failed(error) => self.failed(reused, UpstreamError::exchange(error)),
        }
    }

    fn unanswered_in_http2(
        &self,
        mut error: TrySendError<Request<B>>,
        served: bool,
        found: bool,
    ) -> Next<B> {
        match error.take_message() {
            // It was closing already: another takes the request.
            Some(request) if found => Ok(self.begin(&mut Some(Upload::of(request)))),
            Some(_) => self.failed(served, UpstreamError::queue(error.into_error())),
            None => self.failed(served, UpstreamError::exchange(error.into_error())),
        }
    }

    fn failed(&self, reused: bool, error: UpstreamError) -> Next<B> {
        if let Some(trail) = &self.trail {
            trail.set_reused(reused);
        }
        Err(error.into())
    }

    /// Turns an upstream's response into one for the client.
    fn receive(&self, response: &mut Response<Incoming>) -> Result<(), Junk> {
        let switches = response.status() == StatusCode::SWITCHING_PROTOCOLS;
        let upgrade = clean_response(response.headers_mut(), switches).map_err(Junk::new)?;
        let same = |asked: &HeaderValue, got: &HeaderValue| {
            asked.as_bytes().eq_ignore_ascii_case(got.as_bytes())
        };
        let both = self.upgrade.as_deref().zip(upgrade.as_ref());
        if switches && !both.is_some_and(|(asked, got)| same(asked, got)) {
            let text = "upstream switches to a protocol that nobody asked for";
            return Err(Junk::new(text));
        }
        // What the upstream speaks is its connection's matter: a server would take HTTP/1.0 for what the
        // client speaks, and end a body that broke off as if it were whole.
        if response.version() == Version::HTTP_10 {
            *response.version_mut() = Version::HTTP_11;
        }
        Ok(())
    }
}

/// Lets a connection go on after a response's head; what the body must drive is returned.
fn follow<B>(exchange: Pin<Box<dyn Exchange<B>>>, after: After) -> Option<Pin<Box<dyn Flow>>> {
    match after {
        After::Idle => exchange.release(),
        After::Reads => return Some(exchange.into_flow()),
        After::Detached => detach(exchange.into_flow()),
        After::Ended => {}
    }
    None
}

impl<B> Future for UpstreamFuture<B>
where
    B: Body + Send + Unpin + 'static,
    B::Data: Send,
    B::Error: Into<BoxError>,
{
    type Output = Result<Response<UpstreamBody>, BoxError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Self { state, asked } = self.get_mut();
        let state = state.get_mut().unwrap_or_else(PoisonError::into_inner);
        loop {
            let next = match state {
                State::Connecting {
                    connecting,
                    request,
                } => {
                    let made = ready!(connecting.as_mut().poll(cx));
                    asked.connected(made, request)
                }
                State::Http1 { exchange } => {
                    let answer = ready!(exchange.as_mut().poll_response(cx));
                    let State::Http1 { exchange } = mem::replace(state, State::Ended) else {
                        continue;
                    };
                    match answer {
                        Ok((mut response, after)) => {
                            asked.receive(&mut response)?;
                            let flow = follow(exchange, after);
                            // HTTP/1 has no stream whose end could be told from that of the body.
                            let body = |body| UpstreamBody::new(body, false, flow);
                            return Poll::Ready(Ok(response.map(body)));
                        }
                        Err(unanswered) => {
                            asked.unanswered_in_http1(unanswered, exchange.is_reused())
                        }
                    }
                }
                State::Http2 {
                    response,
                    connection,
                    found,
                    uploads,
                } => {
                    let answer = ready!(response.as_mut().poll(cx));
                    let (served, found, uploads) = (connection.has_served(), *found, *uploads);
                    if answer.is_ok() {
                        connection.set_served();
                    }
                    *state = State::Ended;
                    match answer {
                        Ok(mut response) => {
                            asked.receive(&mut response)?;
                            let body = |body| UpstreamBody::new(body, !uploads, None);
                            return Poll::Ready(Ok(response.map(body)));
                        }
                        Err(error) => asked.unanswered_in_http2(error, served, found),
                    }
                }
                State::Refused(error) => match error.take() {
                    Some(error) => Err(error.into()),
                    None => Ok(State::Ended),
                },
                State::Ended => panic!("an upstream future was polled after its end"),
            };
            match next {
                Ok(next) => *state = next,
                Err(error) => {
                    *state = State::Ended;
                    return Poll::Ready(Err(error));
                }
            }
        }
    }
}

impl<B> fmt::Debug for UpstreamFuture<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UpstreamFuture").finish_non_exhaustive()
    }
}
