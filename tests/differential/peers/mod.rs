//! The proxies that are compared, as processes.

mod envoy;
mod haproxy;
mod nginx;
pub(crate) mod ours;
mod process;

use std::{
    ffi::OsString,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use tokio::process::Command;

use self::process::Process;
use crate::{
    client::Response,
    lines::{Dialect, Line},
};

/// A proxy that is not ours.
#[derive(Debug)]
pub(crate) struct Peer {
    pub(crate) name: &'static str,
    /// The environment variable that may hold the path of its binary.
    variable: &'static str,
    /// Its configuration's name, which tells Envoy the format.
    file: &'static str,
    /// What makes it tell its version.
    version: &'static str,
    configuration: fn(&Task<'_>) -> String,
    arguments: fn(&Path) -> Vec<OsString>,
    attempts: fn(&Response) -> Option<usize>,
}

/// What one process of a peer is for.
#[derive(Debug)]
pub(crate) struct Task<'a> {
    line: &'a Line,
    /// Each has a host of its own: see [`host`].
    routes: &'a [Route],
    listen: SocketAddr,
    /// For whatever it writes.
    dir: &'a Path,
}

/// The upstreams of one request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Route {
    pub(crate) upstreams: [SocketAddr; 2],
    pub(crate) http2: bool,
}

/// A peer that serves.
#[derive(Debug)]
pub(crate) struct Running {
    pub(crate) addr: SocketAddr,
    attempts: fn(&Response) -> Option<usize>,
    _process: Process,
}

/// The host whose requests go to the upstreams at `index`.
pub(crate) fn host(index: usize) -> String {
    format!("route{index}")
}

impl Peer {
    pub(crate) fn of(dialect: Dialect) -> &'static Self {
        match dialect {
            Dialect::Nginx => &nginx::NGINX,
            Dialect::Haproxy => &haproxy::HAPROXY,
            Dialect::Envoy => &envoy::ENVOY,
        }
    }

    /// Its binary, unless there is none.
    pub(crate) fn binary(&self) -> Option<PathBuf> {
        if let Some(path) = std::env::var_os(self.variable) {
            let path = PathBuf::from(path);
            assert!(path.is_file(), "{} is no file: {path:?}", self.variable);
            return Some(path);
        }
        let path = std::env::var_os("PATH")?;
        let binaries = std::env::split_paths(&path).map(|dir| dir.join(self.name));
        binaries.into_iter().find(|binary| binary.is_file())
    }

    /// What it calls itself.
    pub(crate) async fn version(&self, binary: &Path) -> String {
        let output = Command::new(binary).arg(self.version).output().await;
        let output = output.unwrap_or_else(|error| panic!("{binary:?}: {error}"));
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said);
        said.trim().lines().next().unwrap_or(self.name).to_owned()
    }

    /// Starts it with one line for all of these.
    pub(crate) async fn start(&self, binary: &Path, line: &Line, routes: &[Route]) -> Running {
        let listen = process::free_port();
        let dir = process::Dir::new(self.name);
        let configuration = (self.configuration)(&Task {
            line,
            routes,
            listen,
            dir: dir.path(),
        });
        let file = dir.path().join(self.file);
        std::fs::write(&file, configuration).unwrap();
        let arguments = (self.arguments)(&file);
        let process = Process::start(binary, &arguments, dir);
        let process = process.accepting(listen).await;
        Running {
            addr: listen,
            attempts: self.attempts,
            _process: process,
        }
    }
}

impl Running {
    /// How many attempts the proxy says it has made.
    pub(crate) fn attempts(&self, response: &Response) -> Option<usize> {
        (self.attempts)(response)
    }
}
