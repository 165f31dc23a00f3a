use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue};
use http_body::Frame;

/// A chunk shorter than this is copied next to its neighbours: it would cost more to list than to
/// copy, and pins the whole read buffer that it may be a slice of.
///
/// Half of hyper's first read buffer of 8 KiB.
const SMALL: usize = 4096;

/// A chunk shorter than this is copied if its body has no known length.
///
/// Bytes that are no payload can lie between such chunks, and as many as the sender likes: a chunk
/// of HTTP/1's chunked coding can begin with any number of zeros. This is half of the largest read
/// buffer of hyper's HTTP/1 server, so that what is kept pins at most twice what it is charged.
/// Between the chunks of a body whose length is known nothing lies in HTTP/1, and in HTTP/2, whose
/// read buffers are small, other frames.
const SPARSE: usize = 417_792 / 2;

/// Blocks for small chunks grow from the first size to the last.
const BLOCK: (usize, usize) = (512, 8192);

/// What one entry costs beside its payload: its place in the list and the head of its buffer.
const ENTRY: usize = 96;

/// The frames that were pulled from a source, in order.
///
/// Large chunks are kept as they came, without copying, unless a body of unknown length could
/// scatter them over large buffers. Small ones are gathered into blocks, so a replay can have fewer
/// and larger frames than the first pass; the bytes are the same.
///
/// Readers stand between entries. Only the reader that pulled the block that is being filled can
/// stand behind it: whoever else comes there has read it, and a block that is read is closed.
#[derive(Debug)]
pub(super) struct Log {
    /// The shortest chunk that is kept as it came.
    kept_as_is: usize,
    entries: VecDeque<Entry>,
    /// How many entries were dropped from the front.
    dropped: u64,
    /// The block that is being filled; it counts as the entry behind the last one.
    open: BytesMut,
    /// The size of the last block.
    block: usize,
    /// How much of the last block is free.
    room: usize,
    /// Payload bytes held.
    payload: u64,
}

#[derive(Debug)]
struct Entry {
    content: Content,
    /// What it holds of the memory that was taken.
    cost: usize,
}

#[derive(Debug)]
enum Content {
    Data(Bytes),
    Trailers(Box<HeaderMap>),
}

/// A place in the log: how many entries lie before it, counted from the first that ever was.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Cursor(u64);

impl Log {
    /// A log of a body whose length is known, or is not.
    pub(super) fn new(is_sized: bool) -> Self {
        Self::empty(if is_sized { SMALL } else { SPARSE })
    }

    fn empty(kept_as_is: usize) -> Self {
        Self {
            kept_as_is,
            entries: VecDeque::new(),
            dropped: 0,
            open: BytesMut::new(),
            block: 0,
            room: 0,
            payload: 0,
        }
    }

    /// Drops everything; the end is then the beginning.
    pub(super) fn clear(&mut self) {
        *self = Self::empty(self.kept_as_is);
    }

    /// Payload bytes held.
    pub(super) fn payload(&self) -> u64 {
        self.payload
    }

    /// What [`push_data`](Self::push_data) adds to the memory held.
    pub(super) fn cost_of_data(&self, length: usize) -> usize {
        if length >= SMALL {
            length + ENTRY
        } else if length > self.room {
            self.next_block(length) + ENTRY
        } else if self.open.is_empty() {
            ENTRY
        } else {
            0
        }
    }

    /// What [`push_trailers`](Self::push_trailers) adds to the memory held.
    pub(super) fn cost_of_trailers(trailers: &HeaderMap) -> usize {
        let field = |(name, value): (&HeaderName, &HeaderValue)| {
            ENTRY + name.as_str().len() + value.as_bytes().len()
        };
        ENTRY + trailers.iter().map(field).sum::<usize>()
    }

