//! Real servers on loopback, and clients for them.

use std::{
    convert::Infallible,
    future::ready,
    sync::{Arc, Mutex},
};

use bytes::Bytes;
use futures_util::stream;
use http::{HeaderMap, Request, Response, response};
use http_body::Frame;
use http_body_util::{BodyExt, Full, StreamBody, channel, combinators::UnsyncBoxBody};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
};
use tokio::{net::TcpListener, sync::Notify};
use tower::{Layer, ServiceExt};
use tower_failover::{
    BoxError,
    peek::{PeekLayer, awaits_grpc_status},
    upstream::UpstreamBodyError,
    upstream::{Pool, PoolOptions},
};

use crate::in_time;

pub(crate) type Body = UnsyncBoxBody<Bytes, BoxError>;

/// How a client speaks to a server, which understands both.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Http {
    One,
    Two,
}

impl Http {
    pub(crate) const BOTH: [Self; 2] = [Self::One, Self::Two];

    pub(crate) fn pool<B>(self) -> Pool<B>
    where
        B: http_body::Body + Send + Unpin + 'static,
        B::Data: Send,
        B::Error: Into<BoxError>,
    {
        PoolOptions::new().http2(matches!(self, Self::Two)).build()
    }
}

/// Serves until the test ends, and returns the base URI.
pub(crate) async fn serve<B>(
    answer: impl Fn(Request<Incoming>) -> Response<B> + Clone + Send + 'static,
) -> String
where
    B: http_body::Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let answer = answer.clone();
            tokio::spawn(async move {
                let service =
                    service_fn(move |request| ready(Ok::<_, Infallible>(answer(request))));
                let server = auto::Builder::new(TokioExecutor::new());
                // A client that goes away, or a body that is broken off, ends it with an error.
                let _ = server.serve_connection(TokioIo::new(stream), service).await;
            });
        }
    });
    base
}

/// A body of these frames.
pub(crate) fn body(data: &[&'static str], trailers: Option<HeaderMap>) -> Body {
    let data = data.iter().map(|data| Frame::data(Bytes::from(*data)));
    let frames: Vec<_> = data.chain(trailers.map(Frame::trailers)).map(Ok).collect();
    StreamBody::new(stream::iter(frames)).boxed_unsync()
}

/// A body that the test writes.
pub(crate) fn written() -> (channel::Sender<Bytes, BoxError>, Body) {
    let (sender, body) = channel::Channel::new(4);
    (sender, body.boxed_unsync())
}

/// The layer as it is by default, and a word of each head that it sees.
pub(crate) fn telling() -> (PeekLayer, Arc<Notify>) {
    let seen = Arc::new(Notify::new());
    let tell = Arc::clone(&seen);
    let holds = move |response: &response::Parts| {
        tell.notify_one();
        awaits_grpc_status(response)
    };
    (PeekLayer::new().when(holds), seen)
}

pub(crate) async fn get(
    http: Http,
    layer: &PeekLayer,
    base: &str,
) -> Result<Response<impl http_body::Body<Data = Bytes, Error = UpstreamBodyError> + use<>>, BoxError>
{
    let upstream = http.pool::<Full<Bytes>>().upstream(base).unwrap();
    let request = Request::get("/").body(Full::default()).unwrap();
    in_time(layer.layer(upstream).oneshot(request)).await
}

/// Answers with a body that the test writes once it knows that the head has arrived.
pub(crate) async fn serve_written(
    head: fn(Body) -> Response<Body>,
) -> (String, channel::Sender<Bytes, BoxError>) {
    let (sender, body) = written();
    let response = Arc::new(Mutex::new(Some(head(body))));
    let base = serve(move |_| response.lock().unwrap().take().expect("called once")).await;
    (base, sender)
}
