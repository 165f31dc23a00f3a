use std::{
    future::{Future, poll_fn},
    io,
    pin::Pin,
    sync::Arc,
};

use http::Uri;
use http_body::Body;
use hyper::rt::{Read, Write};
use hyper_util::client::legacy::connect::Connection;
use tokio::time::timeout;
use tower_service::Service;

use super::{
    driven,
    error::UpstreamError,
    http2::Http2,
    origin::{Line, Origin},
};
use crate::BoxError;

/// A future of a connection.
pub(super) type Connecting<B> =
    Pin<Box<dyn Future<Output = Result<Line<B>, UpstreamError>> + Send>>;

/// A pool's connector, of whatever type, within the pool's time to connect.
pub(super) trait Connect<B>: Send + Sync {
    fn connect(&self, origin: Arc<Origin<B>>) -> Connecting<B>;
}

/// A connector as it was given.
pub(super) struct Connector<C>(pub(super) C);

impl<B, C> Connect<B> for Connector<C>
where
    B: Body + Send + Unpin + 'static,
    B::Data: Send,
    B::Error: Into<BoxError>,
    C: Service<Uri> + Clone + Send + Sync + 'static,
    C::Response: Read + Write + Connection + Send + Unpin + 'static,
    C::Error: Into<BoxError>,
    C::Future: Send + 'static,
{
    fn connect(&self, origin: Arc<Origin<B>>) -> Connecting<B> {
        let connector = self.0.clone();
        Box::pin(async move {
            let limit = origin.settings().connect_timeout;
            match timeout(limit, connect(connector, &origin)).await {
                Ok(made) => made,
                Err(_) => {
                    let text = "no connection within the connect timeout";
                    // The kind is what the classifier goes by.
                    let error = io::Error::new(io::ErrorKind::TimedOut, text);
                    Err(UpstreamError::connect(error))
                }
            }
        })
    }
}

async fn connect<B, C>(mut connector: C, origin: &Arc<Origin<B>>) -> Result<Line<B>, UpstreamError>
where
    B: Body + Send + Unpin + 'static,
    B::Data: Send,
    B::Error: Into<BoxError>,
    C: Service<Uri>,
    C::Response: Read + Write + Connection + Send + Unpin + 'static,
    C::Error: Into<BoxError>,
{
    // One may have been made since the request looked.
    if let Some(shared) = origin.shared() {
        return Ok(Line::Http2(shared));
    }
    // Waiting for the connector is a part of connecting.
    let ready = poll_fn(|cx| connector.poll_ready(cx)).await;
    ready.map_err(UpstreamError::connect)?;
    let io = connector.call(origin.place().uri().clone()).await;
    let io = io.map_err(UpstreamError::connect)?;
    let connected = io.connected();
    if !origin.settings().http2 && !connected.is_negotiated_h2() {
        // TLS is spoken with the server itself, at the end of a tunnel through the proxy.
        let proxied = connected.is_proxied() && !origin.place().is_https();
        let made = driven::open(io, proxied, origin).await;
        return made.map(Line::Http1).map_err(UpstreamError::queue);
    }
    // Another may have been made meanwhile.
    if let Some(shared) = origin.shared() {
        return Ok(Line::Http2(shared));
    }
    let made = Http2::open(io, origin.settings().keep_alive).await;
    let made = made.map_err(UpstreamError::queue)?;
    Ok(Line::Http2(origin.share(made)))
}
