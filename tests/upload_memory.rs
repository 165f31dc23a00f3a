//! What a thousand slow uploads cost, and what their logs are charged.
#![cfg(all(target_os = "linux", feature = "hyper"))]

use std::{fs, io};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Empty};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncWriteExt, DuplexStream, duplex},
    sync::mpsc::{UnboundedSender, unbounded_channel},
    task::JoinSet,
};
use tower_failover::replay::{Replay, ReplayMemory};

/// An unoptimized build takes its time over every chunk.
const UPLOADS: usize = if cfg!(debug_assertions) { 100 } else { 1000 };
const LENGTH: usize = 64 << 10;
const CHUNK: &[u8] = b"0123456789";

type Log = Replay<Incoming>;

enum Told {
    Begun,
    Read(Log),
}

/// How the body is sent.
#[derive(Clone, Copy, Debug)]
enum Framing {
    ContentLength,
    Chunked,
}

impl Framing {
    fn head(self) -> String {
        let field = match self {
            Self::ContentLength => format!("content-length: {LENGTH}"),
            Self::Chunked => String::from("transfer-encoding: chunked"),
        };
        format!("POST / HTTP/1.1\r\nhost: a.test\r\n{field}\r\n\r\n")
    }

    /// Sends a body chunk by chunk, and returns the pipe.
    async fn send(self, mut pipe: DuplexStream) -> io::Result<DuplexStream> {
        for at in (0..LENGTH).step_by(CHUNK.len()) {
            let chunk = &CHUNK[..CHUNK.len().min(LENGTH - at)];
            match self {
                Self::ContentLength => pipe.write_all(chunk).await?,
                Self::Chunked => {
                    let size = format!("{:x}\r\n", chunk.len());
                    let coded = [size.as_bytes(), chunk, b"\r\n"].concat();
                    pipe.write_all(&coded).await?;
                }
            }
        }
        if let Self::Chunked = self {
            pipe.write_all(b"0\r\n\r\n").await?;
        }
        Ok(pipe)
    }
}

#[tokio::test]
async fn logs_cost_about_what_they_are_charged() {
    let first = upload(Framing::ContentLength).await;
    // What the first uploads have freed would hide what the second ones take.
    let second = upload(Framing::Chunked).await;
    for Uploaded { logs, memory } in [first, second] {
        drop(logs);
        assert_eq!((memory.held(), memory.refused()), (0, 0));
    }
}

struct Uploaded {
    logs: Vec<Log>,
    memory: ReplayMemory,
}

async fn upload(framing: Framing) -> Uploaded {
    let memory = ReplayMemory::default();
    let (tell, mut told) = unbounded_channel();
    let mut pipes = Vec::new();
    for _ in 0..UPLOADS {
        // A chunk fills the pipe: no two of them are read at once.
        let (mut near, far) = duplex(CHUNK.len());
        tokio::spawn(serve(far, memory.clone(), tell.clone()));
        near.write_all(framing.head().as_bytes()).await.unwrap();
        pipes.push(near);
    }
    for _ in 0..UPLOADS {
        assert!(matches!(told.recv().await, Some(Told::Begun)));
    }
    assert_eq!(memory.held(), 0);
    let before = resident();

    let mut clients = JoinSet::new();
    for pipe in pipes {
        clients.spawn(framing.send(pipe));
    }
    let mut logs = Vec::new();
    while logs.len() < UPLOADS {
        match told.recv().await {
            Some(Told::Read(log)) => logs.push(log),
            _ => panic!("a server has failed"),
        }
    }
    let (held, grown) = (memory.held(), resident().saturating_sub(before));
    println!("{framing:?}, {UPLOADS} uploads: {held} bytes held, {grown} more resident");
    let payload = UPLOADS * LENGTH;
    assert!(logs.iter().all(|log| log.bytes_held() == LENGTH as u64));
    assert!((payload..payload * 13 / 10).contains(&held), "{held} held");
    assert!(grown <= 2 * held, "{grown} more for {held} held");
    let sent = clients.join_all().await;
    assert!(sent.iter().all(Result::is_ok));
    Uploaded { logs, memory }
}

/// Reads one upload, drops what it has read, and hands over the log.
async fn serve(pipe: DuplexStream, memory: ReplayMemory, tell: UnboundedSender<Told>) {
    let service = service_fn(move |request: Request<Incoming>| {
        let (memory, tell) = (memory.clone(), tell.clone());
        async move {
            let log = Replay::with_memory(request.into_body(), 1 << 20, memory);
            let mut handle = log.start().unwrap();
            let _ = tell.send(Told::Begun);
            while let Some(frame) = handle.frame().await {
                let data = frame.unwrap().into_data().unwrap();
                assert!(data.len() <= CHUNK.len());
            }
            let _ = tell.send(Told::Read(log));
            Ok::<_, io::Error>(Response::new(Empty::<Bytes>::new()))
        }
    });
    let http1 = http1::Builder::new();
    // The client leaves once it has sent its body.
    let _ = http1.serve_connection(TokioIo::new(pipe), service).await;
}

/// Bytes of this process that are in memory.
fn resident() -> usize {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kibibytes = line.unwrap().trim().strip_suffix(" kB").unwrap();
    kibibytes.trim().parse::<usize>().unwrap() << 10
}
