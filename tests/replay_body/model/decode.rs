//! Schedules from bytes. Zeros are the simplest case of everything, so that shrinking leads there.

use arbitrary::{Arbitrary, Result, Unstructured};

use super::schedule::{Length, Operation, Part, Plan, Schedule};

/// Keeps the slowest schedule of a fuzzer quick.
const MOST_OPERATIONS: usize = 400;

impl<'a> Arbitrary<'a> for Schedule {
    fn arbitrary(bytes: &mut Unstructured<'a>) -> Result<Self> {
        let body = Plan::arbitrary(bytes)?;
        let mut operations = Vec::new();
        while !bytes.is_empty() && operations.len() < MOST_OPERATIONS {
            operations.push(Operation::arbitrary(bytes)?);
        }
        Ok(Self { body, operations })
    }
}

impl<'a> Arbitrary<'a> for Plan {
    fn arbitrary(bytes: &mut Unstructured<'a>) -> Result<Self> {
        let shape = u8::arbitrary(bytes)?;
        let chunks = match shape % 16 {
            few @ 0..14 => few / 2,
            14 => 13,
            _ => 30,
        };
        let mut parts = Vec::new();
        for _ in 0..chunks {
            let (chunk, stalls) = chunk(u8::arbitrary(bytes)?);
            parts.extend(stalls.then_some(Part::Stall));
            parts.push(Part::Chunk(chunk));
        }
        let ending = u8::arbitrary(bytes)?;
        parts.extend((ending % 4 >= 2).then_some(Part::Trailers));
        parts.extend((ending / 4 % 8 == 7).then_some(Part::Stall));
        parts.push(match ending / 32 {
            0..6 => Part::End,
            _ => Part::Fail,
        });
        let mut plan = Self {
            ready: match shape / 16 {
                0..6 => 0,
                6..9 => parts.len(),
                some => parts.len().min(usize::from(some - 8)),
            },
            length: match ending / 4 % 8 {
                0..3 => Length::Unknown,
                6 => Length::Short(1 + u64::from(shape) * 40),
                _ => Length::Exact,
            },
            tells_end: ending % 2 == 1,
            cap: 1 << 20,
            memory_limit: 1 << 30,
            parts,
        };
        plan.cap = cap(&plan, u8::arbitrary(bytes)?);
        plan.memory_limit = memory_limit(&plan, u8::arbitrary(bytes)?);
        Ok(plan)
    }
}

/// The length of a chunk, and whether the source is pending before it.
fn chunk(byte: u8) -> (usize, bool) {
    let (kind, more) = (byte % 16, usize::from(byte / 16));
    match kind {
        0..4 => (1 + more, false),
        4 => (1 + more, true),
        5 | 6 => (0, kind == 5),
        // Around what decides how a chunk is kept.
        7 => (504 + more, false),
        8 => (4088 + more, false),
        9 => ([4095, 4096][more % 2], more % 4 == 3),
        10 => (8185 + more, false),
        11 => (
            [511, 512, 513, 4097, 8191, 8192, 8193, 20_000][more % 8],
            false,
        ),
        12 => (20 * more, false),
        // Three of them just do not fit into a block.
        13 => (2731 + more, false),
        _ => (150 * more, more % 4 == 3),
    }
}

/// Roomy, or around the payload of some of the parts.
fn cap(plan: &Plan, byte: u8) -> u64 {
    let (kind, more) = (byte % 16, u64::from(byte / 16));
    let some = plan.payload(usize::from(byte / 16) + 1);
    match kind {
        0..6 => 1 << 20,
        6 => u64::MAX,
        7 => more,
        8 | 9 => plan.payload(usize::MAX),
        10 => plan.payload(usize::MAX).saturating_sub(1),
        11 | 12 => some,
        13 | 14 => some.saturating_sub(1),
        _ => some + 1,
    }
}

/// Roomy, tiny, or around what some of the parts cost.
fn memory_limit(plan: &Plan, byte: u8) -> usize {
    const ENTRY: usize = 96;
    let (kind, more) = (byte % 16, usize::from(byte / 16));
    let large = plan.parts.iter().map(|part| part.length());
    let costs = large.take(more + 1).map(|length| length + ENTRY);
    let some = costs.sum::<usize>();
    match kind {
        0..8 => 1 << 30,
        8 => usize::MAX,
        9 => more * 50,
        10 | 11 => some,
        12 => some - 1,
        13 => some + 1,
        14 => some + 512,
        _ => 600 * more,
    }
}

impl<'a> Arbitrary<'a> for Operation {
    fn arbitrary(bytes: &mut Unstructured<'a>) -> Result<Self> {
        let byte = u8::arbitrary(bytes)?;
        let (kind, handle) = (byte / 4, usize::from(byte % 4));
        Ok(match kind {
            0..18 => Self::Poll(handle),
            18..23 => Self::ReadOn(handle),
            23..28 => Self::PollFromAnotherTask(handle),
            28..38 => Self::Send(1 + handle / 2),
            38 => Self::Send(4 << handle),
            39..41 => Self::Wake,
            41..54 => Self::Start,
            54..58 => Self::Drop(handle),
            58..60 => Self::Revoke(usize::from(u8::arbitrary(bytes)? % 8)),
            60..62 => match u8::arbitrary(bytes)? % 8 {
                0..3 => Self::Commit,
                3 => Self::DropOwner,
                _ => Self::RevokeAll,
            },
            62 => Self::RivalTakes(usize::from(u8::arbitrary(bytes)?) * 40 + 1),
            _ => Self::RivalGivesBack,
        })
    }
}
