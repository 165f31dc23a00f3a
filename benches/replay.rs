//! What it costs to read a request body through a replay: the first pass and a replay of it, in
//! frames of 16 KiB, of a known length (`replay`) and of an unknown one, whose frames are copied
//! (`unsized`), against
//!
//! - `bare`: the source itself, which can be read once;
//! - `list`: the least that a body needs that can be read again while it streams, a `Vec` of cloned
//!   `Bytes`. It knows no cap, no second reader, no revocation, no trailers;
//! - `collect`: the whole body in one `Bytes` before the first attempt, as most retry middleware has
//!   it.
//!
//! Allocations are counted first, and printed as a table: how many, and how many bytes.
//!
//! ```text
//! cargo bench --bench replay
//! ```

use std::{
    convert::Infallible,
    hint::black_box,
    pin::Pin,
    sync::LazyLock,
    task::{Context, Poll, Waker},
    vec::IntoIter,
};

use allocation_counter::{AllocationInfo, measure};
use bytes::Bytes;
use criterion::{BatchSize, BenchmarkId, Criterion, Throughput};
use http_body::{Body, Frame, SizeHint};
use http_body_util::{BodyExt, Full};
use tower_failover::replay::{Replay, ReplayMemory};

const FRAME: usize = 16 << 10;
const SIZES: [usize; 4] = [0, 1 << 10, 16 << 10, 1 << 20];
const CAP: u64 = 1 << 20;

/// Slices of read buffers, as a connection yields them. Somebody holds them in all that is measured,
/// so that freeing them is not.
fn frames(size: usize) -> Vec<Bytes> {
    let slice = |length| Bytes::from(vec![7; length + 1]).slice(..length);
    let whole = (0..size / FRAME).map(|_| slice(FRAME));
    let rest = Some(size % FRAME).filter(|rest| *rest > 0).map(slice);
    whole.chain(rest).collect()
}

struct Source {
    frames: IntoIter<Bytes>,
    left: usize,
    is_sized: bool,
}

impl Source {
    fn new(frames: Vec<Bytes>) -> Self {
        let left = frames.iter().map(Bytes::len).sum();
        let frames = frames.into_iter();
        Self {
            frames,
            left,
            is_sized: true,
        }
    }
}

impl Body for Source {
    type Data = Bytes;
    type Error = Infallible;

    #[inline(never)]
    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.frames.next().map(|data| {
            self.left -= data.len();
            Ok(Frame::data(data))
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        if self.is_sized {
            SizeHint::with_exact(self.left as u64)
        } else {
            SizeHint::new()
        }
    }
}

/// Reads a body that never waits, and returns how much there was. Every body is called through a
/// pointer, as a source is that is too large to be inlined.
fn read<B>(body: &mut B) -> usize
where
    B: Body<Data = Bytes> + Unpin,
{
    read_dyn(black_box(body))
}

fn read_dyn<E>(body: &mut (dyn Body<Data = Bytes, Error = E> + Unpin)) -> usize {
    let mut cx = Context::from_waker(Waker::noop());
    let mut sum = 0;
    while let Poll::Ready(Some(Ok(frame))) = Pin::new(&mut *body).poll_frame(&mut cx) {
        sum += frame.data_ref().map_or(0, Bytes::len);
    }
    sum
}

/// The least that remembers what it has read.
struct Listed<'a> {
    source: Source,
    list: &'a mut Vec<Bytes>,
}

impl Body for Listed<'_> {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let polled = Pin::new(&mut self.source).poll_frame(cx);
        if let Poll::Ready(Some(Ok(frame))) = &polled {
            self.list.extend(frame.data_ref().cloned());
        }
        polled
    }
}

/// The list again.
struct Again(IntoIter<Bytes>);

impl Body for Again {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.0.next().map(|data| Ok(Frame::data(data))))
    }
}

fn list(source: Source) -> IntoIter<Bytes> {
    let mut list = Vec::new();
    let mut body = Listed {
        source,
        list: &mut list,
    };
    read(&mut body);
    list.into_iter()
}

/// The memory that all bodies count against, as in a layer.
static MEMORY: LazyLock<ReplayMemory> = LazyLock::new(ReplayMemory::default);

