use std::sync::Arc;

use tokio::sync::watch;

use super::{
    connector::Connect,
    error::UpstreamError,
    origin::{Line, Origin},
};

/// A connection that is being made for all requests that wait for it.
///
/// It is made by a task of its own: a request that goes away leaves the others theirs. Its failure is the
/// failure of all.
#[derive(Clone, Debug)]
pub(super) struct Flight(watch::Receiver<Option<Result<(), UpstreamError>>>);

impl Flight {
    fn begin<B: Send + 'static>(origin: Arc<Origin<B>>, connector: &dyn Connect<B>) -> Self {
        let (landing, flight) = watch::channel(None);
        let connecting = connector.connect(Arc::clone(&origin));
        tokio::spawn(async move {
            let outcome = connecting.await.map(|line| origin.keep(line));
            landing.send_replace(Some(outcome));
        });
        Self(flight)
    }

    pub(super) fn is_under_way(&self) -> bool {
        // Its task can have ended with its runtime.
        self.0.borrow().is_none() && self.0.has_changed().is_ok()
    }

    async fn landed(&mut self) -> Result<(), UpstreamError> {
        match self.0.wait_for(Option::is_some).await {
            Ok(outcome) => outcome.clone().unwrap_or(Ok(())),
            Err(error) => Err(UpstreamError::connect(error)),
        }
    }
}

/// Waits for the connection that is being made, or has one made.
pub(super) async fn join<B: Send + 'static>(
    origin: Arc<Origin<B>>,
    connector: Arc<dyn Connect<B>>,
) -> Result<Line<B>, UpstreamError> {
    let begin = || Flight::begin(Arc::clone(&origin), &*connector);
    let mut flight = origin.flight(begin);
    flight.landed().await?;
    let line = origin.take();
    line.ok_or_else(|| UpstreamError::queue("the connection has ended at once"))
}
