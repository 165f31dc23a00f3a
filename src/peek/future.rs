use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

use http::{Response, StatusCode};
use http_body::Body;
use pin_project_lite::pin_project;

use super::{FirstTrailers, PeekBody, When};
use crate::{BoxError, failure::Broken};

pin_project! {
    /// The future of a [`Peek`](super::Peek)'s response.
    ///
    /// Dropping it drops the response that it holds, whose exchange ends with it.
    pub struct PeekFuture<F, R>
    where
        R: Body,
    {
        #[pin]
        state: State<F, R>,
    }
}

pin_project! {
    #[project = StateProj]
    #[project_replace = StateReplace]
    enum State<F, R>
    where
        R: Body,
    {
        /// The service was called.
        Calling { #[pin] future: F, when: When },
        /// The response is held until its body begins.
        Holding { response: Response<PeekBody<R>> },
        Finished,
    }
}

impl<F, R: Body> PeekFuture<F, R> {
    pub(super) fn new(future: F, when: When) -> Self {
        Self {
            state: State::Calling { future, when },
        }
    }
}

impl<F, R, E> Future for PeekFuture<F, R>
where
    F: Future<Output = Result<Response<R>, E>>,
    E: Into<BoxError>,
    R: Body + Unpin,
    R::Error: Into<BoxError>,
{
    type Output = Result<Response<PeekBody<R>>, BoxError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.project().state;
        loop {
            let result = match state.as_mut().project() {
                StateProj::Calling { future, when } => match ready!(future.poll(cx)) {
                    Ok(response) => {
                        let (parts, body) = response.into_parts();
                        let is_held = parts.status != StatusCode::SWITCHING_PROTOCOLS
                            && !body.is_end_stream()
                            && when.holds(&parts);
                        let response = Response::from_parts(parts, PeekBody::new(body));
                        if is_held {
                            // The call is over, and its future goes.
                            state.set(State::Holding { response });
                            continue;
                        }
                        Ok(response)
                    }
                    Err(error) => Err(error.into()),
                },
                StateProj::Holding { response } => {
                    let begun = ready!(response.body_mut().poll_begin(cx));
                    match state.as_mut().project_replace(State::Finished) {
                        StateReplace::Holding { response } => match begun {
                            Ok(trailers) => Ok(with(response, trailers)),
                            Err(error) => Err(Broken::new(error).into()),
                        },
                        _ => continue,
                    }
                }
                StateProj::Finished => panic!("a peek future was polled after its end"),
            };
            state.set(State::Finished);
            return Poll::Ready(result);
        }
    }
}

fn with<B>(mut response: Response<B>, trailers: Option<FirstTrailers>) -> Response<B> {
    if let Some(trailers) = trailers {
        response.extensions_mut().insert(trailers);
    }
    response
}

impl<F, R: Body> fmt::Debug for PeekFuture<F, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PeekFuture").finish_non_exhaustive()
    }
}
