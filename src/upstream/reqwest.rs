use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::{Request, Response, Uri, Version, header::HOST};
use http_body::Body;
use pin_project_lite::pin_project;
use reqwest::{Client, ClientBuilder, Error, Url, redirect, retry};
use tower_service::Service;

use super::base::Base;
use crate::{
    BoxError, ConfigError,
    trail::{Follow, Trail},
};

/// A [`reqwest::Client`] whose connections are shared by all upstreams.
#[derive(Clone, Debug)]
pub struct ReqwestPool {
    client: Client,
}

impl ReqwestPool {
    /// Builds the client, with its redirects and its own retries turned off.
    ///
    /// A client that follows a redirect goes to a peer that nobody picked; and when that peer refuses
    /// the connection, reqwest's error says so and no more. It would be taken as proof that nothing
    /// was sent, and a POST that the first peer has processed would be sent again. Retries are the
    /// business of the layer above, which can send the request elsewhere.
    ///
    /// # Errors
    ///
    /// Those of [`ClientBuilder::build`].
    pub fn new(client: ClientBuilder) -> Result<Self, Error> {
        let client = client
            .redirect(redirect::Policy::none())
            .retry(retry::never())
            .build()?;
        Ok(Self { client })
    }

    /// An upstream at a base URI, which is also its peer's name.
    ///
    /// # Errors
    ///
    /// The text is not an absolute `http` or `https` URI, or it has user information, a query or a
    /// fragment.
    pub fn upstream(&self, base: &str) -> Result<Reqwest, ConfigError> {
        let target = Target {
            name: Arc::from(base),
            base: Base::parse(base)?,
            url: Url::parse(base).map_err(|_| Base::wrong(base))?,
        };
        Ok(Reqwest {
            client: self.client.clone(),
            target: Arc::new(target),
        })
    }
}

/// Sends requests to one base URI; made by [`ReqwestPool::upstream`].
///
/// A clone is a few pointers, and shares the connections.
///
/// ```
/// use bytes::Bytes;
/// use http_body_util::Full;
/// use reqwest::Client;
/// use tower::ServiceBuilder;
/// use tower_failover::{FailoverLayer, balance::Balance, upstream::ReqwestPool};
///
/// # type Request = http::Request<Full<Bytes>>;
/// let pool = ReqwestPool::new(Client::builder())?;
/// let service = ServiceBuilder::new()
///     .layer(FailoverLayer::default())
///     .service(Balance::new([
///         pool.upstream("http://10.0.0.1:8080/v1")?,
///         pool.upstream("http://10.0.0.2:8080/v1")?,
///     ]));
/// # fn check<S: tower::Service<Request>>(_: S) {}
/// # check(service);
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
///
/// # What becomes of a request
///
/// - The path is put behind the base's own path, and the query is kept. reqwest reads paths as
///   browsers do: it resolves `.` and `..`, also when they are percent-encoded, and takes `\` for `/`.
///   A request whose path would leave the base's that way is refused before anything is sent; so is
///   `*` where the base has no path.
/// - `Host` is removed: the base's authority is the host. All other headers are kept, hop-by-hop
///   fields as well: this is an endpoint for clients. A proxy wants `Upstream`, of the feature
///   `hyper`, which removes them.
/// - Extensions are handed to reqwest, which reads its own settings from them, such as a timeout, and
///   passes none of them to its connector.
/// - The HTTP version is what the client and the peer agree on.
/// - The body is streamed, with its exact length if that is known.
///
/// # What it cannot do
///
/// - It does not tell whether a connection was reused, so that a
///   [failure](crate::failure::Failure::connection_reused) knows nothing of it.
/// - It does not tell when it connects, so that a [per-try timeout](crate::FailoverLayer::per_try_timeout)
///   counts connecting, and a POST that has met it there is not sent again. Give the client a
///   [`connect_timeout`](ClientBuilder::connect_timeout) that is shorter.
/// - What the client does by itself stays its own: proxies, cookies, decompression, default headers,
///   timeouts.
#[derive(Clone)]
pub struct Reqwest {
    client: Client,
    target: Arc<Target>,
}

struct Target {
    name: Arc<str>,
    base: Base,
    /// The base as reqwest reads it: no request may leave it.
    url: Url,
}

impl Reqwest {
    /// The base URI, as it was given.
    pub fn name(&self) -> &str {
        &self.target.name
    }
}

impl Target {
    fn request<B>(&self, request: Request<B>) -> Result<reqwest::Request, Error>
    where
        B: Body<Data = Bytes> + Send + Sync + 'static,
        B::Error: Into<BoxError>,
    {
        let (mut parts, body) = request.into_parts();
        // Only reqwest can make its errors, and it makes one of a URI without a host.
        parts.uri = self.locate(&parts.uri).unwrap_or_default();
        parts.version = Version::HTTP_11;
        parts.headers.remove(HOST);
        Request::from_parts(parts, reqwest::Body::wrap(body)).try_into()
    }

    /// The URI of a request at this upstream; `None` when reqwest would read it as one elsewhere.
    fn locate(&self, uri: &Uri) -> Option<Uri> {
        let joined = self.base.join(uri)?;
        let url = Url::parse(&joined.to_string()).ok()?;
        let below = url
            .path()
            .strip_prefix(self.url.path().trim_end_matches('/'))?;
        let inside =
            url.origin() == self.url.origin() && (below.is_empty() || below.starts_with('/'));
        inside.then_some(joined)
    }
}

