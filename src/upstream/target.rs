use std::sync::Arc;

use http::{
    HeaderName, HeaderValue, Method, Request, Uri, Version,
    header::{CONNECTION, HOST, TRANSFER_ENCODING, UPGRADE},
    uri::Authority,
};
use http_body::Body;

use super::{base::Base, headers::clean_request, origin::Origin, origins::Origins};
use crate::{ConfigError, failure::NotSent};

/// Where an [`Upstream`](super::Upstream)'s requests go, and what becomes of them.
pub(super) struct Target<B> {
    pub(super) name: Arc<str>,
    base: Base,
    preserve_host: bool,
    pub(super) origin: Arc<Origin<B>>,
    /// Idle connections are looked after as long as it is there.
    _pool: Arc<Origins<B>>,
}

const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");

impl<B> Target<B> {
    pub(super) fn new(
        base: &str,
        preserve_host: bool,
        pool: Arc<Origins<B>>,
    ) -> Result<Self, ConfigError> {
        // With and without it, it is the same peer.
        let name = Arc::from(base.trim_end_matches('/'));
        let base = Base::parse(base)?;
        Ok(Self {
            name,
            preserve_host,
            origin: pool.at(&base.scheme, &base.authority),
            base,
            _pool: pool,
        })
    }

    pub(super) fn is_https(&self) -> bool {
        self.base.is_https()
    }

    /// Turns a client's request into one for this upstream, and returns the protocol that it asks to be
    /// upgraded to, if it does.
    ///
    /// For HTTP/1, its URI is the path, and `Host` is there; for HTTP/2, its URI is whole.
    ///
    /// # Errors
    ///
    /// It cannot be sent as it is. It must not be sent then: it is still what the client asked for.
    pub(super) fn rewrite<T: Body>(
        &self,
        request: &mut Request<T>,
    ) -> Result<Option<HeaderValue>, NotSent> {
        if request.method() == Method::CONNECT {
            return Err(NotSent::unsendable("CONNECT is for forward proxies"));
        }
        let http2 = self.origin.settings().http2;
        let Some(path) = self.base.path(request.uri()) else {
            return Err(NotSent::unsendable(
                "its path and the base's are too long together",
            ));
        };
        self.rewrite_host(request);
        *request.uri_mut() = Uri::from(path);
        if http2 {
            self.origin.place().locate(request);
        }
        let upgrades = request.version() == Version::HTTP_11;
        // What the client speaks is its connection's matter; so is what the upstream speaks.
        *request.version_mut() = Version::HTTP_11;
        let headers = request.headers_mut();
        let mut upgrade = clean_request(headers, !http2).map_err(NotSent::unsendable)?;
        if !upgrades && upgrade.is_some() {
            // HTTP/1.0 has no upgrades, and HTTP/2 others.
            headers.remove(CONNECTION);
            headers.remove(UPGRADE);
            upgrade = None;
        }
        if !http2 {
            // Unless it is told to, hyper sends no body of unknown length with these methods.
            let body = request.body();
            let unknown = || !body.is_end_stream() && body.size_hint().exact().is_none();
            if matches!(*request.method(), Method::GET | Method::HEAD) && unknown() {
                let chunked = HeaderValue::from_static("chunked");
                request.headers_mut().insert(TRANSFER_ENCODING, chunked);
            }
        }
        Ok(upgrade)
    }

    fn rewrite_host<T>(&self, request: &mut Request<T>) {
        let mut given = request.headers().get_all(HOST).iter();
        let first = given.next();
        // The authority of the request line is what was asked for, whatever `Host` says (RFC 9112,
        // section 3.2.2); in HTTP/2 there is nothing else. User information is not part of a host.
        let asked = match request.uri().authority().map(Authority::as_str) {
            Some(authority) => {
                let host = authority
                    .rsplit_once('@')
                    .map_or(authority, |(_, host)| host);
                HeaderValue::from_str(host).ok()
            }
            // It stays.
            None if self.preserve_host && first.is_some() && given.next().is_none() => return,
            None => first.cloned(),
        };
        let headers = request.headers_mut();
        match asked {
            Some(asked) if self.preserve_host => {
                headers.insert(HOST, asked);
                return;
            }
            Some(asked) => {
                headers.insert(X_FORWARDED_HOST, asked);
            }
            None => {}
        }
        if self.origin.settings().http2 {
            headers.remove(HOST);
        } else {
            headers.insert(HOST, self.origin.place().host().clone());
        }
    }
}