    pub(super) fn push_data(&mut self, data: &Bytes) {
        self.payload += data.len() as u64;
        if data.len() >= SMALL {
            self.seal();
            let kept = if data.len() >= self.kept_as_is {
                data.clone()
            } else {
                Bytes::copy_from_slice(data)
            };
            self.push(Content::Data(kept), data.len() + ENTRY);
            return;
        }
        if data.len() > self.room {
            self.seal();
            // What stays free of the old block is held for as long as the last of its entries.
            if let Some(last) = self.entries.back_mut() {
                last.cost += self.room;
            }
            self.block = self.next_block(data.len());
            self.room = self.block;
            self.open = BytesMut::with_capacity(self.block);
        }
        self.room -= data.len();
        self.open.extend_from_slice(data);
    }

    pub(super) fn push_trailers(&mut self, trailers: &HeaderMap) {
        self.seal();
        let cost = Self::cost_of_trailers(trailers);
        self.push(Content::Trailers(Box::new(trailers.clone())), cost);
    }

    /// The place behind the last frame.
    pub(super) fn end(&self) -> Cursor {
        let entries = self.entries.len() as u64 + u64::from(!self.open.is_empty());
        Cursor(self.dropped + entries)
    }

    pub(super) fn ends_in_trailers(&self) -> bool {
        let last = self.entries.back().map(|entry| &entry.content);
        matches!(last, Some(Content::Trailers(_)))
    }

    /// The frame at `cursor`, which moves behind it; `None` at the end.
    pub(super) fn read(&mut self, cursor: &mut Cursor) -> Option<Frame<Bytes>> {
        if *cursor == self.end() {
            return None;
        }
        let index = usize::try_from(cursor.0 - self.dropped).ok()?;
        if index == self.entries.len() {
            self.seal();
        }
        let frame = match &self.entries.get(index)?.content {
            Content::Data(data) => Frame::data(data.clone()),
            Content::Trailers(trailers) => Frame::trailers(HeaderMap::clone(trailers)),
        };
        cursor.0 += 1;
        Some(frame)
    }

    /// Drops what lies before `cursor`, and returns how much less memory is held.
    ///
    /// What is free of the last block is held on; a log that nobody needs is dropped as a whole.
    pub(super) fn drop_before(&mut self, cursor: Cursor) -> usize {
        let mut freed = 0;
        while self.dropped < cursor.0 {
            let Some(entry) = self.entries.pop_front() else {
                break;
            };
            self.dropped += 1;
            freed += entry.cost;
            if let Content::Data(data) = entry.content {
                self.payload -= data.len() as u64;
            }
        }
        freed
    }

    /// Closes the block that is being filled.
    fn seal(&mut self) {
        if !self.open.is_empty() {
            let block = self.open.split().freeze();
            let cost = block.len() + ENTRY;
            self.push(Content::Data(block), cost);
        }
    }

    fn push(&mut self, content: Content, cost: usize) {
        self.entries.push_back(Entry { content, cost });
    }

