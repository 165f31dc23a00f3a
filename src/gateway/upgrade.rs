use std::io;

use http::{Request, Response, StatusCode};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tracing::debug;

/// The client's side of a connection that is to speak another protocol.
#[derive(Debug)]
pub(super) struct Upgrade {
    client: OnUpgrade,
}

impl Upgrade {
    /// Takes the client's side out of a request that asks for an upgrade.
    pub(super) fn take<B>(request: &mut Request<B>) -> Option<Self> {
        let client = request.extensions_mut().remove::<OnUpgrade>();
        client.map(|client| Self { client })
    }

    /// Joins both sides, if the upstream has agreed. The bridge lasts until both have closed.
    pub(super) fn bridge<R>(self, response: &mut Response<R>) {
        if response.status() != StatusCode::SWITCHING_PROTOCOLS {
            return;
        }
        if let Some(upstream) = response.extensions_mut().remove::<OnUpgrade>() {
            tokio::spawn(async move {
                match join(self.client, upstream).await {
                    Ok((sent, received)) => debug!(sent, received, "upgraded connection closed"),
                    Err(error) => debug!(%error, "upgraded connection broke off"),
                }
            });
        }
    }
}

async fn join(client: OnUpgrade, upstream: OnUpgrade) -> io::Result<(u64, u64)> {
    // Ours first: the client switches when it has the upstream's answer, which it has by now.
    let upstream = upstream.await.map_err(io::Error::other)?;
    let client = client.await.map_err(io::Error::other)?;
    let (mut client, mut upstream) = (TokioIo::new(client), TokioIo::new(upstream));
    tokio::io::copy_bidirectional(&mut client, &mut upstream).await
}
