//! A proxy as `tower::retry` makes it: every body is collected, and a request that no upstream took, or that was answered with 503, goes
//! to the next one.

use std::{
    future::{Ready, ready},
    sync::Arc,
};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{Request, Response, StatusCode, body::Incoming};
use hyper_util::client::legacy;
use tower::{
    ServiceExt,
    retry::{self, Retry},
    service_fn,
};

use super::forward::{self, Options, Peers};

type Outgoing = Request<Full<Bytes>>;

/// Which upstream a request is for.
#[derive(Clone, Copy)]
struct Turn(usize);

/// Sends a request on, so many times more.
#[derive(Clone)]
struct Onwards {
    left: u32,
}

impl retry::Policy<Outgoing, Response<Incoming>, legacy::Error> for Onwards {
    type Future = Ready<()>;

    fn retry(
        &mut self,
        request: &mut Outgoing,
        result: &mut Result<Response<Incoming>, legacy::Error>,
    ) -> Option<Ready<()>> {
        let failed = match result {
            Ok(response) => response.status() == StatusCode::SERVICE_UNAVAILABLE,
            Err(error) => error.is_connect(),
        };
        if !failed {
            return None;
        }
        self.left = self.left.checked_sub(1)?;
        let Turn(turn) = request.extensions_mut().get_mut()?;
        *turn += 1;
        Some(ready(()))
    }

    fn clone_request(&mut self, request: &Outgoing) -> Option<Outgoing> {
        Some(request.clone())
    }
}

pub(super) async fn serve(options: &Options) -> crate::Result<()> {
    let peers = Arc::new(Peers::new(options));
    let turns = Arc::clone(&peers);
    let client = forward::client();
    let upstreams = service_fn(move |mut request: Outgoing| {
        let turn = request.extensions().get().map_or(0, |Turn(turn)| *turn);
        peers.aim(&mut request, turn);
        client.request(request)
    });
    let retried = Retry::new(Onwards { left: 2 }, upstreams);
    let handler = move |request: Request<Incoming>| {
        let (turn, retried) = (turns.turn(), retried.clone());
        async move {
            let (mut head, body) = request.into_parts();
            forward::strip(&mut head.headers);
            head.extensions.insert(Turn(turn));
            let Ok(body) = body.collect().await else {
                return forward::own(StatusCode::BAD_REQUEST);
            };
            let request = Request::from_parts(head, Full::new(body.to_bytes()));
            match retried.oneshot(request).await {
                Ok(response) => forward::relay(response),
                Err(_) => forward::own(StatusCode::BAD_GATEWAY),
            }
        }
    };
    forward::serve(options, handler).await
}
