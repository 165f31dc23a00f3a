//! Schedules that the fuzzer finds, against the model of the replay body.

#![no_main]

#[allow(dead_code, unused_imports, reason = "the tests count events")]
#[path = "../replay_body/model/mod.rs"]
mod model;
#[allow(dead_code, reason = "other tests use the rest")]
#[path = "../support/scripted_body.rs"]
mod scripted_body;

mod support {
    pub(crate) use crate::scripted_body;
}

use libfuzzer_sys::fuzz_target;

fuzz_target!(|schedule: model::Schedule| {
    model::run(&schedule);
});