fn replay(source: Source) -> Replay<Source> {
    let replay = Replay::with_memory(source, CAP, MEMORY.clone());
    match replay.start() {
        Ok(mut body) => black_box(read(&mut body)),
        Err(why) => panic!("{why}"),
    };
    replay
}

fn replay_unsized(mut source: Source) -> Replay<Source> {
    source.is_sized = false;
    replay(source)
}

fn collect(source: Source) -> Bytes {
    let mut collected = std::pin::pin!(source.collect());
    let mut cx = Context::from_waker(Waker::noop());
    match Future::poll(collected.as_mut(), &mut cx) {
        Poll::Ready(Ok(collected)) => collected.to_bytes(),
        other => panic!("{other:?}"),
    }
}

fn again_bare(source: &mut Source) {
    black_box(read(source));
}

fn again_list(list: &mut IntoIter<Bytes>) {
    black_box(read(&mut Again(list.clone())));
}

fn again_replay(replay: &mut Replay<Source>) {
    match replay.start() {
        Ok(mut body) => black_box(read(&mut body)),
        Err(why) => panic!("{why}"),
    };
}

fn again_collect(whole: &mut Bytes) {
    black_box(read(&mut Full::new(whole.clone())));
}

fn first_pass(c: &mut Criterion) {
    let mut group = c.benchmark_group("first pass");
    for size in SIZES {
        let frames = frames(size);
        group.throughput(Throughput::Elements(frames.len().max(1) as u64));
        let mut bench = |name: &str, pass: fn(Source)| {
            group.bench_function(BenchmarkId::new(name, size), |bencher| {
                bencher.iter_batched(|| Source::new(frames.clone()), pass, BatchSize::SmallInput);
            });
        };
        bench("bare", |mut source| again_bare(&mut source));
        bench("list", |source| drop(black_box(list(source))));
        bench("replay", |source| drop(black_box(replay(source))));
        bench("unsized", |source| drop(black_box(replay_unsized(source))));
        bench("collect", |source| {
            again_collect(&mut collect(source));
        });
    }
    group.finish();
}

fn again(c: &mut Criterion) {
    let mut group = c.benchmark_group("replay");
    for size in SIZES {
        let frames = frames(size);
        group.throughput(Throughput::Elements(frames.len().max(1) as u64));
        let mut kept = list(Source::new(frames.clone()));
        group.bench_function(BenchmarkId::new("list", size), |bencher| {
            bencher.iter(|| again_list(&mut kept));
        });
        let mut kept = replay(Source::new(frames.clone()));
        group.bench_function(BenchmarkId::new("replay", size), |bencher| {
            bencher.iter(|| again_replay(&mut kept));
        });
        let mut kept = collect(Source::new(frames.clone()));
        group.bench_function(BenchmarkId::new("collect", size), |bencher| {
            bencher.iter(|| again_collect(&mut kept));
        });
    }
    group.finish();
}

/// Prints what each pass allocates.
fn allocations() {
    println!("allocations: count, bytes");
    println!(
        "{:>22} {:>10} {:>16} {:>16}",
        "body", "", "first pass", "replay"
    );
    for size in SIZES {
        row(size, "list", list, again_list);
        row(size, "replay", replay, again_replay);
        row(size, "unsized", replay_unsized, again_replay);
        row(size, "collect", collect, again_collect);
    }
}

fn row<K>(size: usize, name: &str, first: fn(Source) -> K, again: fn(&mut K)) {
    let frames = frames(size);
    let source = Source::new(frames.clone());
    let mut kept = None;
    let first = measure(|| kept = Some(first(source)));
    let again = kept.as_mut().map(|kept| measure(|| again(kept)));
    let show = |info: AllocationInfo| format!("{} {:>9}", info.count_total, info.bytes_total);
    println!(
        "{size:>20} B {name:>10} {:>16} {:>16}",
        show(first),
        again.map_or_else(String::new, show)
    );
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    LazyLock::force(&MEMORY);
    allocations();
    first_pass(&mut criterion);
    again(&mut criterion);
    criterion.final_summary();
}
