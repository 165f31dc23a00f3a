//! A `ReplayBody` by itself, without the layer: a PUT that is still being read goes to a second
//! server as well when the first has not answered for a while. The first that succeeds counts, and
//! the other attempt is revoked.
//!
//! ```text
//! cargo run --example hedged_upload
//! ```

use std::{convert::Infallible, error::Error, future, io, pin::pin, time::Duration};

use axum::{Router, body::to_bytes, extract::Request as Received};
use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, channel::Channel};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use tokio::{net::TcpListener, select, time::timeout};
use tower_failover::replay::{Replay, ReplayBody};

/// A body that comes from somewhere else, chunk by chunk, and cannot be rewound.
type Upload = Channel<Bytes, Infallible>;

/// How long a server may take before another is asked too.
const PATIENCE: Duration = Duration::from_millis(100);

/// The largest upload that is kept for a second server, in bytes.
const CAP: u64 = 1 << 20;

type Answer = Result<String, Box<dyn Error>>;

pub(crate) struct Hedged {
    client: Client<HttpConnector, ReplayBody<Upload>>,
    servers: [String; 2],
}

impl Hedged {
    pub(crate) fn new(servers: [String; 2]) -> Self {
        Self {
            client: Client::builder(TokioExecutor::new()).build_http(),
            servers,
        }
    }

    /// Puts an upload to one server or to both, and returns what the winner says.
    pub(crate) async fn put(&self, upload: Upload) -> Answer {
        let upload = Replay::new(upload, CAP);
        let [one, two] = &self.servers;

        let body = upload.start()?;
        let first = body.id();
        let mut asked = pin!(self.send(one, body));
        match timeout(PATIENCE, &mut asked).await {
            Ok(Ok(answer)) => return Ok(answer),
            // It has failed: the second server is all there is.
            Ok(Err(_)) => {
                upload.revoke(first);
                return self.send(two, upload.start()?).await;
            }
            Err(_) => {}
        }

        let Ok(body) = upload.start() else {
            // Too large to be sent twice: the first server is all there is.
            return asked.await;
        };
        let second = body.id();
        let mut hedge = pin!(self.send(two, body));
        // A server that fails does not end what the other may yet do. One of the two fails if the
        // upload passes the cap: the one that is behind.
        select! {
            Ok(answer) = &mut asked => {
                upload.revoke(second);
                Ok(answer)
            }
            Ok(answer) = &mut hedge => {
                upload.revoke(first);
                Ok(answer)
            }
            else => Err("both servers have failed".into()),
        }
    }

    async fn send(&self, server: &str, body: ReplayBody<Upload>) -> Answer {
        let request = Request::put(server).body(body)?;
        let response = self.client.request(request).await?;
        let answer = response.into_body().collect().await?.to_bytes();
        Ok(String::from_utf8(answer.into())?)
    }
}

/// Puts one upload, of which the first server takes its time; returns what the second says.
pub(crate) async fn run() -> Answer {
    let chunks = ["one ", "chunk ", "after ", "another"].map(Bytes::from);
    put([silent().await?, counting().await?], chunks).await
}

/// Puts one upload, chunk by chunk.
pub(crate) async fn put(servers: [String; 2], chunks: impl IntoIterator<Item = Bytes>) -> Answer {
    let hedged = Hedged::new(servers);
    let (mut sender, upload) = Upload::new(1);
    let sending = async move {
        for chunk in chunks {
            sender.send_data(chunk).await?;
        }
        Ok::<_, Box<dyn Error>>(())
    };
    let (answer, sent) = tokio::join!(hedged.put(upload), sending);
    sent.and(answer)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    println!("{}", run().await?);
    Ok(())
}

/// Reads what it is sent, and never answers.
async fn silent() -> io::Result<String> {
    serve(Router::new().fallback(async |request: Received| {
        let _ = to_bytes(request.into_body(), usize::MAX).await;
        future::pending::<()>().await;
    }))
    .await
}

/// Says how much it was sent.
pub(crate) async fn counting() -> io::Result<String> {
    serve(Router::new().fallback(async |body: Bytes| format!("{} bytes", body.len()))).await
}

pub(crate) async fn serve(app: Router) -> io::Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}/", listener.local_addr()?);
    tokio::spawn(async move { axum::serve(listener, app).await });
    Ok(url)
}
