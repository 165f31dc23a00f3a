use std::{error::Error as StdError, fmt, sync::Arc};

use crate::BoxError;

/// Why an [`Upstream`](super::Upstream) has no response.
///
/// Its source is the connector's error, or hyper's.
#[derive(Clone, Debug)]
pub struct UpstreamError {
    step: Step,
    /// Shared by requests that waited for the same connection.
    source: Arc<dyn StdError + Send + Sync>,
}

/// How far a request came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// There is no connection.
    Connect,
    /// There was a connection, and it ended before it took the request.
    Queue,
    /// A connection has taken the request.
    Exchange,
}

impl UpstreamError {
    pub(super) fn connect(source: impl Into<BoxError>) -> Self {
        Self::new(Step::Connect, source)
    }

    pub(super) fn queue(source: impl Into<BoxError>) -> Self {
        Self::new(Step::Queue, source)
    }

    pub(super) fn exchange(source: hyper::Error) -> Self {
        Self::new(Step::Exchange, source)
    }

    fn new(step: Step, source: impl Into<BoxError>) -> Self {
        Self {
            step,
            source: Arc::from(source.into()),
        }
    }

    /// Whether there was no connection: nothing was sent.
    pub fn is_connect(&self) -> bool {
        self.step == Step::Connect
    }

    pub(crate) fn step(&self) -> Step {
        self.step
    }
}

impl fmt::Display for UpstreamError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.step {
            Step::Connect => "no connection to the upstream",
            Step::Queue => "the connection ended before the request was sent",
            Step::Exchange => "no response from the upstream",
        })
    }
}

impl StdError for UpstreamError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        Some(&*self.source)
    }
}
