//! What a body that can be read again allocates and copies, and what it does not.

use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll, Waker},
};

use allocation_counter::{AllocationInfo, measure};
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::Empty;
use tower_failover::replay::{Replay, ReplayBody, ReplayMemory};

const ROOMY: u64 = 4 << 20;
const MIB: usize = 1 << 20;

/// Slices of one buffer, of one length; taking them allocates nothing.
struct Slices {
    left: Bytes,
    length: usize,
}

impl Slices {
    fn of(whole: &Bytes, length: usize) -> Self {
        Self {
            left: whole.clone(),
            length,
        }
    }
}

impl Body for Slices {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.left.is_empty() {
            return Poll::Ready(None);
        }
        let length = self.length.min(self.left.len());
        Poll::Ready(Some(Ok(Frame::data(self.left.split_to(length)))))
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left.len() as u64)
    }
}

fn whole() -> Bytes {
    let bytes = Bytes::from(vec![7; MIB]);
    // A buffer is counted by reference from its first clone on.
    drop(bytes.clone());
    bytes
}

fn poll<B>(handle: &mut ReplayBody<B>) -> Option<Bytes>
where
    B: Body<Error = Infallible> + Unpin,
{
    let mut cx = Context::from_waker(Waker::noop());
    match Pin::new(handle).poll_frame(&mut cx) {
        Poll::Ready(frame) => Some(frame?.unwrap().into_data().unwrap()),
        Poll::Pending => panic!("the source has nothing"),
    }
}

/// Reads a body to its end, and counts the frames.
fn read<B>(handle: &mut ReplayBody<B>) -> usize
where
    B: Body<Error = Infallible> + Unpin,
{
    let mut frames = 0;
    while poll(handle).is_some() {
        frames += 1;
    }
    frames
}

/// Where the frames of a body lie, and how long they are.
fn places(handle: &mut ReplayBody<Slices>) -> Vec<(*const u8, usize)> {
    std::iter::from_fn(|| poll(handle).map(|data| (data.as_ptr(), data.len()))).collect()
}

#[track_caller]
fn assert_none(info: AllocationInfo) {
    assert_eq!((info.count_total, info.bytes_total), (0, 0), "{info:?}");
}

#[test]
fn empty_body_costs_no_allocation() {
    let memory = ReplayMemory::default();
    assert_none(measure(|| {
        for memory in [None, Some(memory.clone())] {
            let replay = match memory {
                Some(memory) => Replay::with_memory(Empty::<Bytes>::new(), ROOMY, memory),
                None => Replay::new(Empty::new(), ROOMY),
            };
            for _ in 0..2 {
                let mut handle = replay.start().unwrap();
                assert_eq!(read(&mut handle), 0);
                replay.revoke_all();
            }
        }
    }));
}

#[test]
fn body_that_is_not_empty_costs_one_allocation() {
    let whole = whole();
    let info = measure(|| {
        let replay = Replay::new(Slices::of(&whole, MIB), ROOMY);
        drop(replay.start().unwrap());
    });
    assert_eq!(info.count_total, 1, "{info:?}");
}

#[test]
fn first_pass_of_large_frames_copies_nothing() {
    let whole = whole();
    let replay = Replay::new(Slices::of(&whole, 16 << 10), ROOMY);
    let mut handle = replay.start().unwrap();
    let info = measure(|| assert_eq!(read(&mut handle), 64));
    assert!(info.bytes_total < 16 << 10, "{info:?}");
    assert_eq!(replay.bytes_held(), MIB as u64);
}

#[test]
fn first_pass_of_small_frames_copies_them() {
    let whole = whole();
    let replay = Replay::new(Slices::of(&whole, 1 << 10), ROOMY);
    let mut handle = replay.start().unwrap();
    let info = measure(|| assert_eq!(read(&mut handle), 1024));
    assert!(info.bytes_total as usize > MIB, "{info:?}");
    // In blocks, and not one by one.
    assert!(info.count_total < 400, "{info:?}");
}

#[test]
fn large_frames_stay_where_they_are() {
    let whole = whole();
    let length = 16 << 10;
    let replay = Replay::new(Slices::of(&whole, length), ROOMY);
    let theirs: Vec<_> = whole
        .chunks(length)
        .map(|it| (it.as_ptr(), length))
        .collect();
    for _ in 0..3 {
        assert_eq!(places(&mut replay.start().unwrap()), theirs);
        replay.revoke_all();
    }
}

