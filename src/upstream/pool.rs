use std::{fmt, sync::Arc, time::Duration};

use http::Uri;
use http_body::Body;
use hyper::rt::{Read, Write};
use hyper_util::client::legacy::connect::{Connection, HttpConnector};
use tower_service::Service;

use super::{
    connector::Connector, http2::KeepAlive, hyper::Upstream, origin::Settings, origins::Origins,
    target::Target, tcp::Tcp,
};
use crate::{BoxError, ConfigError};

/// Connections that all upstreams of one pool share.
///
/// Its type names the body that requests carry: a [`ReplayBody`](crate::ReplayBody) below a
/// [`FailoverLayer`](crate::FailoverLayer). Upstreams of pools with different connectors are of one type,
/// and may stand in one balancer.
///
/// # What becomes of connections
///
/// - In HTTP/1, a connection has no task of its own. The request that uses it drives it, and then the body
///   of its response, with the waker of whoever waits for them. While a client is slow to read, nothing is
///   read from the upstream; but what it still uploads goes on, in a task that is started for that.
/// - A connection serves the next request when a response was read to its end, if the upstream lets it. The one
///   that was used last is taken first. Dropping a request or a response before its end closes it.
/// - One that was closed while it was idle is noticed before the request is written, and the request then
///   takes another: this is no attempt that fails. Where that cannot be noticed, because the upstream closes
///   at that very time, the request fails on a connection that
///   [was reused](crate::failure::Failure::connection_reused).
/// - A request that finds no idle connection makes one, and does not wait for one that others use.
/// - In HTTP/2, requests share one connection; a task of its own drives it. Those that come while it is made
///   wait for it. When it is closed or goes away, the next request makes another.
/// - About once a second, while there are idle connections, a task closes those that were closed by the
///   upstream, and those idle for [too long](PoolOptions::idle_timeout).
pub struct Pool<B> {
    origins: Arc<Origins<B>>,
    preserve_host: bool,
    /// Whether the connector is of the user's own, and may speak TLS.
    custom: bool,
}

/// How a [`Pool`] connects.
#[derive(Clone, Debug)]
#[must_use]
pub struct PoolOptions {
    connect_timeout: Duration,
    idle_timeout: Duration,
    http2: bool,
    http2_keep_alive: Option<KeepAlive>,
    preserve_host: Option<bool>,
}

impl PoolOptions {
    /// The defaults: HTTP/1.1, 5 seconds to connect, 90 seconds idle.
    pub fn new() -> Self {
        Self {
            connect_timeout: Duration::from_secs(5),
            idle_timeout: Duration::from_secs(90),
            http2: false,
            http2_keep_alive: None,
            preserve_host: None,
        }
    }

