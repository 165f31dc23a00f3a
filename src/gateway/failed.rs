use std::error::Error as StdError;

use http::StatusCode;

use super::error_type::error_type;
use crate::{
    Error,
    failure::{Classify, FailureKind, KnownErrors, chain},
    report::Report,
};

/// What an [`ErrorPage`](super::ErrorPage) may know of a request that failed.
#[derive(Clone, Copy, Debug)]
pub struct Failed<'a> {
    error: &'a (dyn StdError + 'static),
    /// A failover's, as far as layers between have wrapped it.
    known: Option<&'a Error>,
    kind: FailureKind,
    attempts: usize,
}

impl<'a> Failed<'a> {
    /// Reads an error that came after so many calls of the service below.
    pub(super) fn new(error: &'a (dyn StdError + 'static), calls: usize) -> Self {
        let known = chain(error).find_map(|error| error.downcast_ref::<Error>());
        let kind = known.map(Error::kind);
        let kind = kind.or_else(|| KnownErrors.classify(error).map(|evidence| evidence.kind));
        let kind = kind.unwrap_or(FailureKind::Other);
        let attempts = match (known, kind) {
            (Some(known), _) => known.attempts(),
            (None, FailureKind::NoPeer) => 0,
            (None, _) => calls,
        };
        Self {
            error,
            known,
            kind,
            attempts,
        }
    }

    /// The status that its [kind](FailureKind::status) is answered with, unless the page knows better.
    pub fn status(&self) -> StatusCode {
        self.kind.status()
    }

    /// What went wrong in the last attempt. Without a failover below it is what
    /// [`KnownErrors`] say.
    pub fn kind(&self) -> FailureKind {
        self.kind
    }

    /// The error as the service below gave it: a failover's [`Error`], or whatever a layer between
    /// has made of it.
    ///
    /// Its text, and that of its sources, is for operators: it can name peers and addresses.
    pub fn error(&self) -> &'a (dyn StdError + 'static) {
        self.error
    }

    /// What became of each attempt; `None` without a failover below.
    pub fn report(&self) -> Option<&'a Report> {
        self.known.map(Error::report)
    }

    /// What went wrong in one word, as RFC 9209 has it: the `error` of
    /// [`Proxy-Status`](crate::gateway::GatewayLayer::proxy_status), such as `connection_refused`.
    pub fn error_type(&self) -> &'static str {
        error_type(self.kind, self.root())
    }

    /// How many attempts were made.
    ///
    /// There were none when the service below was not ready, or had no peer. Without a failover below
    /// there was one.
    pub fn attempts(&self) -> usize {
        self.attempts
    }

    /// The error that says what went wrong: whatever layers above have wrapped around it says nothing.
    fn root(&self) -> &'a (dyn StdError + 'static) {
        match self.known {
            Some(known) => known,
            None => self.error,
        }
    }
}
