//! A child process, its directory, and its port.

use std::{
    fs::{self, File},
    io,
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicUsize, Ordering},
    thread::sleep,
    time::{Duration, Instant},
};

use crate::Result;

/// Longer than any program takes to start.
const PATIENCE: Duration = Duration::from_secs(20);

/// How long one that was told to end may take.
const FAREWELL: Duration = Duration::from_secs(5);

/// A directory that goes when this does.
#[derive(Debug)]
pub(crate) struct Dir(PathBuf);

/// A process in the foreground; dropping it ends it.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    // Dropped after the child was ended, which writes there.
    dir: Dir,
}

impl Dir {
    pub(crate) fn new(name: &str) -> io::Result<Self> {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let (pid, count) = (std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let dir = std::env::temp_dir().join(format!("e2e-{pid}-{name}-{count}"));
        fs::create_dir(&dir)?;
        Ok(Self(dir))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// Writes a file, and tells where it is.
    pub(crate) fn file(&self, name: &str, text: &str) -> io::Result<PathBuf> {
        let path = self.0.join(name);
        fs::write(&path, text)?;
        Ok(path)
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
    /// Starts a command; what it says goes to its directory.
    pub(crate) fn start(mut command: Command, dir: Dir) -> Result<Self> {
        let said = File::create(dir.said())?;
        let child = command
            .stdin(Stdio::null())
            .stdout(said.try_clone()?)
            .stderr(said)
            .spawn()
            .map_err(|error| format!("{:?}: {error}", command.get_program()))?;
        Ok(Self { child, dir })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits until it accepts connections there.
    ///
    /// # Errors
    ///
    /// What it said, if it ends instead or never does.
    pub(crate) fn accepting(mut self, addr: SocketAddr) -> Result<Self> {
        let start = Instant::now();
        while TcpStream::connect(addr).is_err() {
            let ended = self.child.try_wait()?;
            if ended.is_some() || start.elapsed() > PATIENCE {
                let said = fs::read(self.dir.said()).unwrap_or_default();
                let said = String::from_utf8_lossy(&said);
                return Err(format!("it does not listen: {}", said.trim()).into());
            }
            sleep(Duration::from_millis(10));
        }
        Ok(self)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // A master that is killed would leave its workers behind.
        if signal("TERM", self.pid()).is_ok() {
            let start = Instant::now();
            while start.elapsed() < FAREWELL {
                if !matches!(self.child.try_wait(), Ok(None)) {
                    return;
                }
                sleep(Duration::from_millis(5));
            }
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Sends a signal to a process of ours.
pub(crate) fn signal(name: &str, pid: u32) -> io::Result<()> {
    let mut kill = Command::new("kill");
    kill.args(["-s", name, &pid.to_string()]).status()?;
    Ok(())
}

/// A port that was free a moment ago: not all of the systems tell which one they picked themselves.
pub(crate) fn free_port() -> io::Result<SocketAddr> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()
}

/// The program of this name: what the variable says, or else the one on the path.
///
/// # Errors
///
/// How to come by it.
pub(crate) fn installed(variable: &str, name: &str) -> std::result::Result<PathBuf, String> {
    if let Some(path) = std::env::var_os(variable).map(PathBuf::from) {
        if path.is_file() {
            return Ok(path);
        }
        return Err(format!("{variable} is no file: {}", path.display()));
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .map(|dir| dir.join(name))
        .find(|program| program.is_file())
        .ok_or_else(|| format!("it is not on the path; {variable} may name it"))
}
