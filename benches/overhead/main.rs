//! What a call costs beside the service that answers it, where nothing fails: for this crate, and for tower's own layers.
//!
//! ```text
//! cargo bench --bench overhead                              # nanoseconds
//! cargo bench --bench overhead -- --counts                  # allocations and instructions too; needs valgrind
//! cargo bench --bench overhead -- --request post failover   # one request, the stacks whose names begin so
//! ```
//!
//! Every figure is a difference: a call through the stack, less one of the bare service with the same request. Requests are
//! made anew for each call, as a server's parser makes them: a copy of one that was copied before costs less than half.
//! Times are medians of rounds in which all stacks take turns. Allocations and instructions are those of a long run less
//! those of a short one, by the call, and the same every time.

mod counts;
mod requests;
mod rounds;
mod stacks;

use std::{env, process::ExitCode};

use self::{
    counts::Counts,
    requests::{REQUESTS, Shape},
    stacks::{BARE, STACKS},
};

struct Args {
    counts: bool,
    request: Option<String>,
    stack: Option<String>,
}

fn main() -> ExitCode {
    // Cargo's own.
    let mut words = env::args().skip(1).filter(|word| word != "--bench");
    let mut args = Args {
        counts: false,
        request: None,
        stack: None,
    };
    while let Some(word) = words.next() {
        match word.as_str() {
            counts::RUN => return counts::run(words),
            "--counts" => args.counts = true,
            "--request" => args.request = words.next(),
            _ if word.starts_with('-') => return usage(),
            _ => args.stack = Some(word),
        }
    }
    let named = |shape: &&Shape| {
        let wanted = args.request.as_deref();
        wanted.is_none_or(|name| name == shape.name)
    };
    let shapes: Vec<_> = REQUESTS.iter().filter(named).collect();
    let wanted = |stack: &&str| {
        let start = args.stack.as_deref();
        start.is_none_or(|start| stack.starts_with(start))
    };
    let stacks: Vec<_> = STACKS.into_iter().filter(wanted).collect();
    if shapes.is_empty() || stacks.is_empty() {
        return usage();
    }
    for shape in shapes {
        table(shape, &stacks, args.counts);
    }
    ExitCode::SUCCESS
}

fn usage() -> ExitCode {
    let names: Vec<_> = REQUESTS.iter().map(|shape| shape.name).collect();
    eprintln!("usage: overhead [--counts] [--request NAME] [STACK]");
    eprintln!("requests: {}", names.join(", "));
    eprintln!("stacks, by how they begin: {}", STACKS.join("; "));
    ExitCode::FAILURE
}

fn table(shape: &Shape, stacks: &[&str], counted: bool) {
    let stacks = [&[BARE], stacks].concat();
    let times = rounds::medians(&stacks, shape);
    println!("\n{}: {}", shape.name, shape.what);
    println!(
        "{:44} {:>10} {:>12} {:>13}",
        "above the bare service", "ns", "allocations", "instructions"
    );
    let counts = |stack: &str| counted.then(|| Counts::of(stack, shape)).flatten();
    let bare = counts(BARE);
    for (stack, time) in stacks.into_iter().zip(times).skip(1) {
        let counts = counts(stack);
        let above = |of: fn(&Counts) -> i64| {
            let of = counts.as_ref().map(of).zip(bare.as_ref().map(of));
            of.map_or("-".to_owned(), |(stack, bare)| (stack - bare).to_string())
        };
        let allocations = above(|counts| counts.allocations);
        let instructions = above(|counts| counts.instructions);
        println!("{stack:44} {time:>10.0} {allocations:>12} {instructions:>13}");
    }
}
