//! Allocations and instructions, counted by valgrind: no clock, and no noise.

use std::{
    env,
    process::{Command, ExitCode},
};

use super::{
    requests::{REQUESTS, Shape},
    stacks::{self, BARE, STACKS},
};

/// What this program runs itself with: then it calls one stack some number of times.
pub(crate) const RUN: &str = "--run";

const CALLS: [i64; 2] = [2_000, 12_000];

/// What one call takes.
pub(crate) struct Counts {
    pub(crate) allocations: i64,
    pub(crate) instructions: i64,
}

impl Counts {
    /// `None` without valgrind.
    pub(crate) fn of(stack: &str, shape: &Shape) -> Option<Self> {
        let by_call = |count: fn(&str, &Shape, i64) -> Option<i64>| {
            let [short, long] = CALLS.map(|calls| count(stack, shape, calls));
            Some((long? - short?) / (CALLS[1] - CALLS[0]))
        };
        Some(Self {
            allocations: by_call(allocations)?,
            instructions: by_call(instructions)?,
        })
    }
}

fn allocations(stack: &str, shape: &Shape, calls: i64) -> Option<i64> {
    let said = valgrind("--tool=memcheck", None, stack, shape, calls)?;
    number_behind(&said, "total heap usage:")
}

fn instructions(stack: &str, shape: &Shape, calls: i64) -> Option<i64> {
    // Where the profile goes: nowhere, unless that is asked for.
    let profile = env::var("CALLGRIND_OUT").unwrap_or_else(|_| "/dev/null".to_owned());
    let profile = format!("--callgrind-out-file={profile}");
    let said = valgrind("--tool=callgrind", Some(&profile), stack, shape, calls)?;
    number_behind(&said, "Collected :")
}

fn valgrind(
    tool: &str,
    option: Option<&str>,
    stack: &str,
    shape: &Shape,
    calls: i64,
) -> Option<String> {
    let output = Command::new("valgrind")
        .arg(tool)
        .args(option)
        .arg(env::current_exe().ok()?)
        .args([RUN, stack, shape.name, &calls.to_string()])
        .output()
        .ok()?;
    String::from_utf8(output.stderr).ok()
}

fn number_behind(said: &str, label: &str) -> Option<i64> {
    let (_, behind) = said.rsplit_once(label)?;
    let number = behind.split_whitespace().next()?;
    number.replace(',', "").parse().ok()
}

/// `--run STACK REQUEST CALLS`
pub(crate) fn run(words: impl Iterator<Item = String>) -> ExitCode {
    let words: Vec<_> = words.collect();
    let [stack, shape, calls] = words.as_slice() else {
        return ExitCode::FAILURE;
    };
    let stack = [BARE]
        .into_iter()
        .chain(STACKS)
        .find(|known| known == stack);
    let shape = REQUESTS.iter().find(|known| known.name == shape);
    let (Some(stack), Some(shape), Ok(calls)) = (stack, shape, calls.parse()) else {
        return ExitCode::FAILURE;
    };
    stacks::run(stack, shape, calls);
    ExitCode::SUCCESS
}
