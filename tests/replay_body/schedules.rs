//! Random schedules and the corpus of the fuzzer, against the model.

use std::{
    cell::{Cell, RefCell},
    env, fs,
    panic::{self, PanicHookInfo},
    path::Path,
    sync::Once,
};

use arbitrary::{Arbitrary, Unstructured};
use proptest::{
    collection::vec,
    prelude::any,
    test_runner::{Config, RngAlgorithm, TestError, TestRng, TestRunner},
};

use super::model::{self, Event, Events, Schedule};

const CORPUS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fuzz/corpus/replay");

const SCHEDULES: u32 = if cfg!(miri) { 60 } else { 10_000 };

const LONGEST: usize = if cfg!(miri) { 60 } else { 200 };

fn decode(bytes: &[u8]) -> Schedule {
    Schedule::arbitrary(&mut Unstructured::new(bytes)).expect("all bytes are a schedule")
}

fn config(cases: u32) -> Config {
    Config {
        cases,
        failure_persistence: None,
        ..Config::default()
    }
}

/// Runs schedules until one fails, and then the smallest like it, which panics with all it says.
fn check(mut runner: TestRunner) -> Events {
    let events = RefCell::new(Events::default());
    let [begun, passed] = [Cell::new(0), Cell::new(0)];
    let checked = silently(|| {
        runner.run(&vec(any::<u8>(), 0..LONGEST), |bytes| {
            // Behind the first that fails come those that shrink it.
            let fresh = u32::from(begun == passed);
            begun.set(begun.get() + fresh);
            *events.borrow_mut() += model::run(&decode(&bytes));
            passed.set(passed.get() + fresh);
            Ok(())
        })
    });
    match checked {
        Ok(()) => events.into_inner(),
        Err(TestError::Fail(reason, bytes)) => {
            eprintln!("schedule {} fails, and shrunk it is:", begun.get());
            explain(&bytes);
            model::run(&decode(&bytes));
            panic!("the schedule fails sometimes: {reason}");
        }
        Err(TestError::Abort(reason)) => panic!("{reason}"),
    }
}

fn explain(bytes: &[u8]) {
    let hex = to_hex(bytes);
    let schedule = decode(bytes);
    eprintln!("{:?}", schedule.body);
    eprintln!("{:?}", schedule.operations);
    eprintln!("to run it again: REPLAY_SCHEDULE={hex} cargo test --test replay schedules");
    eprintln!("to keep it: echo {hex} | xxd -r -p > tests/fuzz/corpus/replay/NAME");
}

fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn from_hex(hex: &str) -> Vec<u8> {
    let digits = hex.trim().as_bytes().chunks(2);
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    let bytes: Option<_> = digits.map(byte).collect();
    bytes.expect("REPLAY_SCHEDULE is hexadecimal")
}

/// Does something that panics often while a failure is shrunk, and says nothing of it.
fn silently<T>(work: impl FnOnce() -> T) -> T {
    thread_local! {
        static SILENT: Cell<bool> = const { Cell::new(false) };
    }
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let loud = panic::take_hook();
        panic::set_hook(Box::new(move |panic: &PanicHookInfo<'_>| {
            if !SILENT.get() {
                loud(panic);
            }
        }));
    });
    SILENT.set(true);
    let done = work();
    SILENT.set(false);
    done
}

#[test]
fn random_schedules_behave_like_the_model() {
    match env::var("REPLAY_SCHEDULE") {
        Ok(hex) => {
            let bytes = from_hex(&hex);
            explain(&bytes);
            model::run(&decode(&bytes));
        }
        Err(_) => {
            check(TestRunner::new(config(SCHEDULES)));
        }
    }
}

/// The schedules are the same each time: what is rare cannot fail by chance.
#[test]
#[cfg_attr(miri, ignore = "takes too many schedules")]
fn random_schedules_reach_every_event() {
    let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let events = check(TestRunner::new_with_rng(config(3_000), rng));
    let rare = |event: &&Event| events.count(**event) < 20;
    let rare: Vec<_> = Event::ALL.iter().filter(rare).collect();
    assert!(rare.is_empty(), "{rare:?} of {events:#?}");
}

#[test]
#[cfg_attr(miri, ignore = "needs files")]
fn corpus_behaves_like_the_model() {
    // A published package has no corpus.
    if Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("Cargo.toml.orig")
        .exists()
    {
        return;
    }
    let mut count = 0;
    for file in fs::read_dir(CORPUS).expect("the corpus is there") {
        let path = file.unwrap().path();
        eprintln!("{}", path.display());
        model::run(&decode(&fs::read(path).unwrap()));
        count += 1;
    }
    assert!(count > 0, "the corpus is empty");
}
