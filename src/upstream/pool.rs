use std::{fmt, time::Duration};

use http_body::Body;
use hyper_util::{
    client::legacy::{
        Builder, Client,
        connect::{Connect, HttpConnector},
    },
    rt::{TokioExecutor, TokioTimer},
};

use super::{connector::Connector, hyper::Upstream};
use crate::ConfigError;

/// A hyper client whose connections are shared by all upstreams.
///
/// Its type names the body that requests carry: a [`ReplayBody`](crate::ReplayBody) below a
/// [`FailoverLayer`](crate::FailoverLayer).
pub struct Pool<B, C = HttpConnector> {
    client: Client<Connector<C>, B>,
    http2: bool,
    preserve_host: bool,
    connect_timeout: Duration,
    /// Whether the connector is of the user's own, and may speak TLS.
    custom: bool,
}

/// How a [`Pool`] connects.
#[derive(Clone, Debug)]
#[must_use]
pub struct PoolOptions {
    connect_timeout: Duration,
    http2: bool,
    preserve_host: Option<bool>,
}

impl PoolOptions {
    /// The defaults: HTTP/1.1, a connect timeout of 5 seconds.
    pub fn new() -> Self {
        Self {
            connect_timeout: Duration::from_secs(5),
            http2: false,
            preserve_host: None,
        }
    }

    /// Sets the time to connect; by default 5 seconds, as in Envoy.
    ///
    /// It runs until the connector hands over a connection: resolving the name, TCP and, where the
    /// connector speaks it, the TLS handshake. It binds every connector, one of your own included,
    /// whatever time that one keeps by itself. Under [`build`](Self::build)'s, the addresses of a name
    /// share it.
    ///
    /// When it is over, nothing was sent: the request may go elsewhere, whatever its method. A
    /// [per-try timeout](crate::FailoverLayer::per_try_timeout) does not count connecting; this is what
    /// bounds it.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// Sets whether upstreams are spoken to in HTTP/2 from the start ("prior knowledge"); by default
    /// not.
    ///
    /// Requests share a connection then, and an upstream that finds one of their heads too large may end it for all:
    /// hyper's server does from 96 KiB on. Bound the heads of your clients below that.
    pub fn http2(mut self, http2: bool) -> Self {
        self.http2 = http2;
        self
    }

    /// Sets whether an upstream sees the host that the client asked for, or its own.
    ///
    /// By default it sees the client's in HTTP/1, and its own in HTTP/2, where the host cannot differ
    /// from the `:authority` that the client's connection pool is keyed by; the client's is then in
    /// `X-Forwarded-Host`. Set it to `false` where a connector may agree on HTTP/2 by itself.
    pub fn preserve_host(mut self, preserve: bool) -> Self {
        self.preserve_host = Some(preserve);
        self
    }

    /// Makes a pool of plain TCP connections.
    pub fn build<B>(self) -> Pool<B>
    where
        B: Body + Send,
        B::Data: Send,
    {
        let mut connector = HttpConnector::new();
        // For the addresses' sake: one that is dead must leave time for the next.
        connector.set_connect_timeout(Some(self.connect_timeout));
        connector.set_nodelay(true);
        let pool = self.build_with(connector);
        Pool {
            custom: false,
            ..pool
        }
    }

    /// Makes a pool of the connections of a connector, for example one that speaks TLS, which has
    /// [this long](Self::connect_timeout) to make each of them.
    pub fn build_with<B, C>(self, connector: C) -> Pool<B, C>
    where
        B: Body + Send,
        B::Data: Send,
        C: Clone,
        Connector<C>: Connect,
    {
        let mut builder: Builder = Client::builder(TokioExecutor::new());
        builder
            .timer(TokioTimer::new())
            .pool_timer(TokioTimer::new())
            .http2_only(self.http2);
        Pool {
            client: builder.build(Connector::new(connector, self.connect_timeout)),
            http2: self.http2,
            preserve_host: self.preserve_host.unwrap_or(!self.http2),
            connect_timeout: self.connect_timeout,
            custom: true,
        }
    }
}

impl Default for PoolOptions {
    fn default() -> Self {
        Self::new()
    }
}

impl<B> Pool<B>
where
    B: Body + Send,
    B::Data: Send,
{
    /// A pool with the default [`PoolOptions`].
    pub fn new() -> Self {
        PoolOptions::new().build()
    }
}

impl<B> Default for Pool<B>
where
    B: Body + Send,
    B::Data: Send,
{
    fn default() -> Self {
        Self::new()
    }
}

impl<B, C: Clone> Pool<B, C> {
    /// An upstream at a base URI, which is also its peer's name.
    ///
    /// # Errors
    ///
    /// The text is not an absolute `http` or `https` URI, or it has user information, a query or a
    /// fragment; or it is `https`, and the pool has no connector that could speak TLS.
    pub fn upstream(&self, base: &str) -> Result<Upstream<B, C>, ConfigError> {
        let upstream = Upstream::new(
            base,
            self.client.clone(),
            self.http2,
            self.preserve_host,
            self.connect_timeout,
        )?;
        if upstream.is_https() && !self.custom {
            let expected =
                "reachable without TLS: give `PoolOptions::build_with` a connector for it";
            return Err(ConfigError::new("upstream", format!("`{base}`"), expected));
        }
        Ok(upstream)
    }
}

impl<B, C: Clone> Clone for Pool<B, C> {
    fn clone(&self) -> Self {
        Self {
            client: self.client.clone(),
            http2: self.http2,
            preserve_host: self.preserve_host,
            connect_timeout: self.connect_timeout,
            custom: self.custom,
        }
    }
}

impl<B, C> fmt::Debug for Pool<B, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool")
            .field("preserve_host", &self.preserve_host)
            .finish_non_exhaustive()
    }
}
