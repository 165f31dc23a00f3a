use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use http::{
    HeaderName, HeaderValue, Method, Request, Response, StatusCode, Version,
    header::{CONNECTION, HOST, TRANSFER_ENCODING, UPGRADE},
    uri::Authority,
};
use http_body::Body;
use hyper::body::Incoming;
use hyper_util::client::legacy::{
    Client, ResponseFuture,
    connect::{CaptureConnection, Connect, HttpConnector, capture_connection},
};
use pin_project_lite::pin_project;
use tokio::time::Instant;
use tower_service::Service;

use super::{
    base::Base,
    body::UpstreamBody,
    connector::Connector,
    headers::{clean_request, clean_response, join_cookies},
    reuse::{mark_received, was_reused},
};
use crate::{
    BoxError, ConfigError,
    failure::{Junk, NotSent},
    trail::Trail,
};

/// Sends requests to one base URI; made by [`Pool::upstream`](super::Pool::upstream).
///
/// A clone is a few pointers, and shares the connections.
pub struct Upstream<B, C = HttpConnector> {
    client: Client<Connector<C>, B>,
    target: Arc<Target>,
}

#[derive(Debug)]
struct Target {
    name: Arc<str>,
    base: Base,
    preserve_host: bool,
    http2: bool,
    connect_timeout: Duration,
}

const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");

impl<B, C> Upstream<B, C> {
    pub(super) fn new(
        base: &str,
        client: Client<Connector<C>, B>,
        http2: bool,
        preserve_host: bool,
        connect_timeout: Duration,
    ) -> Result<Self, ConfigError> {
        let target = Target {
            // With and without it, it is the same peer.
            name: Arc::from(base.trim_end_matches('/')),
            base: Base::parse(base)?,
            preserve_host,
            http2,
            connect_timeout,
        };
        Ok(Self {
            client,
            target: Arc::new(target),
        })
    }

    pub(super) fn is_https(&self) -> bool {
        self.target.base.is_https()
    }

    /// The base URI as it was given, without a slash at its end.
    pub fn name(&self) -> &str {
        &self.target.name
    }
}

impl Target {
    /// Turns a client's request into one for this upstream, and returns the protocol that it asks to be
    /// upgraded to, if it does.
    ///
    /// # Errors
    ///
    /// It cannot be sent as it is. It must not be sent then: its own URI can name any host.
    fn rewrite<B: Body>(&self, request: &mut Request<B>) -> Result<Option<HeaderValue>, NotSent> {
        if request.method() == Method::CONNECT {
            return Err(NotSent::unsendable("CONNECT is for forward proxies"));
        }
        let Some(uri) = self.base.join(request.uri()) else {
            return Err(NotSent::unsendable(
                "its path and the base's are too long together",
            ));
        };
        // The authority of the request line is what was asked for, whatever `Host` says (RFC 9112,
        // section 3.2.2); in HTTP/2 there is nothing else. User information is not part of a host.
        let asked = match request.uri().authority().map(Authority::as_str) {
            Some(authority) => {
                let host = authority
                    .rsplit_once('@')
                    .map_or(authority, |(_, host)| host);
                HeaderValue::from_str(host).ok()
            }
            None => request.headers().get(HOST).cloned(),
        };
        *request.uri_mut() = uri;
        let upgrades = request.version() == Version::HTTP_11;
        // What the client speaks is its connection's matter; so is what the upstream speaks.
        *request.version_mut() = Version::HTTP_11;
        let headers = request.headers_mut();
        let mut upgrade = clean_request(headers).map_err(NotSent::unsendable)?;
        if !upgrades {
            // HTTP/1.0 has no upgrades, and HTTP/2 others.
            headers.remove(CONNECTION);
            headers.remove(UPGRADE);
            upgrade = None;
        }
        match asked {
            Some(asked) if self.preserve_host => {
                headers.insert(HOST, asked);
            }
            Some(asked) => {
                headers.remove(HOST);
                headers.insert(X_FORWARDED_HOST, asked);
            }
            None => {}
        }
        if !self.http2 {
            join_cookies(headers);
            // Unless it is told to, hyper sends no body of unknown length with these methods.
            let body = request.body();
            let unknown = body.size_hint().exact().is_none() && !body.is_end_stream();
            if unknown && matches!(*request.method(), Method::GET | Method::HEAD) {
                let chunked = HeaderValue::from_static("chunked");
                request.headers_mut().insert(TRANSFER_ENCODING, chunked);
            }
        }
        Ok(upgrade)
    }
}

