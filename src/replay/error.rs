#[cfg(feature = "hyper")]
use std::sync::LazyLock;
use std::{error::Error as StdError, fmt, sync::Arc};

#[cfg(feature = "hyper")]
use h2::Reason;

use crate::BoxError;

/// hyper resets a stream with the reason that it finds below its body's error, and with
/// INTERNAL_ERROR without one. A revoked body is nobody's fault.
#[cfg(feature = "hyper")]
static CANCEL: LazyLock<h2::Error> = LazyLock::new(|| Reason::CANCEL.into());

/// Why a [`ReplayBody`](super::ReplayBody) ended in an error.
#[derive(Clone, Debug)]
pub struct ReplayError {
    /// The source's own error; without one, the handle was revoked.
    source: Option<Arc<dyn StdError + Send + Sync>>,
}

impl ReplayError {
    pub(super) const REVOKED: Self = Self { source: None };

    pub(super) fn source_failed(error: BoxError) -> Self {
        #[cfg(feature = "hyper")]
        let error = without_no_error(error);
        Self {
            source: Some(Arc::from(error)),
        }
    }

    /// Finds it in `error` or below.
    pub(crate) fn find<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a Self> {
        find(error)
    }

    /// Whether another attempt has taken the place of the one that held the body.
    pub fn is_revoked(&self) -> bool {
        self.source.is_none()
    }

    /// Whether reading the original body failed.
    pub fn is_source_failed(&self) -> bool {
        self.source.is_some()
    }
}

/// hyper would reset the stream with NO_ERROR too, which a server takes for the end of a whole body.
#[cfg(feature = "hyper")]
fn without_no_error(error: BoxError) -> BoxError {
    let reason = find::<h2::Error>(&*error).and_then(h2::Error::reason);
    if reason == Some(Reason::NO_ERROR) {
        return error.to_string().into();
    }
    error
}

/// Finds an error of one type in `error` or below.
fn find<'a, E: StdError + 'static>(error: &'a (dyn StdError + 'static)) -> Option<&'a E> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        next = error.source();
    }
    None
}

impl fmt::Display for ReplayError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_revoked() {
            "request body was taken over by another attempt"
        } else {
            "reading the request body failed"
        })
    }
}

impl StdError for ReplayError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match &self.source {
            Some(error) => Some(&**error),
            #[cfg(feature = "hyper")]
            None => Some(&*CANCEL),
            #[cfg(not(feature = "hyper"))]
            None => None,
        }
    }
}

/// Why a body cannot be sent again from its start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Unreplayable {
    /// It is larger than the cap of one request.
    OverCap,
    /// The memory for all replay logs was exhausted.
    NoMemory,
    /// Reading it failed.
    SourceFailed,
    /// It was given up by [`Replay::commit`](super::Replay::commit).
    Committed,
}

impl fmt::Display for Unreplayable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::OverCap => "request body is larger than the replay cap",
            Self::NoMemory => "replay memory is exhausted",
            Self::SourceFailed => "reading the request body failed",
            Self::Committed => "request body is no longer kept",
        })
    }
}

impl StdError for Unreplayable {}
