//! A request body can be read again, whole and in order, and costs no more than it may.

mod replay_body {
    mod bounds;
    mod committing;
    mod ending;
    mod hedging;
    mod hints;
    mod memory;
    mod model;
    mod peer_cases;
    mod revoking;
    mod schedules;
    mod streaming;
    mod threads;
}

mod support {
    pub(crate) mod scripted_body;
}

use std::task::Poll;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue};
use http_body::{Body, Frame};
use tokio_test::task::{self, Spawn};
use tower_failover::replay::{Replay, ReplayBody, ReplayError};

use support::scripted_body::{Script, ScriptedBody, Step};

type Handle = ReplayBody<ScriptedBody>;
type Polled = Poll<Option<Result<Frame<Bytes>, ReplayError>>>;

/// More than any test's body.
const ROOMY: u64 = 1 << 20;

fn data(bytes: impl Into<Bytes>) -> Step {
    Step::Data(bytes.into())
}

/// A chunk that is not gathered with others.
fn large(byte: u8) -> Step {
    data(vec![byte; 5000])
}

fn some_trailers() -> HeaderMap {
    [("checksum", "17"), ("note", "a"), ("note", "b")]
        .into_iter()
        .fold(HeaderMap::new(), |mut map, (name, value)| {
            map.append(name, HeaderValue::from_static(value));
            map
        })
}

fn replay(steps: impl IntoIterator<Item = Step>, cap: u64) -> (Replay<ScriptedBody>, Script) {
    let (body, script) = ScriptedBody::new(steps);
    (Replay::new(body, cap), script)
}

/// One attempt's handle, in a task of its own.
struct Attempt(Spawn<Handle>);

/// What an attempt has read, from now on to the end.
#[derive(Debug, Default)]
struct Read {
    bytes: Vec<u8>,
    trailers: Option<HeaderMap>,
    error: Option<ReplayError>,
}

impl Attempt {
    fn start(replay: &Replay<ScriptedBody>) -> Self {
        Self(task::spawn(replay.start().unwrap()))
    }

    fn poll(&mut self) -> Polled {
        self.0.enter(|cx, body| body.poll_frame(cx))
    }

    fn is_woken(&self) -> bool {
        self.0.is_woken()
    }

    #[track_caller]
    fn data(&mut self) -> Bytes {
        match self.poll() {
            Poll::Ready(Some(Ok(frame))) => frame.into_data().expect("trailers"),
            other => panic!("{other:?} in place of data"),
        }
    }

    #[track_caller]
    fn trailers(&mut self) -> HeaderMap {
        match self.poll() {
            Poll::Ready(Some(Ok(frame))) => frame.into_trailers().expect("data"),
            other => panic!("{other:?} in place of trailers"),
        }
    }

    #[track_caller]
    fn error(&mut self) -> ReplayError {
        match self.poll() {
            Poll::Ready(Some(Err(error))) => error,
            other => panic!("{other:?} in place of an error"),
        }
    }

    #[track_caller]
    fn end(&mut self) {
        let polled = self.poll();
        assert!(matches!(polled, Poll::Ready(None)), "{polled:?}");
    }

    #[track_caller]
    fn pending(&mut self) {
        let polled = self.poll();
        assert!(polled.is_pending(), "{polled:?}");
    }

    /// Reads all that there is; a body that has to wait for more is the test's mistake.
    #[track_caller]
    fn read(&mut self) -> Read {
        let mut read = Read::default();
        loop {
            match self.poll() {
                Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                    Ok(data) => read.bytes.extend_from_slice(&data),
                    Err(frame) => read.trailers = frame.into_trailers().ok(),
                },
                Poll::Ready(Some(Err(error))) => {
                    read.error = Some(error);
                    return read;
                }
                Poll::Ready(None) => return read,
                Poll::Pending => panic!("pending after {} bytes", read.bytes.len()),
            }
        }
    }

    /// Reads a body that ends well, and has no trailers.
    #[track_caller]
    fn bytes(&mut self) -> Vec<u8> {
        let read = self.read();
        assert!(read.error.is_none() && read.trailers.is_none(), "{read:?}");
        read.bytes
    }

    fn exact(&self) -> Option<u64> {
        self.0.size_hint().exact()
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_end_stream()
    }
}
