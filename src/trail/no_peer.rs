use std::{error::Error as StdError, fmt};

/// What a balancer or an endpoint answers when it sent the request nowhere.
///
/// It is not an attempt: [`Failover`](crate::Failover) shows it to no policy and charges it to no
/// limit. A balancer returns [`NoPeer::exhausted`] when it has nobody to offer; an endpoint behind
/// a balancer that picks blindly returns [`NoPeer::tried`] when the request has been there already,
/// which asks for another pick.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoPeer {
    tried: bool,
}

impl NoPeer {
    /// There is no peer that this request may go to.
    pub const fn exhausted() -> Self {
        Self { tried: false }
    }

    /// This peer was tried already; a new pick may find another.
    pub const fn tried() -> Self {
        Self { tried: true }
    }

    /// Whether a new pick may find another peer.
    pub const fn is_tried(&self) -> bool {
        self.tried
    }

    /// Finds the answer in `error` or below it, as far as layers have wrapped it.
    pub(crate) fn find<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a Self> {
        let mut next = Some(error);
        while let Some(error) = next {
            // An inner failover's error speaks for all of its own peers, whatever stands below it.
            if error.is::<crate::Error>() {
                return None;
            }
            if let Some(found) = error.downcast_ref() {
                return Some(found);
            }
            next = error.source();
        }
        None
    }
}

impl fmt::Display for NoPeer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.tried {
            "peer was tried already"
        } else {
            "no peer available"
        })
    }
}

impl StdError for NoPeer {}
