//! Connections that end when the proxy does.

use std::{
    future::{Future, poll_fn},
    pin::{Pin, pin},
};

use tokio::sync::watch;
use tower::BoxError;

/// Drives a connection to its end. When there is a message, it is told by `finish` to take no more requests.
pub(crate) async fn drive<C, E>(
    connection: C,
    finish: impl Fn(Pin<&mut C>),
    end: watch::Receiver<()>,
) -> Result<(), BoxError>
where
    C: Future<Output = Result<(), E>>,
    E: Into<BoxError>,
{
    let mut connection = pin!(connection);
    let mut told = end.clone();
    let mut told = pin!(told.changed());
    // To wait for the message anew costs 150 instructions, and a connection is polled twice for each request: it is waited
    // for once, which has the task woken, and then looked for.
    let (mut waits, mut finishing) = (false, false);
    poll_fn(|cx| {
        let comes = !waits || end.has_changed().unwrap_or(true);
        if comes && !finishing {
            waits = true;
            finishing = told.as_mut().poll(cx).is_ready();
            if finishing {
                finish(connection.as_mut());
            }
        }
        connection.as_mut().poll(cx)
    })
    .await
    .map_err(Into::into)
}
