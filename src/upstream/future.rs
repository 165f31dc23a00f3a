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
    exchange::{After, Answer, Exchange, Flow, Unanswered, detach},
    headers::clean_response,
    http2::{self, Http2},
    origin::Line,
    target::Target,
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
    /// Whether the request has a body.
    uploads: bool,
    upgrade: Option<HeaderValue>,
}

enum State<B> {
    Connecting {
        connecting: Connecting<B>,
        request: Option<Box<Request<B>>>,
    },
    Http1 {
        exchange: Pin<Box<dyn Exchange<B>>>,
    },
    Http2 {
        response: http2::Answer<B>,
        connection: Http2<B>,
        /// Whether it was not made for this request.
        found: bool,
    },
    Refused(Option<NotSent>),
    Ended,
}

/// What a state ends in.
enum Turn<B> {
    On(State<B>),
    Done(Result<Response<UpstreamBody>, BoxError>),
}

impl<B> UpstreamFuture<B>
where
    B: Body + Send + Unpin + 'static,
    B::Data: Send,
    B::Error: Into<BoxError>,
{
    pub(super) fn new(
        target: &Arc<Target<B>>,
        mut request: Request<B>,
        trail: Option<Trail>,
    ) -> Self {
        let mut asked = Asked {
            target: Arc::clone(target),
            trail,
            uploads: !request.body().is_end_stream(),
            upgrade: None,
        };
        let state = match target.rewrite(&mut request) {
            Ok(upgrade) => {
                asked.upgrade = upgrade;
                asked.begin(request)
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
    fn begin(&self, request: Request<B>) -> State<B> {
        let origin = &self.target.origin;
        if let Some(line) = origin.take() {
            return self.send(line, request, true);
        }
        if let Some(trail) = self.timed() {
            trail.connecting();
        }
        State::Connecting {
            connecting: origin.connect(),
            request: Some(Box::new(request)),
        }
    }

    fn send(&self, line: Line<B>, mut request: Request<B>, found: bool) -> State<B> {
        let origin = &self.target.origin;
        match line {
            Line::Http1(mut exchange) => {
                origin.lower(&mut request);
                exchange.as_mut().send(request);
                State::Http1 { exchange }
            }
            Line::Http2(mut connection) => {
                origin.raise(&mut request);
                State::Http2 {
                    response: connection.send(request),
                    connection,
                    found,
                }
            }
        }
    }

    /// The trail, where somebody wants to know how the request connects.
    fn timed(&self) -> Option<&Trail> {
        self.trail.as_ref().filter(|trail| trail.is_timed())
    }

    fn connected(
        &self,
        made: Result<Line<B>, UpstreamError>,
        request: Option<Box<Request<B>>>,
    ) -> Turn<B> {
        if let Some(trail) = self.timed() {
            trail.connected();
        }
        match (made, request) {
            (Ok(line), Some(request)) => Turn::On(self.send(line, *request, false)),
            (Ok(_), None) => Turn::On(State::Ended),
            (Err(error), _) => Turn::Done(Err(error.into())),
        }
    }

    fn answered_in_http1(&self, answer: Answer<B>, exchange: Pin<Box<dyn Exchange<B>>>) -> Turn<B> {
        let reused = exchange.is_reused();
        match answer {
            // HTTP/1 has no stream whose end could be told from that of the body.
            Ok((response, after)) => Turn::Done(self.receive(response).map(|response| {
                let flow = follow(exchange, after);
                response.map(|body| UpstreamBody::new(body, false, flow))
            })),
            // It was closed while it was idle: another takes the request.
            Err(Unanswered::HandedBack(request, _)) if reused => Turn::On(self.begin(*request)),
            Err(Unanswered::HandedBack(_, error)) => {
                self.failed(reused, UpstreamError::queue(error))
            }
            Err(Unanswered::Failed(error)) => self.failed(reused, UpstreamError::exchange(error)),
        }
    }

    fn answered_in_http2(
        &self,
        answer: Result<Response<Incoming>, TrySendError<Request<B>>>,
        connection: &Http2<B>,
        found: bool,
    ) -> Turn<B> {
        let mut error =
            match answer {
                Ok(response) => {
                    connection.set_served();
                    let response = self.receive(response);
                    let must_end = !self.uploads;
                    return Turn::Done(response.map(|response| {
                        response.map(|body| UpstreamBody::new(body, must_end, None))
                    }));
                }
                Err(error) => error,
            };
        let served = connection.has_served();
        match error.take_message() {
            // It was closing already: another takes the request.
            Some(request) if found => Turn::On(self.begin(request)),
            Some(_) => self.failed(served, UpstreamError::queue(error.into_error())),
            None => self.failed(served, UpstreamError::exchange(error.into_error())),
        }
    }

    fn failed(&self, reused: bool, error: UpstreamError) -> Turn<B> {
        if let Some(trail) = &self.trail {
            trail.set_reused(reused);
        }
        Turn::Done(Err(error.into()))
    }

    /// Turns an upstream's response into one for the client.
    fn receive(&self, mut response: Response<Incoming>) -> Result<Response<Incoming>, BoxError> {
        let switches = response.status() == StatusCode::SWITCHING_PROTOCOLS;
        let upgrade = clean_response(response.headers_mut(), switches).map_err(Junk::new)?;
        let same = |asked: &HeaderValue, got: &HeaderValue| {
            asked.as_bytes().eq_ignore_ascii_case(got.as_bytes())
        };
        let both = self.upgrade.as_ref().zip(upgrade.as_ref());
        if switches && !both.is_some_and(|(asked, got)| same(asked, got)) {
            let text = "upstream switches to a protocol that nobody asked for";
            return Err(Junk::new(text).into());
        }
        // What the upstream speaks is its connection's matter: a server would take HTTP/1.0 for what the
        // client speaks, and end a body that broke off as if it were whole.
        if response.version() == Version::HTTP_10 {
            *response.version_mut() = Version::HTTP_11;
        }
        Ok(response)
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
            let turn = match state {
                State::Connecting {
                    connecting,
                    request,
                } => {
                    let made = ready!(connecting.as_mut().poll(cx));
                    asked.connected(made, request.take())
                }
                State::Http1 { exchange } => {
                    let answer = ready!(exchange.as_mut().poll_response(cx));
                    match mem::replace(state, State::Ended) {
                        State::Http1 { exchange } => asked.answered_in_http1(answer, exchange),
                        other => Turn::On(other),
                    }
                }
                State::Http2 {
                    response,
                    connection,
                    found,
                } => {
                    let answer = ready!(response.as_mut().poll(cx));
                    asked.answered_in_http2(answer, connection, *found)
                }
                State::Refused(error) => match error.take() {
                    Some(error) => Turn::Done(Err(error.into())),
                    None => Turn::On(State::Ended),
                },
                State::Ended => panic!("an upstream future was polled after its end"),
            };
            match turn {
                Turn::On(next) => *state = next,
                Turn::Done(result) => {
                    *state = State::Ended;
                    return Poll::Ready(result);
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
