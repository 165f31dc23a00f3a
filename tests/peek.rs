//! A head that is held back until its body begins: for what comes first, for how long, and at what cost.

mod support {
    #[expect(dead_code, reason = "a response's body needs less of it")]
    pub(crate) mod scripted_body;
    pub(crate) mod strict;
}

mod peeking {
    mod breaking;
    mod cut;
    mod failing_over;
    mod frames;
    mod holding;
    mod servers;
    mod time;
    mod wire;
}

use std::{future::Future, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Response};
use http_body::Body;
use http_body_util::BodyExt;
use tokio_test::task::{self, Spawn};
use tower::{Layer, Service, service_fn};
use tower_failover::{
    BoxError,
    peek::{PeekBody, PeekFuture, PeekLayer},
};

use self::support::{
    scripted_body::{Script, ScriptedBody, Step},
    strict::Strict,
};

/// Only a test that hangs ever meets it.
const HANGS: Duration = Duration::from_secs(60);

type Answer<B> = Result<Response<B>, BoxError>;
type Answered<B> = std::future::Ready<Answer<B>>;

async fn in_time<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(HANGS, future).await.expect("hangs")
}

fn data(bytes: &'static str) -> Step {
    Step::Data(Bytes::from(bytes))
}

fn trailers(fields: &[(&'static str, &'static str)]) -> HeaderMap {
    let field = |(name, value): &(&'static str, &'static str)| {
        let name = HeaderName::from_static(name);
        (name, HeaderValue::from_static(value))
    };
    fields.iter().map(field).collect()
}

fn grpc_status(status: &'static str) -> HeaderMap {
    trailers(&[("grpc-status", status)])
}

/// A gRPC response whose status is still to come.
fn grpc<B>(body: B) -> Response<B> {
    let response = Response::builder().header("content-type", "application/grpc");
    response.body(body).unwrap()
}

/// Calls a service that answers at once.
fn call<B>(layer: &PeekLayer, response: Response<B>) -> Spawn<PeekFuture<Answered<B>, B>>
where
    B: Body<Error: Into<BoxError>> + Unpin,
{
    call_with(layer, Ok(response))
}

fn call_with<B>(layer: &PeekLayer, answer: Answer<B>) -> Spawn<PeekFuture<Answered<B>, B>>
where
    B: Body<Error: Into<BoxError>> + Unpin,
{
    let mut answer = Some(answer);
    let service = service_fn(move |()| std::future::ready(answer.take().unwrap()));
    let mut service = layer.layer(service);
    task::spawn(service.call(()))
}

/// A gRPC response with a scripted body, through the layer as it is by default.
fn call_scripted(
    steps: impl IntoIterator<Item = Step>,
) -> (
    Spawn<PeekFuture<Answered<ScriptedBody>, ScriptedBody>>,
    Script,
) {
    let (body, script) = ScriptedBody::new(steps);
    (call(&PeekLayer::new(), grpc(body)), script)
}

/// What is ready at once.
fn ready<B>(mut call: Spawn<PeekFuture<Answered<B>, B>>) -> Answer<PeekBody<B>>
where
    B: Body<Error: Into<BoxError>> + Unpin,
{
    match call.poll() {
        std::task::Poll::Ready(answer) => answer,
        std::task::Poll::Pending => panic!("the response is held"),
    }
}

/// Reads a body to its end, frame by frame.
async fn frames<B>(body: B) -> Vec<String>
where
    B: Body<Data = Bytes, Error: Into<BoxError>>,
{
    let mut body = std::pin::pin!(body);
    let mut frames = Vec::new();
    while let Some(frame) = body.frame().await {
        let ended = frame.is_err();
        frames.push(match frame.map(http_body::Frame::into_data) {
            Ok(Ok(data)) => String::from_utf8(data.to_vec()).unwrap(),
            Ok(Err(frame)) => format!("{:?}", frame.into_trailers().unwrap()),
            Err(error) => format!("error: {}", error.into()),
        });
        if ended {
            break;
        }
    }
    frames
}
