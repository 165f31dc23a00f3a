//! The least that a proxy on hyper can be: it streams both bodies, to each upstream in turn, and repeats nothing.

use std::sync::Arc;

use hyper::{Request, StatusCode, body::Incoming};

use super::forward::{self, Options, Peers};

pub(super) async fn serve(options: &Options) -> crate::Result<()> {
    let peers = Arc::new(Peers::new(options));
    let client = forward::client();
    let handler = move |mut request: Request<Incoming>| {
        let (peers, client) = (Arc::clone(&peers), client.clone());
        async move {
            forward::strip(request.headers_mut());
            peers.aim(&mut request, peers.turn());
            match client.request(request).await {
                Ok(response) => forward::relay(response),
                Err(_) => forward::own(StatusCode::BAD_GATEWAY),
            }
        }
    };
    forward::serve(options, handler).await
}
