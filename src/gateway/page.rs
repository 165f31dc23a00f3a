use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderValue, Request, Response, header::CONTENT_TYPE};

use super::Failed;

/// What a client reads when its request failed: the counterpart of Pingora's `fail_to_proxy`.
///
/// Every `Fn(&Failed<'_>) -> Response<Bytes>` is one, which remembers nothing of the request.
///
/// # Examples
///
/// A page in the format that the client asked for:
///
/// ```
/// use std::io;
/// use bytes::Bytes;
/// use http::{Request, Response, header::{ACCEPT, CONTENT_TYPE}};
/// use tower::{ServiceBuilder, ServiceExt, service_fn};
/// use tower_failover::gateway::{ErrorPage, Failed, GatewayLayer, PlainText};
///
/// #[derive(Clone)]
/// struct JsonOrText;
///
/// impl ErrorPage for JsonOrText {
///     /// Whether the client asked for JSON.
///     type Context = bool;
///
///     fn remember<B>(&self, request: &Request<B>) -> bool {
///         let accept = request.headers().get(ACCEPT);
///         accept.is_some_and(|accept| accept == "application/json")
///     }
///
///     fn answer(&self, json: bool, failed: &Failed<'_>) -> Response<Bytes> {
///         if !json {
///             return PlainText.answer((), failed);
///         }
///         Response::builder()
///             .status(failed.status())
///             .header(CONTENT_TYPE, "application/json")
///             .body(format!(r#"{{"error":"{}"}}"#, failed.kind()).into())
///             .expect("a valid response")
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let failing = service_fn(async |_: Request<String>| Err::<Response<String>, _>(io::Error::other("")));
/// let stack = ServiceBuilder::new()
///     .layer(GatewayLayer::new().page(JsonOrText))
///     .service(failing);
///
/// let request = Request::get("/").header(ACCEPT, "application/json").body(String::new())?;
/// let response = stack.clone().oneshot(request).await?;
/// assert_eq!(response.headers()[CONTENT_TYPE], "application/json");
///
/// let response = stack.oneshot(Request::new(String::new())).await?;
/// assert_eq!(response.headers()[CONTENT_TYPE], "text/plain; charset=utf-8");
/// # Ok(())
/// # }
/// ```
pub trait ErrorPage {
    /// What is remembered of a request until it is answered; `()` for nothing.
    type Context;

    /// Looks at a request before it is sent: every request, and most of them do not fail.
    fn remember<B>(&self, request: &Request<B>) -> Self::Context;

    /// Answers a request that failed.
    fn answer(&self, context: Self::Context, failed: &Failed<'_>) -> Response<Bytes>;
}

impl<F> ErrorPage for F
where
    F: Fn(&Failed<'_>) -> Response<Bytes> + ?Sized,
{
    type Context = ();

    fn remember<B>(&self, _: &Request<B>) {}

    fn answer(&self, (): (), failed: &Failed<'_>) -> Response<Bytes> {
        self(failed)
    }
}

impl<P: ErrorPage + ?Sized> ErrorPage for Arc<P> {
    type Context = P::Context;

    fn remember<B>(&self, request: &Request<B>) -> P::Context {
        P::remember(self, request)
    }

    fn answer(&self, context: P::Context, failed: &Failed<'_>) -> Response<Bytes> {
        P::answer(self, context, failed)
    }
}

/// The default page: the status and its name, as in `Bad Gateway`, in plain text.
///
/// It tells nothing about what stands behind the gateway.
#[derive(Clone, Copy, Debug, Default)]
pub struct PlainText;

impl ErrorPage for PlainText {
    type Context = ();

    fn remember<B>(&self, _: &Request<B>) {}

    fn answer(&self, (): (), failed: &Failed<'_>) -> Response<Bytes> {
        let status = failed.status();
        let name = status.canonical_reason().unwrap_or_default();
        let mut response = Response::new(format!("{name}\n").into());
        *response.status_mut() = status;
        let text = HeaderValue::from_static("text/plain; charset=utf-8");
        response.headers_mut().insert(CONTENT_TYPE, text);
        response
    }
}
