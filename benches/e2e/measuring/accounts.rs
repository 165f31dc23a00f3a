//! What the kernel says that a process and its descendants have used.

use std::{collections::HashMap, fs, io, path::Path, time::Duration};

/// The unit of times in `/proc/*/stat`: a hundredth of a second wherever Linux runs.
const TICK: Duration = Duration::from_millis(10);

/// Where the times of threads and of whole processes differ by more, threads came and went unseen.
const DIFFERENCE: f64 = 0.03;

/// What the processes of a tree had used at one moment.
#[derive(Debug)]
pub(crate) struct Account {
    /// The nanoseconds that each thread was on a core, and that it waited for one.
    threads: HashMap<u32, [u64; 2]>,
    /// The time on a core of all threads, also of those that have ended.
    ticks: u32,
}

/// What the processes of a tree have used between two moments.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spent {
    pub(crate) cpu: Duration,
    /// While they were ready to run and another process was on the core.
    pub(crate) waited: Duration,
    pub(crate) clock: Clock,
}

/// What a time was read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Clock {
    /// `schedstat`, which is exact and forgets threads that have ended.
    Threads,
    /// `stat`, which is coarse and forgets nothing.
    Processes,
}

impl Account {
    /// The tree of this process.
    ///
    /// # Errors
    ///
    /// When the process has ended.
    pub(crate) fn of(root: u32) -> io::Result<Self> {
        let mut account = Self {
            threads: HashMap::new(),
            ticks: 0,
        };
        for pid in tree(root)? {
            // Processes and threads may end while they are looked at, but not the first one.
            match account.add(pid) {
                Err(error) if pid == root => return Err(error),
                _ => {}
            }
        }
        Ok(account)
    }

    fn add(&mut self, pid: u32) -> io::Result<()> {
        let process = format!("/proc/{pid}");
        let [user, system] = ["utime", "stime"].map(|field| stat(&process, field));
        self.ticks += user? + system?;
        for thread in fs::read_dir(format!("{process}/task"))? {
            let thread = thread?;
            let read = fs::read_to_string(thread.path().join("schedstat"));
            let name = thread.file_name();
            let id = name.to_str().and_then(|id| id.parse().ok());
            if let (Ok(read), Some(id)) = (read, id) {
                let mut times = read
                    .split_whitespace()
                    .map(|time| time.parse().unwrap_or(0));
                let [ran, waited] = [(); 2].map(|()| times.next().unwrap_or(0));
                self.threads.insert(id, [ran, waited]);
            }
        }
        Ok(())
    }

    /// What was used since an earlier account.
    pub(crate) fn since(&self, before: &Self) -> Spent {
        let mut spent = [0; 2];
        for (thread, now) in &self.threads {
            let then = before.threads.get(thread).copied().unwrap_or_default();
            for (spent, (now, then)) in spent.iter_mut().zip(now.iter().zip(then)) {
                *spent += now.saturating_sub(then);
            }
        }
        let [ran, waited] = spent.map(Duration::from_nanos);
        let ticks = TICK * self.ticks.saturating_sub(before.ticks);
        let ended = before.threads.keys();
        let ended = ended.filter(|thread| !self.threads.contains_key(thread));
        // Both numbers of ticks are rounded down.
        let slack = ran.mul_f64(DIFFERENCE) + 2 * TICK;
        let (cpu, clock) = if ended.count() == 0 && ran.abs_diff(ticks) <= slack {
            (ran, Clock::Threads)
        } else {
            (ticks, Clock::Processes)
        };
        Spent { cpu, waited, clock }
    }
}

/// A process and its descendants, itself first.
pub(crate) fn tree(root: u32) -> io::Result<Vec<u32>> {
    let mut children: HashMap<u32, Vec<u32>> = HashMap::new();
    for entry in fs::read_dir("/proc")? {
        let path = entry?.path();
        let pid = path
            .file_name()
            .and_then(|name| name.to_str()?.parse().ok());
        if let (Some(pid), Ok(parent)) = (pid, stat(&path, "ppid")) {
            children.entry(parent).or_default().push(pid);
        }
    }
    let mut tree = vec![root];
    let mut next = 0;
    while let Some(pid) = tree.get(next) {
        tree.extend(children.remove(pid).unwrap_or_default());
        next += 1;
    }
    Ok(tree)
}

/// A number in `/proc/*/stat`, proc(5).
fn stat(process: impl AsRef<Path>, field: &str) -> io::Result<u32> {
    let text = fs::read_to_string(process.as_ref().join("stat"))?;
    // The second field is the program's name, which may contain anything. The third is next.
    let after_name = text.rsplit_once(')').map_or("", |(_, rest)| rest);
    let index = match field {
        "ppid" => 4,
        "utime" => 14,
        _ => 15,
    };
    let number = after_name.split_whitespace().nth(index - 3);
    number
        .and_then(|number| number.parse().ok())
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, field.to_owned()))
}

/// The resident memory of the tree at its highest, in MiB.
pub(crate) fn peak_memory(root: u32) -> io::Result<f64> {
    memory(root, "VmHWM:")
}

/// The resident memory of the tree now, in MiB.
pub(crate) fn resident_memory(root: u32) -> io::Result<f64> {
    memory(root, "VmRSS:")
}

fn memory(root: u32, field: &str) -> io::Result<f64> {
    let mut kib = 0.0;
    for pid in tree(root)? {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix(field));
        let number = line.and_then(|line| line.split_whitespace().next());
        kib += number
            .and_then(|kib| kib.parse::<f64>().ok())
            .unwrap_or(0.0);
    }
    Ok(kib / 1024.0)
}

/// How long the machine below has kept this core for others.
pub(crate) fn stolen(core: usize) -> io::Result<Duration> {
    let stat = fs::read_to_string("/proc/stat")?;
    let name = format!("cpu{core} ");
    let line = stat.lines().find_map(|line| line.strip_prefix(&name));
    let ticks = line.and_then(|line| line.split_whitespace().nth(7)?.parse().ok());
    Ok(TICK * ticks.unwrap_or(0))
}
