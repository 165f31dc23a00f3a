//! tower's timeout and load shedding, and tokio's timeout.

use std::error::Error as StdError;

use tower::load_shed::error::Overloaded;
use tower::timeout::error::Elapsed;

use super::{FailureKind, Reading, maybe_processed, not_sent};

pub(super) fn read(error: &(dyn StdError + 'static)) -> Option<Reading> {
    if error.is::<Overloaded>() {
        // `LoadShed::call` answers this itself and does not call the service.
        Some(Reading::Exchange(not_sent(FailureKind::Overload)))
    } else if is_elapsed(error) {
        // The timer covers the whole call: how far it got, it does not say.
        Some(Reading::Exchange(maybe_processed(FailureKind::Timeout)))
    } else {
        None
    }
}

pub(super) fn is_elapsed(error: &(dyn StdError + 'static)) -> bool {
    error.is::<Elapsed>() || error.is::<tokio::time::error::Elapsed>()
}
