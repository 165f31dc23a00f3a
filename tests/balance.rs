//! The balancer by itself: who is picked, who is left out, and how the set of peers changes.

mod support {
    #[cfg(feature = "hyper")]
    pub(crate) mod stopped_clock;
    pub(crate) mod strict;
}

mod balancing {
    mod breaking;
    mod checks;
    mod churn;
    mod directly;
    mod discovery;
    mod handling;
    mod health;
    mod nesting;
    #[cfg(feature = "hyper")]
    mod over_sockets;
    mod picking;
    mod probing;
    mod readiness;
    mod strategies;
    mod tiers;
    mod watching;
}

use std::{
    convert::Infallible,
    io,
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use tower::{ServiceExt, service_fn, util::BoxCloneSyncService};
use tower_failover::{
    BoxError,
    balance::{Balance, Endpoint},
    trail::{NoPeer, Trail},
};

use self::support::strict::Strict;

type Body = Full<Bytes>;
type Peer = BoxCloneSyncService<Request<Body>, Response<Body>, io::Error>;

/// What a peer does with its next requests; the last one is for all that follow.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Act {
    Answer(u16),
    Fail,
    Hang,
}

/// A peer that answers as it is told, and with its name in a header.
fn peer(name: &'static str, acts: &[Act]) -> Endpoint<Peer> {
    let acts = Arc::new(Mutex::new(acts.to_vec()));
    let service = service_fn(move |_: Request<Body>| {
        let mut acts = acts.lock().unwrap();
        let act = if acts.len() > 1 {
            acts.remove(0)
        } else {
            acts[0]
        };
        async move {
            match act {
                Act::Answer(status) => {
                    let response = Response::builder().status(status).header("name", name);
                    Ok::<_, io::Error>(response.body(Full::default()).unwrap())
                }
                Act::Fail => Err(io::ErrorKind::ConnectionReset.into()),
                Act::Hang => std::future::pending().await,
            }
        }
    });
    Endpoint::new(name, Peer::new(Strict::new(service)))
}

fn well(name: &'static str) -> Endpoint<Peer> {
    peer(name, &[Act::Answer(200)])
}

/// Sends a request; what comes back is the name of the peer that answered.
async fn send(balance: &Balance<Peer>) -> Result<String, BoxError> {
    send_on(balance, None).await
}

async fn send_on(balance: &Balance<Peer>, trail: Option<&Trail>) -> Result<String, BoxError> {
    let mut request = Request::new(Full::default());
    if let Some(trail) = trail {
        request.extensions_mut().insert(trail.clone());
    }
    let response = balance.clone().oneshot(request).await?;
    Ok(response.headers()["name"].to_str().unwrap().to_owned())
}

/// Who answers the next requests.
async fn names(balance: &Balance<Peer>, requests: usize) -> String {
    let mut names = Vec::new();
    for _ in 0..requests {
        names.push(send(balance).await.unwrap_or_else(|_| "-".to_owned()));
    }
    names.join(" ")
}
