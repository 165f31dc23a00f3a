//! The system calls of a request, counted by strace.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader},
    process::{Command, Stdio},
};

use crate::{
    Result,
    measuring::{Load, tree},
    process::{Dir, signal},
    systems::Running,
    table::Table,
};

/// Whose calls are counted.
const COUNTED: [&str; 3] = ["bare", "ours", "nginx"];

/// Calls that are fewer for each request are not worth a column.
const WORTH: f64 = 0.005;

/// Calls for each request, by name.
type Calls = BTreeMap<String, f64>;

pub(super) fn print(proxies: &[Running], load: &Load, seconds: u64) -> Result<()> {
    let mut counted = Vec::new();
    for proxy in proxies.iter().filter(|proxy| COUNTED.contains(&proxy.name)) {
        counted.push((proxy.name, count(proxy, load, seconds)?));
    }
    let mut names: Vec<&String> = Vec::new();
    for name in counted.iter().flat_map(|(_, calls)| calls.keys()) {
        let most = counted.iter().filter_map(|(_, calls)| calls.get(name));
        if most.fold(0.0, |a: f64, b| a.max(*b)) >= WORTH && !names.contains(&name) {
            names.push(name);
        }
    }
    names.sort();
    println!("  system calls for each request");
    let head = ["", "all"]
        .into_iter()
        .chain(names.iter().map(|name| name.as_str()));
    let mut table = Table::new(head);
    for (system, calls) in &counted {
        let all = calls.values().sum();
        let each = names
            .iter()
            .map(|name| calls.get(*name).copied().unwrap_or(0.0));
        let numbers = std::iter::once(all)
            .chain(each)
            .map(|calls: f64| format!("{calls:.2}"));
        table.row(std::iter::once((*system).to_owned()).chain(numbers));
    }
    table.print();
    Ok(())
}

fn count(proxy: &Running, load: &Load, seconds: u64) -> Result<Calls> {
    let dir = Dir::new("strace")?;
    let file = dir.path().join("calls");
    let processes = tree(proxy.pid())?;
    let mut command = Command::new("strace");
    command.args(["-f", "-c", "-o"]).arg(&file);
    for pid in &processes {
        command.arg("-p").arg(pid.to_string());
    }
    let mut strace = command
        .stdin(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| format!("strace is needed on the path: {error}"))?;
    let stderr = strace.stderr.take().ok_or("no messages of strace")?;
    let mut said = BufReader::new(stderr).lines();
    // It says so of every process.
    for _ in &processes {
        match said.next() {
            Some(Ok(line)) if line.contains("attached") => {}
            other => return Err(format!("strace: {other:?}").into()),
        }
    }
    let outcome = load.run(proxy.addr, seconds);
    signal("INT", strace.id())?;
    // It may say more, and must not have to wait for it to be read.
    said.for_each(drop);
    strace.wait()?;
    let text = std::fs::read_to_string(&file)?;
    let requests = outcome?.requests;
    Ok(text
        .lines()
        .filter_map(|line| calls(line, requests))
        .collect())
}

/// A line of its summary: share, seconds, microseconds for each call, calls, perhaps errors, and the name.
fn calls(line: &str, requests: f64) -> Option<(String, f64)> {
    let fields: Vec<&str> = line.split_whitespace().collect();
    let name = *fields.last()?;
    let calls: f64 = fields.get(3)?.parse().ok()?;
    (name != "total").then(|| (name.to_owned(), calls / requests))
}
