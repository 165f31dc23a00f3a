//! An upstream that speaks HTTP/2 and resets its streams.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use bytes::Bytes;
use h2::{Reason, RecvStream, server::SendResponse};
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

/// What it does with a stream.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Stream {
    /// Reads the request, and resets.
    Reset(Reason),
    /// Answers with 200 and the request's body.
    Echo,
}

#[derive(Debug)]
pub(crate) struct Http2 {
    addr: SocketAddr,
    streams: Arc<AtomicUsize>,
    // Dropped, it ends what it holds.
    _tasks: JoinSet<()>,
}

impl Http2 {
    pub(crate) async fn start(name: &'static str, does: Stream) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let streams = Arc::<AtomicUsize>::default();
        let count = Arc::clone(&streams);
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                connections.spawn(serve(stream, name, does, Arc::clone(&count)));
            }
        });
        Self {
            addr,
            streams,
            _tasks: tasks,
        }
    }

    pub(crate) fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// How many streams were opened.
    pub(crate) fn attempts(&self) -> usize {
        self.streams.load(Ordering::Relaxed)
    }
}

async fn serve(stream: TcpStream, name: &'static str, does: Stream, count: Arc<AtomicUsize>) {
    let Ok(mut connection) = h2::server::handshake(stream).await else {
        return;
    };
    let mut streams = JoinSet::new();
    while let Some(Ok((request, respond))) = connection.accept().await {
        count.fetch_add(1, Ordering::Relaxed);
        streams.spawn(answer(request.into_body(), respond, name, does));
    }
}

async fn answer(
    mut body: RecvStream,
    mut respond: SendResponse<Bytes>,
    name: &str,
    does: Stream,
) -> Option<()> {
    let mut whole = Vec::new();
    while let Some(data) = body.data().await {
        whole.extend(data.ok()?);
    }
    match does {
        Stream::Reset(reason) => respond.send_reset(reason),
        Stream::Echo => {
            let response = http::Response::builder().header("x-served-by", name);
            let response = response.body(()).ok()?;
            let mut body = respond.send_response(response, false).ok()?;
            body.send_data(whole.into(), true).ok()?;
        }
    }
    Some(())
}
