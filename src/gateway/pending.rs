use std::error::Error as StdError;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, header::CONTENT_LENGTH};
use tracing::warn;

#[cfg(feature = "hyper")]
use super::upgrade::Upgrade;
use super::{ErrorPage, Failed, GatewayBody, proxy_status::ProxyStatus};
use crate::report::Report;

/// What the gateway writes into the heads of responses.
#[derive(Clone, Debug)]
pub(super) struct Marks {
    pub(super) proxy_status: Option<ProxyStatus>,
    pub(super) attempts_header: Option<HeaderName>,
}

impl Marks {
    pub(super) const NONE: Self = Self {
        proxy_status: None,
        attempts_header: None,
    };

    fn count(&self, attempts: usize, headers: &mut HeaderMap) {
        if let Some(name) = &self.attempts_header {
            headers.insert(name, HeaderValue::from(attempts));
        }
    }
}

/// A request that waits for its response: what is needed to relay one, and to answer in its place.
pub(super) struct Pending<P: ErrorPage> {
    page: P,
    context: P::Context,
    marks: Marks,
    /// Whether its response has no content.
    is_head: bool,
    #[cfg(feature = "hyper")]
    upgrade: Option<Upgrade>,
}

impl<P: ErrorPage> Pending<P> {
    /// Remembers a request that is about to be sent, and takes the client's side of an upgrade out of it.
    pub(super) fn begin<B>(page: P, marks: Marks, request: &mut Request<B>) -> Self {
        Self {
            context: page.remember(request),
            page,
            marks,
            is_head: request.method() == Method::HEAD,
            #[cfg(feature = "hyper")]
            upgrade: Upgrade::take(request),
        }
    }

    /// Makes an upstream's response one that can be relayed.
    pub(super) fn mark<R>(self, response: &mut Response<R>) {
        #[cfg(feature = "hyper")]
        if let Some(upgrade) = self.upgrade {
            upgrade.bridge(response);
        }
        let report = Report::of(response.extensions());
        let attempts = report.map_or(1, |report| report.attempts().len());
        self.marks.count(attempts, response.headers_mut());
    }

    /// Answers in place of a service that failed after so many calls.
    pub(super) fn answer<R>(
        self,
        error: &(dyn StdError + 'static),
        calls: usize,
    ) -> Response<GatewayBody<R>> {
        let failed = Failed::new(error, calls);
        let mut response = self.page.answer(self.context, &failed);
        if let Some(proxy_status) = &self.marks.proxy_status {
            proxy_status.append(&failed, response.headers_mut());
        }
        self.marks.count(failed.attempts(), response.headers_mut());
        let report = failed.report();
        warn!(
            status = response.status().as_u16(),
            error,
            attempts = report.cloned().map(tracing::field::display),
            "request failed"
        );
        if let (None, Some(report)) = (Report::of(response.extensions()), report) {
            response.extensions_mut().insert(report.clone());
        }
        if self.is_head {
            response = without_content(response);
        }
        response.map(GatewayBody::page)
    }
}

/// Leaves the body out of a response to HEAD: not every server does, and hyper's of HTTP/2 does not.
fn without_content(response: Response<Bytes>) -> Response<Bytes> {
    let (mut head, body) = response.into_parts();
    if !body.is_empty() {
        let length = head.headers.entry(CONTENT_LENGTH);
        length.or_insert_with(|| HeaderValue::from(body.len()));
    }
    Response::from_parts(head, Bytes::new())
}
