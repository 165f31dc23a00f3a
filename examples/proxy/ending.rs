//! Connections that end when the proxy does.

use std::{
    future::{Future, poll_fn},
    pin::{Pin, pin},
};

use tokio::sync::watch;
use tower::BoxError;

/// The message that the proxy ends, for one connection.
enum Message {
    /// Nobody waits for it yet.
    Unasked,
    Awaited,
    Heard,
}

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
    let mut message = Message::Unasked;
    poll_fn(|cx| {
        // To wait for it anew costs 150 instructions, and a connection is polled twice for each request: it is waited for
        // once, which has the task woken, and then looked for.
        let asks = match message {
            Message::Unasked => true,
            Message::Awaited => end.has_changed().unwrap_or(true),
            Message::Heard => false,
        };
        if asks {
            message = Message::Awaited;
            if told.as_mut().poll(cx).is_ready() {
                message = Message::Heard;
                finish(connection.as_mut());
            }
        }
        connection.as_mut().poll(cx)
    })
    .await
    .map_err(Into::into)
}
