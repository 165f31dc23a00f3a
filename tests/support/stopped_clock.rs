/// A clock that stands still while everybody waits for sockets: only [`advance`](tokio::time::advance) moves it.
#[derive(Debug)]
pub(crate) struct StoppedClock {
    _running: std::sync::mpsc::Sender<()>,
}

impl StoppedClock {
    pub(crate) fn new() -> Self {
        let (running, stopped) = std::sync::mpsc::channel();
        // A paused clock does not move by itself while there is blocking work.
        tokio::task::spawn_blocking(move || stopped.recv());
        tokio::time::pause();
        Self { _running: running }
    }
}
