//! Which core is whose, and how many files may be open.

use std::{
    fs,
    process::{Command, Stdio},
};

use crate::Result;

/// The proxy's core, and that of everything else.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cores {
    pub(crate) proxy: usize,
    load: usize,
}

/// Where a program runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// On the proxy's core alone.
    Proxy,
    /// On both, where the proxy has more than one thread.
    Both,
}

impl Cores {
    /// Finds two cores, and moves this process to the one that is not the proxy's.
    ///
    /// What it starts is there as well, unless it is [put](Self::command) elsewhere.
    pub(crate) fn divide() -> Result<Self> {
        let status = fs::read_to_string("/proc/self/status")?;
        let allowed = status
            .lines()
            .find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
        let [proxy, load] = two(allowed.unwrap_or_default().trim())
            .ok_or("two cores are needed, one for the proxy and one for the load")?;
        let cores = Self { proxy, load };
        let (core, pid) = (load.to_string(), std::process::id().to_string());
        quietly("taskset", &["--cpu-list", "--pid", &core, &pid])?;
        Ok(cores)
    }

    /// The beginning of a command that runs there.
    pub(crate) fn command(self, place: Place) -> Command {
        let mut command = Command::new("taskset");
        command.arg("--cpu-list").arg(match place {
            Place::Proxy => self.proxy.to_string(),
            Place::Both => format!("{},{}", self.proxy, self.load),
        });
        command
    }
}

/// The first two of a list such as `0-3,8`.
fn two(list: &str) -> Option<[usize; 2]> {
    let mut cores = list.split(',').flat_map(|part| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        match (first.parse::<usize>(), last.parse::<usize>()) {
            (Ok(first), Ok(last)) => first..last + 1,
            _ => 0..0,
        }
    });
    Some([cores.next()?, cores.next()?])
}

/// Lets this process and its children have as many files open as it may, and tells how many that is.
pub(crate) fn open_files() -> Result<usize> {
    let limits = fs::read_to_string("/proc/self/limits")?;
    let line = limits
        .lines()
        .find_map(|line| line.strip_prefix("Max open files"));
    let most = line.and_then(|line| line.split_whitespace().nth(1));
    let most: usize = most.ok_or("/proc/self/limits: no open files")?.parse()?;
    let pid = std::process::id().to_string();
    quietly("prlimit", &["--pid", &pid, &format!("--nofile={most}")])?;
    Ok(most)
}

fn quietly(program: &str, arguments: &[&str]) -> Result<()> {
    let output = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("{program} of util-linux is needed: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(format!("{program}: {}", said.trim()).into())
}
