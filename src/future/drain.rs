use std::{
    pin::pin,
    task::{Context, Poll},
};

use bytes::Buf;
use http::Response;
use http_body::Body;

/// The most bytes of an unwanted response that are read so that its connection can be used again.
const BOUND: usize = 64 * 1024;

/// Reads what has arrived of a response that nobody will see, and drops it.
///
/// It does not wait: a body that has not arrived by now costs its connection, or its stream.
pub(super) fn drain<R: Body>(response: Response<R>, cx: &mut Context<'_>) {
    let mut body = pin!(response.into_body());
    let mut room = BOUND;
    while let Poll::Ready(Some(Ok(frame))) = body.as_mut().poll_frame(cx) {
        let length = frame.data_ref().map_or(0, Buf::remaining);
        match room.checked_sub(length.max(1)) {
            Some(left) => room = left,
            None => return,
        }
    }
}
