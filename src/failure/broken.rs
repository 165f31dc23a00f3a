use std::{error::Error as StdError, fmt};

use super::{Classify, FailureKind, KnownErrors, chain};
use crate::BoxError;

/// A response's body failed before its first byte, and its head was given to nobody.
///
/// The peer had begun to answer: whatever the body failed with, and whatever that would prove of a
/// request without an answer, this one may have been processed.
#[derive(Debug)]
pub(crate) struct Broken {
    source: BoxError,
}

impl Broken {
    pub(crate) fn new(source: impl Into<BoxError>) -> Self {
        Self {
            source: source.into(),
        }
    }

    /// Whether `error` is one, as far as layers have wrapped it.
    pub(crate) fn is_in(error: &(dyn StdError + 'static)) -> bool {
        chain(error).any(|error| error.is::<Self>())
    }

    /// Reads the body's error; what only an exchange without an answer can fail with is a connection
    /// that ended.
    pub(super) fn kind(&self) -> FailureKind {
        let evidence = KnownErrors.classify(&*self.source);
        match evidence.map(|evidence| evidence.kind) {
            Some(kind @ (FailureKind::Junk | FailureKind::Timeout | FailureKind::RequestBody)) => {
                kind
            }
            _ => FailureKind::Reset,
        }
    }
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("response broke off before its body")
    }
}

impl StdError for Broken {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        Some(&*self.source)
    }
}
