//! The payload of every body, and its trailers.

use std::sync::LazyLock;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue};

use super::schedule::{Part, Plan};
use crate::support::scripted_body::Step;

/// More than any plan's payload.
const LENGTH: usize = 30 * 20_000;

/// A prime: no chunk or block is like the next one.
const PERIOD: usize = 8209;

static CONTENT: LazyLock<Bytes> = LazyLock::new(|| {
    let byte = |at: u64| (at.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8;
    let period: Vec<u8> = (0..PERIOD as u64).map(byte).collect();
    period.repeat(LENGTH.div_ceil(PERIOD)).into()
});

static TRAILERS: LazyLock<HeaderMap> = LazyLock::new(|| {
    let fields = [("checksum", "17"), ("note", "a"), ("note", "b")];
    fields
        .into_iter()
        .fold(HeaderMap::new(), |mut map, (name, value)| {
            map.append(name, HeaderValue::from_static(value));
            map
        })
});

/// The error of a source that fails.
pub(crate) const FAILURE: &str = "reset";

pub(crate) fn content(from: u64, length: usize) -> Bytes {
    let from = from as usize;
    CONTENT.slice(from..from + length)
}

pub(crate) fn trailers() -> &'static HeaderMap {
    &TRAILERS
}

/// The source's steps, in order.
pub(crate) fn steps(plan: &Plan) -> Vec<Step> {
    let mut from = 0;
    let step = |part: &Part| match *part {
        Part::Chunk(length) => {
            let data = content(from, length);
            from += length as u64;
            Step::Data(data)
        }
        Part::Stall => Step::Pending,
        Part::Trailers => Step::Trailers(trailers().clone()),
        Part::Fail => Step::Fail(FAILURE),
        Part::End => Step::End,
    };
    plan.parts.iter().map(step).collect()
}
