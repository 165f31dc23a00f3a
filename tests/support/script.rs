use std::{
    collections::VecDeque,
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use tower::Service;
use tower_failover::{BoxError, ReplayBody};

use super::strict::Strict;

pub(crate) type Answer = Result<Response<Full<Bytes>>, BoxError>;
type Answering = Pin<Box<dyn Future<Output = Answer> + Send>>;
type Step<B> = Box<dyn FnOnce(Request<ReplayBody<B>>) -> Answering + Send>;

/// A service that plays one step for each call, in order, whichever clone is called; one call more
/// than it has steps is a panic.
pub(crate) struct Script<B> {
    steps: Arc<Mutex<VecDeque<Step<B>>>>,
    unready: Arc<Mutex<VecDeque<Option<BoxError>>>>,
}

impl<B> Script<B> {
    pub(crate) fn new() -> Self {
        Self {
            steps: Arc::default(),
            unready: Arc::default(),
        }
    }

    /// Adds a step.
    pub(crate) fn then<F>(
        self,
        step: impl FnOnce(Request<ReplayBody<B>>) -> F + Send + 'static,
    ) -> Self
    where
        F: Future<Output = Answer> + Send + 'static,
    {
        let step: Step<B> = Box::new(|request| Box::pin(step(request)));
        self.steps.lock().unwrap().push_back(step);
        self
    }

    /// Adds what the next polls for readiness answer, before it is always ready.
    pub(crate) fn ready(self, answers: impl IntoIterator<Item = Option<BoxError>>) -> Self {
        self.unready.lock().unwrap().extend(answers);
        self
    }

    pub(crate) fn steps_left(&self) -> usize {
        self.steps.lock().unwrap().len()
    }

    /// What stands under a failover: it panics when it is misused.
    pub(crate) fn strict(&self) -> Strict<Self> {
        Strict::new(self.clone())
    }
}

impl<B> Clone for Script<B> {
    fn clone(&self) -> Self {
        Self {
            steps: Arc::clone(&self.steps),
            unready: Arc::clone(&self.unready),
        }
    }
}

impl<B> Service<Request<ReplayBody<B>>> for Script<B> {
    type Response = Response<Full<Bytes>>;
    type Error = BoxError;
    type Future = Answering;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        match self.unready.lock().unwrap().pop_front() {
            Some(Some(error)) => Poll::Ready(Err(error)),
            Some(None) | None => Poll::Ready(Ok(())),
        }
    }

    fn call(&mut self, request: Request<ReplayBody<B>>) -> Answering {
        let step = self.steps.lock().unwrap().pop_front();
        step.expect("called more often than the script has steps")(request)
    }
}

pub(crate) fn status(status: u16) -> Answer {
    let response = Response::builder().status(status);
    Ok(response.body(Full::from(status.to_string())).unwrap())
}
