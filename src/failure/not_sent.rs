use std::{error::Error as StdError, fmt};

use crate::BoxError;

/// An error wrapped by someone who knows that nothing of the request was sent.
///
/// An endpoint of your own returns it for what it refuses before it sends, and the request may then
/// go elsewhere whatever its method. It is a promise: see [`Classify`](super::Classify).
#[derive(Debug)]
pub struct NotSent {
    source: BoxError,
    unsendable: bool,
}

impl NotSent {
    /// Says of an error that nothing of the request was sent.
    pub fn new(source: impl Into<BoxError>) -> Self {
        Self {
            source: source.into(),
            unsendable: false,
        }
    }

    /// Says why the request cannot be sent as it is, whoever the peer: it is the sender's fault
    /// ([`FailureKind::Request`](super::FailureKind::Request)).
    pub fn unsendable(source: impl Into<BoxError>) -> Self {
        Self {
            source: source.into(),
            unsendable: true,
        }
    }

    pub(super) fn is_unsendable(&self) -> bool {
        self.unsendable
    }
}

impl fmt::Display for NotSent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.unsendable {
            "request cannot be sent"
        } else {
            "request was not sent"
        })
    }
}

impl StdError for NotSent {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        Some(&*self.source)
    }
}
