use std::{error::Error as StdError, sync::Arc, time::Duration};

use super::{breaker::Breaker, state::OnStateChange};
use crate::failure::{Classify, FailureKind, KnownErrors};

/// How a balancer judges its peers.
#[derive(Clone)]
pub(super) struct Rules {
    pub(super) breaker: Breaker,
    pub(super) classify: Arc<dyn Classify>,
    /// The largest share of a tier that may be out.
    pub(super) most_ejected: f64,
    pub(super) slow_start: Duration,
    pub(super) listener: Option<Arc<dyn OnStateChange>>,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            breaker: Breaker::default(),
            classify: Arc::new(KnownErrors),
            most_ejected: 0.5,
            slow_start: Duration::ZERO,
            listener: None,
        }
    }
}

impl Rules {
    /// What a peer did, if an error is its fault: not that of the request, nor of an overload of our own.
    pub(super) fn kind_of_fault(&self, error: &(dyn StdError + 'static)) -> Option<FailureKind> {
        let evidence = self.classify.classify(error);
        match evidence.map_or(FailureKind::Other, |evidence| evidence.kind) {
            FailureKind::Request
            | FailureKind::RequestBody
            | FailureKind::Overload
            | FailureKind::NoPeer => None,
            kind => Some(kind),
        }
    }

    /// How many of a tier's peers may be out.
    pub(super) fn most_out_of(&self, peers: usize) -> usize {
        if self.most_ejected >= 1.0 {
            return peers;
        }
        if self.most_ejected <= 0.0 {
            return 0;
        }
        #[expect(clippy::cast_precision_loss, reason = "a share of some peers")]
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a whole number of them"
        )]
        let most = (self.most_ejected * peers as f64).ceil() as usize;
        most.max(1).min(peers.saturating_sub(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_may_be_out_and_one_stays() {
        let most = |share, peers| {
            let rules = Rules {
                most_ejected: share,
                ..Rules::default()
            };
            rules.most_out_of(peers)
        };
        assert_eq!(
            [0, 1, 2, 3, 4, 5, 10].map(|n| most(0.5, n)),
            [0, 0, 1, 2, 2, 3, 5]
        );
        assert_eq!([1, 2, 10].map(|n| most(0.01, n)), [0, 1, 1]);
        assert_eq!([1, 2, 10].map(|n| most(0.99, n)), [0, 1, 9]);
        assert_eq!([1, 2, 10].map(|n| most(1.0, n)), [1, 2, 10]);
        assert_eq!([1, 2, 10].map(|n| most(0.0, n)), [0, 0, 0]);
    }
}