impl<B> Service<Request<B>> for Reqwest
where
    B: Body<Data = Bytes> + Send + Sync + 'static,
    B::Error: Into<BoxError>,
{
    type Response = Response<reqwest::Body>;
    type Error = Error;
    type Future = ReqwestFuture;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.client.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> ReqwestFuture {
        let state = match self.target.request(request) {
            Ok(request) => State::Sent {
                response: self.client.call(request),
            },
            Err(error) => State::Refused { error: Some(error) },
        };
        ReqwestFuture { state }
    }
}

impl<B> Follow<Request<B>> for Reqwest
where
    B: Body<Data = Bytes> + Send + Sync + 'static,
    B::Error: Into<BoxError>,
{
    /// It has nothing to write down: reqwest does not say how it connects.
    fn follow(&mut self, request: Request<B>, _trail: Trail) -> ReqwestFuture {
        self.call(request)
    }
}

impl fmt::Debug for Reqwest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Reqwest").field(&self.target.name).finish()
    }
}

#[cfg(feature = "balance")]
impl From<Reqwest> for crate::balance::Endpoint<Reqwest> {
    fn from(reqwest: Reqwest) -> Self {
        Self::new(Arc::clone(&reqwest.target.name), reqwest)
    }
}

pin_project! {
    /// The future of a [`Reqwest`]'s response.
    pub struct ReqwestFuture {
        #[pin]
        state: State<<Client as Service<reqwest::Request>>::Future>,
    }
}

pin_project! {
    #[project = StateProj]
    enum State<F> {
        Sent { #[pin] response: F },
        /// The request could not be made.
        Refused { error: Option<Error> },
    }
}

impl Future for ReqwestFuture {
    type Output = Result<Response<reqwest::Body>, Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().state.project() {
            StateProj::Sent { response } => Poll::Ready(ready!(response.poll(cx)).map(Into::into)),
            StateProj::Refused { error } => match error.take() {
                Some(error) => Poll::Ready(Err(error)),
                None => panic!("a reqwest future was polled after its end"),
            },
        }
    }
}

impl fmt::Debug for ReqwestFuture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReqwestFuture").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use http::Method;
    use http_body_util::Full;

    use super::*;

    fn at(base: &str, uri: &str) -> Result<reqwest::Request, Error> {
        let pool = ReqwestPool::new(Client::builder()).unwrap();
        let upstream = pool.upstream(base).unwrap();
        let request = Request::builder()
            .method(Method::POST)
            .uri(uri)
            .version(Version::HTTP_2)
            .header(HOST, "client")
            .header("x-kept", "1")
            .header("x-kept", "2")
            .extension("kept");
        upstream
            .target
            .request(request.body(Full::from("body")).unwrap())
    }

    #[test]
    fn joins_base_and_request() {
        let urls = [
            ("http://u:1", "/a?b=c", "http://u:1/a?b=c"),
            ("http://u:1/p/", "/a%2F/%20?b", "http://u:1/p/a%2F/%20?b"),
            ("https://u/p", "http://client/a", "https://u/p/a"),
            ("http://u/p", "/a/../b", "http://u/p/b"),
            ("http://u/p/../q", "/a", "http://u/q/a"),
            ("http://u", "//other/a", "http://u//other/a"),
        ];
        for (base, uri, url) in urls {
            assert_eq!(at(base, uri).unwrap().url().as_str(), url, "{base} {uri}");
        }
    }

    #[test]
    fn refuses_what_would_leave_the_base() {
        let long = format!("http://elsewhere/{}", "a".repeat(65_515));
        let uris = [
            "/..",
            "/../a",
            "/%2e%2E/a",
            "/\\..\\..\\a",
            "/../prefixes",
            &long,
        ];
        for uri in uris {
            let error = at("http://u/prefixes-of-this-base", uri).unwrap_err();
            assert!(error.is_builder(), "{uri}: {error:?}");
        }
        assert!(at("http://u", "*").unwrap_err().is_builder());
    }

    #[test]
    fn keeps_all_headers_but_the_host() {
        let request = at("http://u", "/").unwrap();
        let kept: Vec<_> = request.headers().iter().collect();
        assert_eq!(kept.len(), 2);
        assert!(kept.iter().all(|(name, _)| *name == "x-kept"));
    }

    #[test]
    fn keeps_method_body_length_and_extensions() {
        let request = at("http://u", "/").unwrap();
        assert_eq!(request.method(), Method::POST);
        assert_eq!(request.body().unwrap().size_hint().exact(), Some(4));
        let request: Request<reqwest::Body> = request.try_into().unwrap();
        assert_eq!(request.extensions().get(), Some(&"kept"));
        // The client's version says nothing about the upstream's.
        assert_eq!(request.version(), Version::HTTP_11);
    }

    #[test]
    fn refuses_a_base_that_is_none_and_names_it() {
        for base in ["u:1", "http://u?x", "http://u:99999", "http://[::1"] {
            let error = ReqwestPool::new(Client::builder())
                .unwrap()
                .upstream(base)
                .unwrap_err();
            assert_eq!(error.value(), format!("`{base}`"));
        }
    }
}
