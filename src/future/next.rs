use http::Response;

use crate::Error;

/// What follows an attempt.
pub(super) enum Next<R> {
    Done(Result<Response<R>, Error>),
    /// Another attempt, after a delay.
    Wait,
    /// Another attempt at once.
    Now,
}
