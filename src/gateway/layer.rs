use std::fmt;

use http::HeaderName;
use tower_layer::Layer;

use super::{ErrorPage, PlainText, pending::Marks, proxy_status::ProxyStatus, service::Gateway};
use crate::{ConfigError, own_header::own_header};

/// Answers a request whose service failed.
///
/// The layer is its own builder. It is as cheap to clone as its page.
///
/// # Defaults
///
/// | | default |
/// |---|---|
/// | [`page`](Self::page) | [`PlainText`]: the status and its name |
/// | [`proxy_status`](Self::proxy_status) | none: it shows clients what stands behind the gateway |
/// | [`attempts_header`](Self::attempts_header) | none, for the same reason |
#[derive(Clone)]
#[must_use]
pub struct GatewayLayer<P = PlainText> {
    page: P,
    marks: Marks,
}

impl GatewayLayer {
    /// Answers with a status and its name in plain text.
    pub const fn new() -> Self {
        Self {
            page: PlainText,
            marks: Marks::NONE,
        }
    }
}

impl<P> GatewayLayer<P> {
    /// Sets what the client reads when its request failed.
    ///
    /// Mostly that is a closure, which names its argument's type; one that must know something of the
    /// request implements [`ErrorPage`] instead. Each request takes a clone of it: an `Arc` around
    /// what is dear to clone, or around the page itself, makes it cheap.
    ///
    /// What the page answers is what is sent, status and headers and all. The gateway adds
    ///
    /// - the [`Report`](crate::report::Report) to its extensions, unless the page has put one there;
    /// - the headers that [`proxy_status`](Self::proxy_status) and
    ///   [`attempts_header`](Self::attempts_header) ask for;
    /// - for HEAD the `Content-Length` of the body that it leaves out, unless the page has set one.
    ///
    /// A `Content-Type` is the page's to set. A `Content-Length` is best left to the server, which knows
    /// the body's.
    ///
    /// # Panics
    ///
    /// A page that panics does so in the response's future.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::io;
    /// use bytes::Bytes;
    /// use http::{Request, Response, header::CONTENT_TYPE};
    /// use http_body_util::{BodyExt, Full};
    /// use tower::{ServiceBuilder, ServiceExt, service_fn};
    /// use tower_failover::{FailoverLayer, ReplayBody, gateway::{Failed, GatewayLayer}};
    ///
    /// fn json(failed: &Failed<'_>) -> Response<Bytes> {
    ///     let (kind, attempts) = (failed.kind(), failed.attempts());
    ///     let text = format!(r#"{{"error":"{kind}","attempts":{attempts}}}"#);
    ///     Response::builder()
    ///         .status(failed.status())
    ///         .header(CONTENT_TYPE, "application/json")
    ///         .body(text.into())
    ///         .expect("a valid response")
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let refusing = service_fn(async |_: Request<ReplayBody<Full<Bytes>>>| {
    ///     Err::<Response<Full<Bytes>>, _>(io::Error::from(io::ErrorKind::ConnectionRefused))
    /// });
    /// let stack = ServiceBuilder::new()
    ///     .layer(GatewayLayer::new().page(json))
    ///     .layer(FailoverLayer::default().max_attempts(2))
    ///     .service(refusing);
    ///
    /// let response = stack.oneshot(Request::new(Full::<Bytes>::default())).await?;
    /// assert_eq!(response.status(), 502);
    /// let text = response.into_body().collect().await?.to_bytes();
    /// assert_eq!(text, r#"{"error":"connect failure","attempts":2}"#);
    /// # Ok(())
    /// # }
    /// ```
    pub fn page<Q>(self, page: Q) -> GatewayLayer<Q>
    where
        Q: ErrorPage + Clone,
    {
        GatewayLayer {
            page,
            marks: self.marks,
        }
    }

    /// Tells clients what went wrong, in the `Proxy-Status` header (RFC 9209), under a name that
    /// identifies this deployment, such as its host name.
    ///
    /// Every response that the gateway itself generates gets one member, behind those that the page
    /// has set. A relayed response gets none, not even one that took several attempts: what upstreams
    /// say of themselves passes as it is.
    ///
    /// `error` is about the last attempt; earlier ones may have come further, so that it proves nothing
    /// about the request:
    ///
    /// | [`FailureKind`](crate::failure::FailureKind) | `error` (RFC 9209, section 2.3) |
    /// |---|---|
    /// | `Connect`: the name was not resolved (feature `hyper`) | `dns_error` |
    /// | `Connect`: refused | `connection_refused` |
    /// | `Connect`: no route to the host, or to its network | `destination_ip_unroutable` |
    /// | `Connect`: closed during a handshake | `connection_terminated` |
    /// | `Connect`: anything else, or not known | `destination_unavailable` |
    /// | `Connect`, `Reset`: a TLS alert came (feature `rustls`) | `tls_alert_received` |
    /// | `Connect`, `Reset`: another error of TLS (feature `rustls`) | `tls_protocol_error` |
    /// | `ConnectTimeout` | `connection_timeout` |
    /// | `Certificate` | `tls_certificate_error` |
    /// | `Reset`, `RefusedStream` | `connection_terminated` |
    /// | `Junk` | `http_protocol_error` |
    /// | `Timeout`, `Deadline` | `http_response_timeout` |
    /// | `Overload` | `connection_limit_reached` |
    /// | `Request`, `RequestBody` | `http_request_error` |
    /// | `NoPeer` | `destination_unavailable` |
    /// | `Other` | `proxy_internal_error` |
    ///
    /// The status stays that of the page, also where the RFC recommends another one.
    ///
    /// `next-hop` is the name of the last attempt's peer, without user information. It is left out when
    /// the peer is not known, or its name is not printable ASCII. `details` is the kind in words, and
    /// the number of attempts if there was more than one.
    ///
    /// It shows clients the names of peers. Where they must not know them, give the peers names that
    /// say nothing, or remove the field in a layer above.
    ///
    /// # Errors
    ///
    /// The name is empty, or not printable ASCII.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::io;
    /// use http::{Request, Response};
    /// use tower::{ServiceBuilder, ServiceExt, service_fn};
    /// use tower_failover::{FailoverLayer, ReplayBody, gateway::GatewayLayer};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let refusing = service_fn(async |_: Request<ReplayBody<String>>| {
    ///     Err::<Response<String>, _>(io::Error::from(io::ErrorKind::ConnectionRefused))
    /// });
    /// let stack = ServiceBuilder::new()
    ///     .layer(GatewayLayer::new().proxy_status("edge.example.com")?)
    ///     .layer(FailoverLayer::default())
    ///     .service(refusing);
    ///
    /// let response = stack.oneshot(Request::new(String::new())).await?;
    /// assert_eq!(
    ///     response.headers()["proxy-status"],
    ///     r#"edge.example.com; error=connection_refused; details="connect failure after 3 attempts""#
    /// );
    /// # Ok(())
    /// # }
    /// ```
    pub fn proxy_status(mut self, name: &str) -> Result<Self, ConfigError> {
        self.marks.proxy_status = Some(ProxyStatus::new(name)?);
        Ok(self)
    }

    /// Tells clients in a header how many attempts their request took, the first included.
    ///
    /// It is set on every response, in place of what an upstream or the page has set: relayed ones, 101
    /// (Switching Protocols) and the gateway's own. A relayed response without a
    /// [`Report`](crate::report::Report) took one. The gateway's own has
    /// [those that were made](super::Failed::attempts), which can be none.
    ///
    /// ```
    /// use http::{HeaderName, Request, Response};
    /// use tower::{ServiceBuilder, ServiceExt, service_fn};
    /// use tower_failover::{BoxError, FailoverLayer, ReplayBody, gateway::GatewayLayer};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let well = service_fn(async |_: Request<ReplayBody<String>>| {
    ///     Ok::<_, BoxError>(Response::new(String::new()))
    /// });
    /// let attempts = HeaderName::from_static("x-attempts");
    /// let stack = ServiceBuilder::new()
    ///     .layer(GatewayLayer::new().attempts_header(attempts)?)
    ///     .layer(FailoverLayer::default())
    ///     .service(well);
    ///
    /// let response = stack.oneshot(Request::new(String::new())).await?;
    /// assert_eq!(response.headers()["x-attempts"], "1");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// The name is that of a header that frames or routes a message, such as `content-length`.
    pub fn attempts_header(mut self, name: HeaderName) -> Result<Self, ConfigError> {
        let name = own_header("attempts header", name)?;
        self.marks.attempts_header = Some(name);
        Ok(self)
    }
}

impl Default for GatewayLayer {
    fn default() -> Self {
        Self::new()
    }
}

impl<S, P: Clone> Layer<S> for GatewayLayer<P> {
    type Service = Gateway<S, P>;

    fn layer(&self, inner: S) -> Gateway<S, P> {
        Gateway::new(inner, self.page.clone(), self.marks.clone())
    }
}

impl<P> fmt::Debug for GatewayLayer<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GatewayLayer")
            .field("marks", &self.marks)
            .finish_non_exhaustive()
    }
}