    /// Sets the time to connect; by default 5 seconds, as in Envoy.
    ///
    /// It runs until a connection can take a request: resolving the name, TCP and, where the connector
    /// speaks it, the TLS handshake; in HTTP/2 also until its preface is written, for which nothing of the
    /// upstream's is awaited. It binds every connector, one of your own included, whatever time that one
    /// keeps by itself. Under [`build`](Self::build)'s, the addresses of a name share it.
    ///
    /// When it is over, nothing was sent: the request may go elsewhere, whatever its method. A
    /// [per-try timeout](crate::FailoverLayer::per_try_timeout) does not count connecting; this is what
    /// bounds it.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// Sets how long a connection may be idle before it is closed; by default 90 seconds, as in hyper-util's
    /// pooled client.
    ///
    /// It should be shorter than the time after which upstreams close it themselves: a request that meets
    /// that fails, and one that is not safe to repeat is not. A connection in HTTP/2 is idle since it last was given
    /// a request, and closes when the last of those has ended.
    ///
    /// Connections are looked at about once a second, and so may stay up to two seconds longer. Zero keeps
    /// none in HTTP/1.
    pub fn idle_timeout(mut self, timeout: Duration) -> Self {
        self.idle_timeout = timeout;
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

    /// Asks with a PING whether an upstream is still there, on a connection in HTTP/2 that has requests and has brought
    /// nothing for `interval`; by default none is asked. Where it has been idle for longer than that, the first request
    /// asks at once.
    ///
    /// Without an answer within `timeout`, whatever else comes, the connection is closed: requests without a response
    /// [time out](crate::failure::FailureKind::Timeout), bodies break off, and the next request makes another
    /// connection. Neither time is less than a millisecond; some seconds are sensible.
    ///
    /// Without it, the one connection that requests share is kept although its upstream hangs, for as long as there are
    /// requests; and where its network is gone, for as long as the system repeats what is not acknowledged, on Linux some
    /// 15 minutes. With it, an upstream that is asked too often may end the connection: gRPC's servers do by default
    /// when they have nothing to send and are asked several times in five minutes.
    pub fn http2_keep_alive(mut self, interval: Duration, timeout: Duration) -> Self {
        self.http2_keep_alive = Some(KeepAlive::new(interval, timeout));
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
        B: Body + Send + Unpin + 'static,
        B::Data: Send,
        B::Error: Into<BoxError>,
    {
        let mut connector = HttpConnector::new();
        // For the addresses' sake: one that is dead must leave time for the next.
        connector.set_connect_timeout(Some(self.connect_timeout));
        connector.set_nodelay(true);
        let pool = self.build_with(Tcp::new(connector));
        Pool {
            custom: false,
            ..pool
        }
    }

    /// Makes a pool of the connections of a connector, for example one that speaks TLS, which has
    /// [this long](Self::connect_timeout) to make each of them.
    ///
    /// A connection that says it has [negotiated HTTP/2][h2] is used so. As long as none is there, each
    /// request makes its own, for the protocol is not known before. One that leads [to a proxy][proxied] is
    /// told whole URIs, unless the upstream is `https`: it is reached through a tunnel then.
    ///
    /// [h2]: hyper_util::client::legacy::connect::Connected::negotiated_h2
    /// [proxied]: hyper_util::client::legacy::connect::Connected::proxy
    pub fn build_with<B, C>(self, connector: C) -> Pool<B>
    where
        B: Body + Send + Unpin + 'static,
        B::Data: Send,
        B::Error: Into<BoxError>,
        C: Service<Uri> + Clone + Send + Sync + 'static,
        C::Response: Read + Write + Connection + Send + Unpin + 'static,
        C::Error: Into<BoxError>,
        C::Future: Send + 'static,
    {
        let settings = Settings {
            http2: self.http2,
            keep_alive: self.http2_keep_alive,
            connect_timeout: self.connect_timeout,
            idle_timeout: self.idle_timeout,
        };
        Pool {
            origins: Origins::new(settings, Arc::new(Connector(connector))),
            preserve_host: self.preserve_host.unwrap_or(!self.http2),
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
    B: Body + Send + Unpin + 'static,
    B::Data: Send,
    B::Error: Into<BoxError>,
{
    /// A pool with the default [`PoolOptions`].
    pub fn new() -> Self {
        PoolOptions::new().build()
    }
}

impl<B> Default for Pool<B>
where
    B: Body + Send + Unpin + 'static,
    B::Data: Send,
    B::Error: Into<BoxError>,
{
    fn default() -> Self {
        Self::new()
    }
}

impl<B> Pool<B> {
    /// An upstream at a base URI, which is also its peer's name.
    ///
    /// # Errors
    ///
    /// The text is not an absolute `http` or `https` URI, or it has user information, a query or a
    /// fragment; or it is `https`, and the pool has no connector that could speak TLS.
    pub fn upstream(&self, base: &str) -> Result<Upstream<B>, ConfigError> {
        let target = Target::new(base, self.preserve_host, Arc::clone(&self.origins))?;
        if target.is_https() && !self.custom {
            let expected =
                "reachable without TLS: give `PoolOptions::build_with` a connector for it";
            return Err(ConfigError::new("upstream", format!("`{base}`"), expected));
        }
        Ok(Upstream::new(target))
    }
}

impl<B> Clone for Pool<B> {
    fn clone(&self) -> Self {
        Self {
            origins: Arc::clone(&self.origins),
            preserve_host: self.preserve_host,
            custom: self.custom,
        }
    }
}

impl<B> fmt::Debug for Pool<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool")
            .field("preserve_host", &self.preserve_host)
            .finish_non_exhaustive()
    }
}
