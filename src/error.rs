use std::{error::Error as StdError, fmt};

use http::StatusCode;

use crate::{
    BoxError,
    failure::{Evidence, FailureKind, Stage},
    report::Report,
};

/// No upstream gave a response that could be delivered.
///
/// It is the last attempt's failure. [`source`](StdError::source) is the inner service's own error,
/// for those who know its type.
#[derive(Debug)]
pub struct Error {
    inner: Box<Inner>,
}

#[derive(Debug)]
struct Inner {
    evidence: Evidence,
    report: Report,
    source: Option<BoxError>,
}

impl Error {
    pub(crate) fn new(evidence: Evidence, report: Report, source: Option<BoxError>) -> Self {
        Self {
            inner: Box::new(Inner {
                evidence,
                report,
                source,
            }),
        }
    }

    /// What went wrong in the last attempt.
    pub fn kind(&self) -> FailureKind {
        self.inner.evidence.kind
    }

    /// How far the request provably got, over all attempts: an outer failover may send it elsewhere
    /// on the strength of it.
    pub fn stage(&self) -> Stage {
        self.inner.evidence.stage
    }

    /// The status with which a gateway answers it: that of its [kind](FailureKind::status).
    pub fn status(&self) -> StatusCode {
        self.kind().status()
    }

    /// How many attempts were made.
    pub fn attempts(&self) -> usize {
        self.inner.report.attempts().len()
    }

    /// What became of each attempt.
    pub fn report(&self) -> &Report {
        &self.inner.report
    }

    /// The inner service's own error; `None` for a timeout that the layer itself set.
    pub fn into_source(self) -> Option<BoxError> {
        self.inner.source
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.kind())?;
        match self.attempts() {
            0 | 1 => Ok(()),
            attempts => write!(f, " after {attempts} attempts"),
        }
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.inner.source.as_deref().map(|error| error as _)
    }
}
