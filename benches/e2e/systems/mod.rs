//! The proxies that are compared, as processes.

mod envoy;
mod haproxy;
mod nginx;
mod ours;
mod own;
mod pingora;

use std::{
    ffi::OsString,
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use crate::{
    Result,
    cores::{Cores, Place},
    process::{Dir, Process, free_port},
};

/// A proxy, of whoever made it.
#[derive(Debug)]
pub(crate) struct System {
    pub(crate) name: &'static str,
    /// Its program, or how to come by it.
    program: fn() -> std::result::Result<PathBuf, String>,
    /// What makes it tell its version, if anything does.
    version: Option<&'static str>,
    /// Its command line; a configuration file goes to the directory.
    arguments: fn(&Setup<'_>, SocketAddr, &Dir) -> io::Result<Vec<OsString>>,
    pub(crate) takes_part: TakesPart,
}

/// Where a system is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TakesPart {
    Everywhere,
    /// It would take a failing upstream out.
    WhereNothingFails,
}

/// What a proxy is to do.
#[derive(Debug)]
pub(crate) struct Setup<'a> {
    pub(crate) upstreams: &'a [SocketAddr],
    /// How many clients there are.
    pub(crate) connections: u64,
    pub(crate) body: Body,
    pub(crate) threads: usize,
    pub(crate) order: Order,
    pub(crate) attempts: usize,
}

/// What is known of the bodies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Body {
    /// There are none.
    None,
    /// They are to be held, so that they can be sent again.
    Held,
    /// They are too large for that.
    Streamed,
}

/// Which upstream a request goes to first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    InTurn,
    /// Always the first one; ours alone can.
    AsGiven,
}

/// A system with its program.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) system: &'static System,
    program: PathBuf,
}

/// A system that serves; dropping it ends it.
#[derive(Debug)]
pub(crate) struct Running {
    pub(crate) name: &'static str,
    pub(crate) addr: SocketAddr,
    process: Process,
}

/// In the order of the tables.
static SYSTEMS: [System; 8] = [
    own::BARE,
    ours::OURS,
    ours::ARMED,
    own::RETRY,
    nginx::NGINX,
    haproxy::HAPROXY,
    envoy::ENVOY,
    pingora::PINGORA,
];

/// Those of these names that have a program, or of all if there are no names. Says what it has found, and what it has not.
pub(crate) fn find(names: &[String]) -> Result<Vec<Found>> {
    if let Some(name) = names
        .iter()
        .find(|name| !SYSTEMS.iter().any(|system| system.name == **name))
    {
        return Err(format!("no system: {name}").into());
    }
    let named = |system: &&System| names.is_empty() || names.iter().any(|name| name == system.name);
    let mut found = Vec::new();
    for system in SYSTEMS.iter().filter(named) {
        match (system.program)() {
            Ok(program) => {
                println!("{:8} {}", system.name, system.version(&program));
                found.push(Found { system, program });
            }
            Err(how) => println!("{:8} is left out: {how}", system.name),
        }
    }
    Ok(found)
}

impl System {
    /// What its program calls itself.
    fn version(&self, program: &Path) -> String {
        let said = self.version.and_then(|flag| {
            let mut command = Command::new(program);
            let output = command.arg(flag).stdin(Stdio::null()).output().ok()?;
            let said = [output.stdout, output.stderr].concat();
            let said = String::from_utf8_lossy(&said);
            Some(said.trim().lines().next()?.to_owned())
        });
        said.unwrap_or_else(|| program.display().to_string())
    }
}

impl Found {
    pub(crate) fn start(&self, setup: &Setup<'_>, cores: Cores) -> Result<Running> {
        self.start_on(setup, cores)
            .map_err(|error| format!("{}: {error}", self.system.name).into())
    }

    fn start_on(&self, setup: &Setup<'_>, cores: Cores) -> Result<Running> {
        let dir = Dir::new(self.system.name)?;
        let addr = free_port()?;
        let place = match setup.threads {
            1 => Place::Proxy,
            _ => Place::Both,
        };
        let mut command = cores.command(place);
        command.arg(&self.program);
        command.env_remove("RUST_LOG");
        command.args((self.system.arguments)(setup, addr, &dir)?);
        let process = Process::start(command, dir)?.accepting(addr)?;
        Ok(Running {
            name: self.system.name,
            addr,
            process,
        })
    }
}

impl Running {
    pub(crate) fn pid(&self) -> u32 {
        self.process.pid()
    }
}

/// The arguments of a command line.
fn arguments<'a>(arguments: impl IntoIterator<Item = &'a str>) -> Vec<OsString> {
    arguments.into_iter().map(OsString::from).collect()
}
