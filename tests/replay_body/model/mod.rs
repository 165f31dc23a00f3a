//! Schedules of what can be done with a replay body, checked step by step against a small model.
//!
//! It is all driven by bytes, so that a property test, a fuzzer and a corpus can share it.

mod checking;
mod content;
mod decode;
mod events;
mod expected;
mod handle;
mod memory;
mod noting;
mod outcome;
mod polling;
mod rival;
mod schedule;
mod visible;
mod world;

use self::world::World;
pub(crate) use self::{
    events::{Event, Events},
    schedule::Schedule,
};

/// Does what the schedule says, and panics as soon as the body does not behave like its model.
pub(crate) fn run(schedule: &Schedule) -> Events {
    let mut world = World::new(&schedule.body);
    world.check();
    for operation in &schedule.operations {
        world.apply(*operation);
        world.check();
    }
    world.finish()
}
