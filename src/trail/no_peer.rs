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
