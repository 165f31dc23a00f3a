use std::{error::Error as StdError, fmt};

use crate::BoxError;

/// An upstream answered with something that cannot be passed on: [`FailureKind::Junk`](super::FailureKind).
#[derive(Debug)]
pub(crate) struct Junk {
    source: BoxError,
}

impl Junk {
    pub(crate) fn new(source: impl Into<BoxError>) -> Self {
        Self {
            source: source.into(),
        }
    }
}

impl fmt::Display for Junk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("response cannot be passed on")
    }
}

impl StdError for Junk {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        Some(&*self.source)
    }
}
