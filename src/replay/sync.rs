//! What handles and owners share across threads, in a form that the model checker can schedule.

#[cfg(not(all(test, replay_loom)))]
pub(super) use std::sync::{Arc, Mutex, atomic};

#[cfg(all(test, replay_loom))]
pub(super) use loom::sync::{Arc, Mutex, atomic};