    /// The size of the next block, which is to hold `length` at least.
    fn next_block(&self, length: usize) -> usize {
        (self.block * 2).clamp(BLOCK.0, BLOCK.1).max(length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn data(log: &mut Log, cursor: &mut Cursor) -> Option<Bytes> {
        log.read(cursor).map(|frame| frame.into_data().unwrap())
    }

    #[test]
    fn large_chunks_are_not_copied() {
        let chunk = Bytes::from(vec![7; SMALL]);
        let mut log = Log::new(true);
        log.push_data(&chunk);
        let kept = data(&mut log, &mut Cursor::default()).unwrap();
        assert_eq!(kept.as_ptr(), chunk.as_ptr());
    }

    #[test]
    fn large_chunks_of_a_body_of_unknown_length_do_not_pin_their_buffer() {
        for (length, is_copied) in [(SPARSE - 1, true), (SPARSE, false)] {
            let chunk = Bytes::from(vec![7; length]);
            let mut log = Log::new(false);
            log.push_data(&chunk);
            let kept = data(&mut log, &mut Cursor::default()).unwrap();
            assert_eq!(kept, chunk);
            assert_eq!(chunk.is_unique(), is_copied);
        }
    }

    #[test]
    fn log_that_is_cleared_still_knows_what_it_copies() {
        let mut log = Log::new(false);
        log.clear();
        let chunk = Bytes::from(vec![7; SMALL]);
        log.push_data(&chunk);
        assert!(chunk.is_unique());
    }

    #[test]
    fn small_chunks_do_not_pin_their_buffer() {
        let chunk = Bytes::from(vec![7; SMALL - 1]);
        let mut log = Log::new(true);
        log.push_data(&chunk);
        let kept = data(&mut log, &mut Cursor::default()).unwrap();
        assert_eq!(kept, chunk);
        assert!(chunk.is_unique());
    }

    #[test]
    fn small_chunks_are_gathered() {
        let mut log = Log::new(true);
        let mut charged = 0;
        for _ in 0..6_554 {
            charged += log.cost_of_data(10);
            log.push_data(&Bytes::from_static(b"0123456789"));
        }
        assert_eq!(log.payload(), 65_540);
        assert!(log.entries.len() < 20, "{} entries", log.entries.len());
        assert!((65_540..80_000).contains(&charged), "{charged} charged");
    }

    #[test]
    fn block_is_closed_by_whoever_reads_it() {
        let mut log = Log::new(true);
        log.push_data(&Bytes::from_static(b"one"));
        log.push_data(&Bytes::from_static(b"two"));
        let mut puller = log.end();
        let mut other = Cursor::default();
        assert_eq!(data(&mut log, &mut other).unwrap(), "onetwo");
        assert_eq!([puller, other], [log.end(); 2]);
        log.push_data(&Bytes::from_static(b"three"));
        assert_eq!(data(&mut log, &mut puller).unwrap(), "three");
        assert_eq!(data(&mut log, &mut other).unwrap(), "three");
        assert_eq!(data(&mut log, &mut other), None);
    }

    #[test]
    fn block_that_is_closed_behind_its_puller_is_not_read_again() {
        let mut log = Log::new(true);
        log.push_data(&Bytes::from_static(b"small"));
        let mut cursor = log.end();
        log.push_data(&Bytes::from(vec![1; SMALL]));
        assert_eq!(data(&mut log, &mut cursor).unwrap().len(), SMALL);
        assert_eq!(cursor, log.end());
    }

    #[test]
    fn frees_what_was_taken_and_no_more() {
        let mut log = Log::new(true);
        let mut cursor = Cursor::default();
        let mut charged = 0;
        for length in (0..2_000).map(|i| [1, 300, 4095, 3, 5000, 700, 90][i % 7] + i % 13 * 20) {
            charged += log.cost_of_data(length);
            log.push_data(&Bytes::from(vec![1; length]));
            if length % 3 == 0 {
                while cursor.0 + 1 < log.end().0 && length % 2 == 0 {
                    log.read(&mut cursor);
                }
                charged -= log.drop_before(cursor);
            }
            assert!(charged >= log.payload() as usize);
        }
        log.seal();
        charged -= log.drop_before(log.end());
        assert_eq!((log.payload(), charged), (0, log.room));
    }

    #[test]
    fn drops_what_lies_before_a_reader_and_nothing_else() {
        let mut log = Log::new(true);
        for byte in 0..3 {
            log.push_data(&Bytes::from(vec![byte; SMALL]));
        }
        let mut cursor = Cursor::default();
        data(&mut log, &mut cursor);
        assert_eq!(log.drop_before(cursor), SMALL + ENTRY);
        assert_eq!(log.payload(), 2 * SMALL as u64);
        assert_eq!(data(&mut log, &mut cursor).unwrap()[0], 1);
        assert_eq!(data(&mut log, &mut cursor).unwrap()[0], 2);
    }
}
