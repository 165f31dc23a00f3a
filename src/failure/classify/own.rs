//! This crate's own errors.

use std::error::Error as StdError;

use super::{Classify, Evidence, FailureKind, KnownErrors, Reading, maybe_processed, not_sent};
use crate::{
    failure::{Broken, NotSent},
    replay::ReplayError,
    trail::NoPeer,
};

pub(super) fn read(error: &(dyn StdError + 'static)) -> Option<Reading> {
    let evidence = if let Some(error) = error.downcast_ref::<crate::Error>() {
        // An inner failover speaks for all of its attempts.
        Evidence {
            stage: error.stage(),
            kind: error.kind(),
        }
    } else if let Some(error) = error.downcast_ref::<NotSent>() {
        if error.is_unsendable() {
            return Some(Reading::Exchange(not_sent(FailureKind::Request)));
        }
        let source = error
            .source()
            .and_then(|source| KnownErrors.classify(source));
        not_sent(source.map_or(FailureKind::Connect, |evidence| evidence.kind))
    } else if error.is::<NoPeer>() {
        not_sent(FailureKind::NoPeer)
    } else if error.is::<ReplayError>() {
        maybe_processed(FailureKind::RequestBody)
    } else if let Some(error) = error.downcast_ref::<Broken>() {
        maybe_processed(error.kind())
    } else {
        #[cfg(feature = "hyper")]
        if error.is::<crate::failure::Junk>() {
            return Some(Reading::Exchange(maybe_processed(FailureKind::Junk)));
        }
        #[cfg(feature = "hyper")]
        if let Some(error) = error.downcast_ref() {
            let evidence = super::hyper::upstream(error);
            return Some(evidence.map_or(Reading::Opaque, Reading::Exchange));
        }
        return None;
    };
    Some(Reading::Exchange(evidence))
}
