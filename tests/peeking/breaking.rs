//! A body that fails first: the call fails, and nothing is proved by what it failed with.

use std::{
    error::Error as StdError,
    io,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};

use bytes::Bytes;
use futures_util::stream;
use http::{Request, Response};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody, combinators::UnsyncBoxBody};
use tower::{Layer, ServiceExt, service_fn};
use tower_failover::{
    BoxError, FailoverLayer, ReplayBody,
    failure::{Classify, Evidence, FailureKind, KnownErrors, NotSent, Stage},
    limits::Backoff,
    peek::PeekLayer,
    policy::Standard,
    trail::NoPeer,
};

use crate::{
    call, frames, grpc, ready,
    support::scripted_body::{Failed, ScriptedBody, Step},
};

type Body = UnsyncBoxBody<Bytes, BoxError>;

/// Fails before its first byte.
fn failing(error: impl Into<BoxError>) -> Body {
    let frames = [Ok(Frame::data(Bytes::new())), Err(error.into())];
    StreamBody::new(stream::iter(frames)).boxed_unsync()
}

fn error_of(error: impl Into<BoxError>) -> BoxError {
    ready(call(&PeekLayer::new(), grpc(failing(error)))).unwrap_err()
}

fn maybe_processed(kind: FailureKind) -> Option<Evidence> {
    let stage = Stage::MaybeProcessed;
    Some(Evidence { stage, kind })
}

/// Errors that would prove something if the peer had not answered.
fn tempting() -> Vec<BoxError> {
    vec![
        NotSent::new("refused").into(),
        NotSent::unsendable("too long").into(),
        NoPeer::tried().into(),
        NoPeer::exhausted().into(),
        io::Error::from(io::ErrorKind::ConnectionRefused).into(),
        h2::Error::from(h2::Reason::REFUSED_STREAM).into(),
        tower::load_shed::error::Overloaded::new().into(),
    ]
}

#[test]
fn call_fails_with_what_the_body_failed_with() {
    let (body, _script) = ScriptedBody::new([Step::Fail("cut")]);
    let error = ready(call(&PeekLayer::new(), grpc(body))).unwrap_err();
    assert_eq!(error.to_string(), "response broke off before its body");
    let source = error.source().unwrap();
    assert!(source.is::<Failed>(), "{source:?}");
}

#[test]
fn nothing_is_proved() {
    for error in tempting() {
        let error = error_of(error);
        let expected = maybe_processed(FailureKind::Reset);
        assert_eq!(KnownErrors.classify(&*error), expected, "{error:?}");
    }
}

#[test]
fn what_went_wrong_is_told_where_it_is_known() {
    let timed_out = error_of(io::Error::from(io::ErrorKind::TimedOut));
    let reset = error_of(io::Error::from(io::ErrorKind::ConnectionReset));
    let unknown = error_of("anything");
    for (error, kind) in [
        (timed_out, FailureKind::Timeout),
        (reset, FailureKind::Reset),
        (unknown, FailureKind::Reset),
    ] {
        assert_eq!(KnownErrors.classify(&*error), maybe_processed(kind));
    }
}

/// What comes of a request to a service whose responses break off with `error` twice, and are whole then:
/// the kind of the failure or the body, and the calls that it took.
async fn outcome<B>(
    layer: FailoverLayer,
    error: fn() -> BoxError,
    request: Request<B>,
) -> (Result<Vec<String>, FailureKind>, usize)
where
    B: http_body::Body<Error: Into<BoxError>> + Unpin,
{
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&calls);
    let service = service_fn(move |_: Request<ReplayBody<B>>| {
        let number = counted.fetch_add(1, Relaxed);
        let body = match number {
            0 | 1 => failing(error()),
            _ => StreamBody::new(stream::iter([Ok(Frame::data("hello".into()))])).boxed_unsync(),
        };
        async { Ok::<Response<Body>, BoxError>(grpc(body)) }
    });
    let service = layer.layer(PeekLayer::new().layer(service));
    let result = match service.oneshot(request).await {
        Ok(response) => Ok(frames(response.into_body()).await),
        Err(error) => Err(error.kind()),
    };
    (result, calls.load(Relaxed))
}

fn layer() -> FailoverLayer {
    FailoverLayer::new(Standard::default().backoff(Backoff::NONE))
}

#[tokio::test]
async fn request_that_is_safe_to_repeat_is_repeated() {
    let get = Request::get("/").body(String::new()).unwrap();
    let (body, calls) = outcome(layer(), || "cut".into(), get).await;
    assert_eq!(body.unwrap(), ["hello"]);
    assert_eq!(calls, 3);
}

#[tokio::test]
async fn other_request_is_not_whatever_the_body_failed_with() {
    let errors: [fn() -> BoxError; 4] = [
        || "cut".into(),
        || NotSent::new("refused").into(),
        || NoPeer::tried().into(),
        || io::Error::from(io::ErrorKind::ConnectionRefused).into(),
    ];
    for error in errors {
        let post = Request::post("/").body(String::new()).unwrap();
        let outcome = outcome(layer(), error, post).await;
        assert_eq!(outcome, (Err(FailureKind::Reset), 1));
    }
}

/// A classifier of the user's own knows the error from where it did prove something.
#[tokio::test]
async fn no_classifier_can_prove_it() {
    struct Credulous;
    impl Classify for Credulous {
        fn classify(&self, _: &(dyn StdError + 'static)) -> Option<Evidence> {
            let (stage, kind) = (Stage::NotSent, FailureKind::Connect);
            Some(Evidence { stage, kind })
        }
    }
    let post = Request::post("/").body(String::new()).unwrap();
    let outcome = outcome(layer().classify(Credulous), || "cut".into(), post).await;
    assert_eq!(outcome, (Err(FailureKind::Connect), 1));
}
