//! Upstreams that do as they are told, all on one thread.

use std::{
    fmt::Write,
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use http_body_util::BodyExt;
use hyper::{
    Request, Response, StatusCode, body::Incoming, server::conn::http1, service::service_fn,
};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncBufReadExt, BufReader, stdin},
    net::{TcpListener, TcpSocket, TcpStream},
    time::sleep,
};

use super::{Behaviour, Length, Pattern};

/// An upstream, and what it has counted.
struct Upstream {
    behaviour: Behaviour,
    requests: AtomicU64,
    connections: AtomicU64,
    received: AtomicU64,
    sent: Arc<AtomicU64>,
}

/// A port, listening or not.
enum Port {
    Open(TcpListener),
    /// It refuses connections, and nobody else is given it.
    Shut(TcpSocket),
}

/// Serves until the input ends.
pub(super) async fn serve(behaviours: &[Behaviour]) -> crate::Result<()> {
    let mut upstreams = Vec::new();
    let mut shut = Vec::new();
    let mut addrs = String::new();
    for &behaviour in behaviours {
        let upstream = Arc::new(Upstream {
            behaviour,
            requests: AtomicU64::new(0),
            connections: AtomicU64::new(0),
            received: AtomicU64::new(0),
            sent: Arc::default(),
        });
        upstreams.push(Arc::clone(&upstream));
        let addr = match port(behaviour)? {
            Port::Open(listener) => {
                let addr = listener.local_addr()?;
                tokio::spawn(accept(listener, upstream));
                addr
            }
            Port::Shut(socket) => {
                let addr = socket.local_addr()?;
                shut.push(socket);
                addr
            }
        };
        let _ = write!(addrs, "{addr} ");
    }
    println!("{addrs}");
    let mut lines = BufReader::new(stdin()).lines();
    while lines.next_line().await?.is_some() {
        let mut counts = String::new();
        for upstream in &upstreams {
            let Upstream {
                requests,
                connections,
                received,
                sent,
                ..
            } = &**upstream;
            for count in [requests, connections, received, sent] {
                let _ = write!(counts, "{} ", count.load(Relaxed));
            }
        }
        println!("{counts}");
    }
    Ok(())
}

fn port(behaviour: Behaviour) -> std::io::Result<Port> {
    let ip = match behaviour {
        Behaviour::Everywhere(_) => Ipv4Addr::UNSPECIFIED,
        _ => Ipv4Addr::LOCALHOST,
    };
    let socket = TcpSocket::new_v4()?;
    socket.bind(SocketAddr::from((ip, 0)))?;
    match behaviour {
        Behaviour::Refuses => Ok(Port::Shut(socket)),
        // As many as may come at once; the system may allow fewer.
        _ => socket.listen(16_384).map(Port::Open),
    }
}

async fn accept(listener: TcpListener, upstream: Arc<Upstream>) {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            // Out of file descriptors: others may close theirs.
            sleep(Duration::from_millis(10)).await;
            continue;
        };
        upstream.connections.fetch_add(1, Relaxed);
        if upstream.behaviour != Behaviour::Closes {
            tokio::spawn(connection(stream, Arc::clone(&upstream)));
        }
    }
}

async fn connection(stream: TcpStream, upstream: Arc<Upstream>) {
    let _ = stream.set_nodelay(true);
    let service = service_fn(|request| upstream.answer(request));
    // It ends with an error when the proxy closes it in the middle, which is the proxy's business.
    let _ = http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

impl Upstream {
    async fn answer(&self, request: Request<Incoming>) -> Result<Response<Pattern>, hyper::Error> {
        let mut body = request.into_body();
        while let Some(frame) = body.frame().await {
            let size = frame?.data_ref().map_or(0, |data| data.len() as u64);
            self.received.fetch_add(size, Relaxed);
        }
        let number = self.requests.fetch_add(1, Relaxed);
        let body = |bytes| Response::new(Pattern::new(bytes, Length::Known, &self.sent));
        Ok(match self.behaviour {
            Behaviour::Unavailable(percent) if due(number, percent) => {
                let mut response = body(16);
                *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
                response
            }
            Behaviour::Healthy(bytes) | Behaviour::Everywhere(bytes) => body(bytes),
            _ => body(1024),
        })
    }
}

/// Whether the request of this number is among so many of a hundred.
fn due(number: u64, percent: u64) -> bool {
    (number + 1) * percent / 100 > number * percent / 100
}