impl<B, C> Service<Request<B>> for Upstream<B, C>
where
    B: Body + Send + Unpin + 'static,
    B::Data: Send,
    B::Error: Into<BoxError>,
    C: Clone + Send + Sync + 'static,
    Connector<C>: Connect,
{
    type Response = Response<UpstreamBody>;
    type Error = BoxError;
    type Future = UpstreamFuture;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request<B>) -> UpstreamFuture {
        let state = match self.target.rewrite(&mut request) {
            Ok(upgrade) => {
                let trail = Trail::of(request.extensions()).cloned();
                let timed = trail.as_ref().filter(|trail| trail.is_timed());
                let awaited = timed.map(|trail| {
                    trail.connecting();
                    Awaited {
                        connection: capture_connection(&mut request),
                        ends: Instant::now().checked_add(self.target.connect_timeout),
                    }
                });
                let uploads = !request.body().is_end_stream();
                let response = self.client.request(request);
                State::Sent {
                    response,
                    trail,
                    awaited,
                    uploads,
                    upgrade,
                }
            }
            Err(error) => State::Refused { error: Some(error) },
        };
        UpstreamFuture { state }
    }
}

impl<B, C: Clone> Clone for Upstream<B, C> {
    fn clone(&self) -> Self {
        Self {
            client: self.client.clone(),
            target: Arc::clone(&self.target),
        }
    }
}

impl<B, C> fmt::Debug for Upstream<B, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Upstream").field(&self.target.name).finish()
    }
}

#[cfg(feature = "balance")]
impl<B, C> From<Upstream<B, C>> for crate::balance::Endpoint<Upstream<B, C>> {
    fn from(upstream: Upstream<B, C>) -> Self {
        Self::new(Arc::clone(&upstream.target.name), upstream)
    }
}

pin_project! {
    /// The future of an [`Upstream`]'s response.
    pub struct UpstreamFuture {
        #[pin]
        state: State,
    }
}

pin_project! {
    #[project = StateProj]
    enum State {
        Sent {
            #[pin]
            response: ResponseFuture,
            trail: Option<Trail>,
            // The connection; `None` once there is one, and where nobody wants to know.
            //
            // The client says which one it took, new or from the pool, right before it gives the
            // request to it, in one poll of `response`: after a poll that has not said so nothing was
            // sent. When a connection from the pool hands the request back, the client looks for
            // another, and the time that this takes counts as the peer's.
            awaited: Option<Awaited>,
            // Whether the request has a body.
            uploads: bool,
            upgrade: Option<HeaderValue>,
        },
        Refused { error: Option<NotSent> },
    }
}

/// A connection that is awaited.
struct Awaited {
    connection: CaptureConnection,
    /// When it is the peer's turn in any case: a connection that was made in time, and on which HTTP/2
    /// cannot begin, is never told.
    ends: Option<Instant>,
}

impl Awaited {
    fn is_over(&self) -> bool {
        self.connection.connection_metadata().is_some()
            || self.ends.is_some_and(|ends| ends <= Instant::now())
    }
}

impl Future for UpstreamFuture {
    type Output = Result<Response<UpstreamBody>, BoxError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().state.project() {
            StateProj::Sent {
                response,
                trail,
                awaited,
                uploads,
                upgrade,
            } => {
                let polled = response.poll(cx);
                if let (Some(connecting), Some(trail)) = (&awaited, &trail) {
                    // Also when it has answered at once: a layer above may go on waiting for more.
                    if connecting.is_over() {
                        trail.connected();
                        *awaited = None;
                    }
                }
                Poll::Ready(match ready!(polled) {
                    Ok(response) => receive(response, *uploads, upgrade.as_ref()),
                    Err(error) => {
                        if let (Some(trail), Some(reused)) = (trail, was_reused(&error)) {
                            trail.set_reused(reused);
                        }
                        Err(error.into())
                    }
                })
            }
            StateProj::Refused { error } => match error.take() {
                Some(error) => Poll::Ready(Err(error.into())),
                None => panic!("an upstream future was polled after its end"),
            },
        }
    }
}

/// Turns an upstream's response into one for the client.
fn receive(
    mut response: Response<Incoming>,
    uploads: bool,
    asked: Option<&HeaderValue>,
) -> Result<Response<UpstreamBody>, BoxError> {
    mark_received(response.extensions());
    let switches = response.status() == StatusCode::SWITCHING_PROTOCOLS;
    let upgrade = clean_response(response.headers_mut(), switches).map_err(Junk::new)?;
    let same = |asked: &HeaderValue, got: &HeaderValue| {
        asked.as_bytes().eq_ignore_ascii_case(got.as_bytes())
    };
    if switches
        && !asked
            .zip(upgrade.as_ref())
            .is_some_and(|(asked, got)| same(asked, got))
    {
        return Err(Junk::new("upstream switches to a protocol that nobody asked for").into());
    }
    // What the upstream speaks is its connection's matter: a server would take HTTP/1.0 for what the
    // client speaks, and end a body that broke off as if it were whole.
    if response.version() == Version::HTTP_10 {
        *response.version_mut() = Version::HTTP_11;
    }
    // HTTP/1 has no stream whose end could be told from that of the body.
    let must_end = response.version() == Version::HTTP_2 && !uploads;
    Ok(response.map(|body| UpstreamBody::new(body, must_end)))
}

impl fmt::Debug for UpstreamFuture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UpstreamFuture").finish_non_exhaustive()
    }
}
