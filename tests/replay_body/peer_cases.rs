//! The cases of tier `body` in `tests/data/cases.toml`: what linkerd2-proxy promises of its replay body.

use http_body_util::Empty;
use tower_failover::replay::{Replay, Unreplayable};

use crate::{
    Attempt, ROOMY, data, replay, some_trailers,
    support::scripted_body::{ScriptedBody, Step},
};

fn hello() -> [Step; 4] {
    [
        data("hello"),
        data(" world"),
        Step::Trailers(some_trailers()),
        Step::End,
    ]
}

#[test]
fn l5d_06_switches_with_body_remaining() {
    let (replay, script) = replay([data("hello"), data(" world")], ROOMY);
    let mut first = Attempt::start(&replay);
    assert_eq!(first.data(), "hello");
    assert_eq!(first.data(), " world");
    drop(first);
    for step in [data(", and on"), Step::Trailers(some_trailers()), Step::End] {
        script.push(step);
    }
    let read = Attempt::start(&replay).read();
    assert_eq!(read.bytes, b"hello world, and on");
    assert_eq!(read.trailers, Some(some_trailers()));
}

#[test]
fn l5d_07_caps_buffer() {
    let (replay, script) = replay([data("12345678")], 8);
    let mut first = Attempt::start(&replay);
    assert_eq!(first.data(), "12345678");
    assert_eq!(replay.check(), Ok(()));
    script.push(data("9"));
    assert_eq!(first.data(), "9");
    assert_eq!(replay.start().unwrap_err(), Unreplayable::OverCap);
}

#[test]
fn l5d_08_caps_across_replays() {
    let (replay, script) = replay([data("12345678")], 8);
    assert_eq!(Attempt::start(&replay).data(), "12345678");
    let mut second = Attempt::start(&replay);
    assert_eq!(second.data(), "12345678");
    script.push(data("9"));
    assert_eq!(second.data(), "9");
    assert_eq!(replay.start().unwrap_err(), Unreplayable::OverCap);
}

#[test]
fn l5d_09_multiple_incomplete_replays() {
    let (replay, _script) = replay(hello(), ROOMY);
    let mut first = Attempt::start(&replay);
    assert_eq!(first.data(), "hello");
    drop(first);
    let mut second = Attempt::start(&replay);
    assert_eq!(second.data(), "hello");
    assert_eq!(second.data(), " world");
    drop(second);
    let read = Attempt::start(&replay).read();
    assert_eq!(read.bytes, b"hello world");
    assert_eq!(read.trailers, Some(some_trailers()));
}

/// A body that is known not to fit is sent all the same: it can be started until it is read.
#[test]
fn l5d_10_body_too_big() {
    let sized = |length: usize| {
        let (body, _script) = ScriptedBody::new([data(vec![1; length]), Step::End]);
        Replay::new(body.of_length(length as u64), 8)
    };
    for (length, fits) in [(8, true), (9, false)] {
        let replay = sized(length);
        assert_eq!(Attempt::start(&replay).data().len(), length);
        assert_eq!(replay.check().is_ok(), fits);
    }
    let (unsized_, _script) = replay([data("123456789"), Step::End], 8);
    assert_eq!(unsized_.check(), Ok(()));
    assert_eq!(Replay::new(Empty::<&[u8]>::new(), 0).check(), Ok(()));
}

#[test]
fn l5d_11_eos_only_when_fully_replayed_with_trailers() {
    let (body, _script) = ScriptedBody::new(hello());
    let replay = Replay::new(body.of_length(11), ROOMY);
    Attempt::start(&replay).read();
    let mut second = Attempt::start(&replay);
    assert_eq!((second.exact(), second.is_end_stream()), (Some(11), false));
    while second.exact() != Some(0) {
        second.data();
    }
    assert!(!second.is_end_stream());
    assert_eq!(second.trailers(), some_trailers());
    assert!(second.is_end_stream());
}
