//! What a log may take of the memory: its payload, and a fixed charge for every frame or block.

/// No block of gathered chunks is larger.
const BLOCK: usize = 8192;

const ENTRY: usize = 96;

/// The trailers are three short fields.
pub(crate) const TRAILERS: usize = 4 * ENTRY + 64;

/// The most that keeping one chunk can take.
pub(crate) fn most_for(length: usize) -> usize {
    length.max(BLOCK) + ENTRY
}

/// The most that a log can hold: what a chunk leaves free of the block before is less than its length.
pub(crate) fn most_for_log(payload: u64, frames: usize) -> usize {
    2 * payload as usize + frames * ENTRY + BLOCK + TRAILERS
}