#[test]
fn small_frames_stay_where_they_are_on_the_first_pass_only() {
    let whole = whole();
    let length = 1 << 10;
    let replay = Replay::new(Slices::of(&whole, length), ROOMY);
    let theirs: Vec<_> = whole
        .chunks(length)
        .map(|it| (it.as_ptr(), length))
        .collect();
    assert_eq!(places(&mut replay.start().unwrap()), theirs);
    let copied = places(&mut replay.start().unwrap());
    assert_eq!(copied.iter().map(|(_, length)| length).sum::<usize>(), MIB);
    let range = whole.as_ptr_range();
    assert!(copied.iter().all(|(place, _)| !range.contains(place)));
    // The copy is not copied again.
    assert_eq!(places(&mut replay.start().unwrap()), copied);
}

#[test]
fn replay_allocates_nothing() {
    for length in [16 << 10, 1 << 10] {
        let whole = whole();
        let replay = Replay::new(Slices::of(&whole, length), ROOMY);
        read(&mut replay.start().unwrap());
        replay.revoke_all();
        let replayed = || {
            assert!(read(&mut replay.start().unwrap()) >= 64);
            replay.revoke_all();
        };
        // What is still open of the last block is closed by the first replay.
        replayed();
        assert_none(measure(replayed));
    }
}

#[test]
fn committed_body_logs_nothing() {
    for length in [16 << 10, 1 << 10] {
        let whole = whole();
        let memory = ReplayMemory::default();
        let replay = Replay::with_memory(Slices::of(&whole, length), ROOMY, memory.clone());
        let mut handle = replay.start().unwrap();
        poll(&mut handle);
        assert!(memory.held() > 0);
        replay.commit();
        assert_none(measure(|| {
            assert_eq!(read(&mut handle), MIB / length - 1);
        }));
        assert_eq!((memory.held(), replay.bytes_held()), (0, 0));
    }
}

#[test]
fn body_over_its_cap_logs_nothing() {
    let whole = whole();
    let replay = Replay::new(Slices::of(&whole, 16 << 10), MIB as u64 - 1);
    let mut handle = replay.start().unwrap();
    assert_none(measure(|| assert_eq!(read(&mut handle), 64)));
    assert!(replay.check().is_err());
}

/// Chunks of 4 KiB that lie far apart: a chunk's size can begin with as many zeros as its sender
/// likes.
#[cfg(feature = "hyper")]
#[test]
fn chunks_that_are_scattered_over_read_buffers_do_not_pin_them() {
    const CHUNKS: usize = 32;
    let chunk = [
        format!("{:0>60000}\r\n", "1000").as_bytes(),
        &[7; 4096],
        b"\r\n",
    ]
    .concat();
    let head = b"POST / HTTP/1.1\r\nhost: a.test\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n";
    let upload = [&head[..], &chunk.repeat(CHUNKS), b"0\r\n\r\n"].concat();

    let memory = ReplayMemory::default();
    let mut log = None;
    let info = measure(|| log = Some(receive(&upload, memory.clone())));
    let held = memory.held();
    assert_eq!(log.unwrap().bytes_held(), (CHUNKS * 4096) as u64);
    assert!(held >= CHUNKS * 4096);
    assert!(
        info.bytes_current <= 2 * held as i64,
        "{held} held, {info:?}"
    );
}

/// Receives one upload at a hyper server, and returns its log: all that is left of it.
#[cfg(feature = "hyper")]
fn receive(upload: &[u8], memory: ReplayMemory) -> Replay<hyper::body::Incoming> {
    use std::cell::Cell;

    use hyper::{server::conn::http1, service::service_fn};
    use hyper_util::rt::TokioIo;
    use tokio::io::{AsyncWriteExt, duplex};

    let received = Cell::new(None);
    let service = service_fn(async |request: http::Request<hyper::body::Incoming>| {
        let log = Replay::with_memory(request.into_body(), ROOMY, memory.clone());
        let mut handle = log.start().unwrap();
        while let Some(frame) = http_body_util::BodyExt::frame(&mut handle).await {
            frame.unwrap();
        }
        received.set(Some(log));
        Ok::<_, Infallible>(http::Response::new(Empty::<Bytes>::new()))
    });
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    runtime.unwrap().block_on(async {
        let (mut near, far) = duplex(1 << 20);
        let serving = http1::Builder::new().serve_connection(TokioIo::new(far), service);
        let (served, sent) = tokio::join!(serving, near.write_all(upload));
        served.unwrap();
        sent.unwrap();
    });
    received.into_inner().unwrap()
}
