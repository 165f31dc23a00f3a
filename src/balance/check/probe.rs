use std::{
    future::Future,
    marker::PhantomData,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use http::{Request, Response};
use pin_project_lite::pin_project;
use tokio::time::{Sleep, sleep};
use tower_service::Service;

use super::HealthCheck;
use crate::{
    BoxError,
    balance::{rules::Rules, state::Fault},
    failure::FailureKind,
    trail::Peer,
};

/// What a check has shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Passed,
    Failed(Fault),
    /// It was not the peer that it failed by.
    Neither,
}

pin_project! {
    /// One check of one peer.
    pub(super) struct Probe<S, B>
    where
        S: Service<Request<B>>,
    {
        peer: Peer,
        check: Arc<HealthCheck>,
        rules: Arc<Rules>,
        #[pin]
        stage: Stage<S, S::Future>,
        #[pin]
        limit: Sleep,
        body: PhantomData<fn() -> B>,
    }
}

pin_project! {
    #[project = StageProj]
    enum Stage<S, F> {
        Readying { service: S },
        Calling { #[pin] future: F },
    }
}

impl<S, B> Probe<S, B>
where
    S: Service<Request<B>>,
{
    pub(super) fn new(
        peer: Peer,
        service: S,
        check: &Arc<HealthCheck>,
        rules: &Arc<Rules>,
    ) -> Self {
        Self {
            peer,
            check: Arc::clone(check),
            rules: Arc::clone(rules),
            stage: Stage::Readying { service },
            limit: sleep(check.timeout),
            body: PhantomData,
        }
    }
}

impl<S, B, R> Probe<S, B>
where
    S: Service<Request<B>, Response = Response<R>>,
    S::Error: Into<BoxError>,
    B: Default,
{
    fn poll_answer(
        mut stage: Pin<&mut Stage<S, S::Future>>,
        check: &HealthCheck,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Response<R>, S::Error>> {
        loop {
            let future = match stage.as_mut().project() {
                StageProj::Readying { service } => {
                    ready!(service.poll_ready(cx))?;
                    service.call(check.request())
                }
                StageProj::Calling { future } => return future.poll(cx),
            };
            stage.set(Stage::Calling { future });
        }
    }
}

impl<S, B, R> Future for Probe<S, B>
where
    S: Service<Request<B>, Response = Response<R>>,
    S::Error: Into<BoxError>,
    B: Default,
{
    type Output = (Peer, Outcome);

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let stage = this.stage.as_mut();
        // One peer's service that panics must not end the checks of all others. It is not polled again.
        let polled = catch_unwind(AssertUnwindSafe(|| {
            Self::poll_answer(stage, this.check, cx)
        }));
        let outcome = match polled {
            // The response goes here, and what is left of its body with it.
            Ok(Poll::Ready(Ok(response))) if this.check.expects(response.status()) => {
                Outcome::Passed
            }
            Ok(Poll::Ready(Ok(response))) => Outcome::Failed(Fault::CheckStatus(response.status())),
            Ok(Poll::Ready(Err(error))) => {
                let kind = this.rules.kind_of_fault(&*error.into());
                let fault = kind.map(Fault::CheckError);
                fault.map_or(Outcome::Neither, Outcome::Failed)
            }
            Ok(Poll::Pending) => {
                ready!(this.limit.poll(cx));
                Outcome::Failed(Fault::CheckError(FailureKind::Timeout))
            }
            Err(_) => Outcome::Failed(Fault::CheckError(FailureKind::Other)),
        };
        Poll::Ready((this.peer.clone(), outcome))
    }
}
