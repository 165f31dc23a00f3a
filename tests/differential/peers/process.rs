//! A child process, its directory, and its port.

use std::{
    ffi::{OsStr, OsString},
    fs::{self, File},
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::Stdio,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use tokio::{
    net::TcpStream,
    process::{Child, Command},
    time::{Instant, sleep},
};

/// Longer than any of them takes to start.
const PATIENCE: Duration = Duration::from_secs(20);

/// A directory that goes when this does.
#[derive(Debug)]
pub(super) struct Dir(PathBuf);

/// A process in the foreground; dropping it kills it.
#[derive(Debug)]
pub(super) struct Process {
    child: Child,
    // Dropped after the child, which writes there.
    dir: Dir,
}

impl Dir {
    pub(super) fn new(name: &str) -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let (pid, count) = (std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let dir = std::env::temp_dir().join(format!("differential-{pid}-{name}-{count}"));
        fs::create_dir(&dir).unwrap_or_else(|error| panic!("{dir:?}: {error}"));
        Self(dir)
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    fn said(&self) -> PathBuf {
        self.0.join("said")
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        // What cannot be removed is left to the system, as all of its temporary files are.
        let _ = fs::remove_dir_all(&self.0);
    }
}

impl Process {
    pub(super) fn start(binary: &Path, arguments: &[OsString], dir: Dir) -> Self {
        let said = File::create(dir.said()).unwrap();
        let child = Command::new(binary)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(said.try_clone().unwrap())
            .stderr(said)
            .kill_on_drop(true)
            .spawn();
        let child = child.unwrap_or_else(|error| panic!("{binary:?}: {error}"));
        Self { child, dir }
    }

    /// Waits until it accepts connections there.
    ///
    /// # Panics
    ///
    /// With what it said, if it ends instead or never does.
    pub(super) async fn accepting(mut self, addr: SocketAddr) -> Self {
        let start = Instant::now();
        while TcpStream::connect(addr).await.is_err() {
            let ended = self.child.try_wait().unwrap();
            if ended.is_some() || start.elapsed() > PATIENCE {
                let said = fs::read(self.dir.said()).unwrap_or_default();
                panic!("{ended:?}: {}", String::from_utf8_lossy(&said));
            }
            sleep(Duration::from_millis(10)).await;
        }
        self
    }
}

/// A port that was free a moment ago: none of the peers tells which one it picked itself.
pub(super) fn free_port() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    listener.local_addr().unwrap()
}

/// The arguments of a command line.
pub(super) fn arguments<const N: usize>(arguments: [&OsStr; N]) -> Vec<OsString> {
    arguments.into_iter().map(OsStr::to_owned).collect()
}
