//! tower's errors, bare errors, and errors that unknown ones wrap.

use std::convert::Infallible;
use std::error::Error;
use std::fmt;
use std::future::pending;
use std::io;
use std::task::{Context, Poll};
use std::time::Duration;

use tower::{Service, ServiceBuilder, ServiceExt};
use tower_failover::failure::FailureKind;

use super::support::{Closed, classify, get, h1, maybe_processed, not_sent};

/// An error that `KnownErrors` does not know.
#[derive(Debug)]
pub(super) struct Wrapper<E>(pub(super) E);

impl<E> fmt::Display for Wrapper<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("wrapped")
    }
}

impl<E: Error + 'static> Error for Wrapper<E> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.0)
    }
}

#[tokio::test(start_paused = true)]
async fn a_timeout_may_be_processed() {
    let service = ServiceBuilder::new()
        .timeout(Duration::from_secs(1))
        .service_fn(|()| pending::<Result<(), Infallible>>());
    let error = service.oneshot(()).await.expect_err("out of time");
    assert_eq!(classify(&*error), maybe_processed(FailureKind::Timeout));
    let elapsed = tokio::time::timeout(Duration::from_secs(1), pending::<()>()).await;
    assert_eq!(
        classify(&elapsed.expect_err("out of time")),
        maybe_processed(FailureKind::Timeout)
    );
}

/// A service that is never ready and panics when called.
struct NeverReady;

impl Service<()> for NeverReady {
    type Response = ();
    type Error = Infallible;
    type Future = std::future::Ready<Result<(), Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Pending
    }

    fn call(&mut self, (): ()) -> Self::Future {
        panic!("called unready")
    }
}

#[tokio::test]
async fn shed_load_is_not_sent() {
    let service = ServiceBuilder::new().load_shed().service(NeverReady);
    let error = service.oneshot(()).await.expect_err("shed");
    assert_eq!(classify(&*error), not_sent(FailureKind::Overload));
}

#[test]
fn bare_io_errors() {
    let of = |kind| classify(&io::Error::from(kind));
    let reset = maybe_processed(FailureKind::Reset);
    assert_eq!(
        of(io::ErrorKind::ConnectionRefused),
        not_sent(FailureKind::Connect)
    );
    assert_eq!(of(io::ErrorKind::ConnectionReset), reset);
    assert_eq!(of(io::ErrorKind::ConnectionAborted), reset);
    assert_eq!(of(io::ErrorKind::BrokenPipe), reset);
    assert_eq!(of(io::ErrorKind::UnexpectedEof), reset);
    assert_eq!(
        of(io::ErrorKind::TimedOut),
        maybe_processed(FailureKind::Timeout)
    );
    // TCP also ends established connections with it.
    assert_eq!(of(io::ErrorKind::HostUnreachable), None);
    assert_eq!(of(io::ErrorKind::Other), None);
}

#[test]
fn what_no_one_knows_is_unknown() {
    assert_eq!(classify(&fmt::Error), None);
    assert_eq!(classify(&Wrapper(fmt::Error)), None);
    assert_eq!(classify(&io::Error::other(fmt::Error)), None);
}

#[test]
fn a_refusal_below_an_unknown_error_proves_nothing() {
    let refused = || io::Error::from(io::ErrorKind::ConnectionRefused);
    let nothing = maybe_processed(FailureKind::Connect);
    assert_eq!(classify(&Wrapper(refused())), nothing);
    assert_eq!(classify(&io::Error::other(refused())), nothing);
    assert_eq!(classify(&io::Error::other(Wrapper(refused()))), nothing);
}

#[cfg(feature = "hyper")]
#[tokio::test]
async fn a_connect_error_of_the_client_keeps_its_proof_when_wrapped() {
    let closed = Closed::bind();
    let error = Wrapper(h1().error(get(&closed.uri)).await);
    let connect = not_sent(FailureKind::Connect);
    assert_eq!(classify(&error), connect);
    assert_eq!(classify(&io::Error::other(error)), connect);
}

#[cfg(not(feature = "hyper"))]
#[tokio::test]
async fn without_the_feature_a_connect_error_proves_nothing() {
    let closed = Closed::bind();
    let error = h1().error(get(&closed.uri)).await;
    assert_eq!(classify(&error), maybe_processed(FailureKind::Connect));
}
