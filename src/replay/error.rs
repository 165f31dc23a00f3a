use std::{error::Error as StdError, fmt, sync::Arc};

use crate::BoxError;

/// Why a [`ReplayBody`](super::ReplayBody) ended in an error.
///
/// A transport wraps it in an error of its own, in which [`find`](Self::find) finds it. hyper drops
/// it over HTTP/2, where all that is left is the reason that the stream was reset with.
/// [`Replay::has_source_failed`](super::Replay::has_source_failed) tells of a source that failed
/// however it was sent.
#[derive(Clone, Debug)]
pub struct ReplayError(Kind);

#[derive(Clone, Debug)]
enum Kind {
    Revoked,
    LeftBehind(Unreplayable),
    SourceFailed(Arc<dyn StdError + Send + Sync>),
}

impl ReplayError {
    pub(super) const REVOKED: Self = Self(Kind::Revoked);

    pub(super) const fn left_behind(why: Unreplayable) -> Self {
        Self(Kind::LeftBehind(why))
    }

    pub(super) fn source_failed(error: BoxError) -> Self {
        #[cfg(feature = "hyper")]
        let error = as_a_failure(error);
        Self(Kind::SourceFailed(Arc::from(error)))
    }

    /// Finds one in `error` or below.
    pub fn find<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a Self> {
        find(error)
    }

    /// Whether the handle was revoked, as when another attempt took its place.
    pub fn is_revoked(&self) -> bool {
        matches!(self.0, Kind::Revoked)
    }

    /// Whether the log that the handle was reading was given up: another handle was ahead of it when
    /// the body passed a bound. That one goes on.
    pub fn is_left_behind(&self) -> bool {
        matches!(self.0, Kind::LeftBehind(_))
    }

    /// Whether reading the original body failed.
    pub fn is_source_failed(&self) -> bool {
        matches!(self.0, Kind::SourceFailed(_))
    }
}

/// hyper resets a stream with the reason that it finds below its body's error, and with
/// INTERNAL_ERROR without one. Servers take NO_ERROR for the end of a whole body, and those of hyper
/// before 1.10 CANCEL too: what was sent would be a request.
#[cfg(feature = "hyper")]
fn as_a_failure(error: BoxError) -> BoxError {
    use h2::Reason;

    match find::<h2::Error>(&*error).and_then(h2::Error::reason) {
        Some(Reason::NO_ERROR | Reason::CANCEL) => error.to_string().into(),
        _ => error,
    }
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
        f.write_str(match &self.0 {
            Kind::Revoked => "request body was taken back from this attempt",
            Kind::LeftBehind(_) => "another attempt is ahead in a request body that is not kept",
            Kind::SourceFailed(_) => "reading the request body failed",
        })
    }
}

impl StdError for ReplayError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match &self.0 {
            Kind::Revoked => None,
            Kind::LeftBehind(why) => Some(why),
            Kind::SourceFailed(error) => Some(&**error),
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
    /// It was given up by [`Replay::commit`](super::Replay::commit) or by dropping its owner.
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
