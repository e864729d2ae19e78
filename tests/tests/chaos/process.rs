//! One process of the system, which is started again whenever it has ended.

use std::fs::OpenOptions;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use lobar_testkit::preload::ShiftedClock;
use lobar_tests::kit::{executable, node_executable};

/// How long a process may take to stop when it is told to: longer than its `drain`.
const STOP: Duration = Duration::from_secs(90);

/// How a process is started.
#[derive(Clone, Debug)]
pub(crate) struct Start {
    pub(crate) role: &'static str,
    /// Where it keeps its data; its log is beside it.
    pub(crate) data: PathBuf,
    pub(crate) listen: String,
    pub(crate) environment: Vec<(String, String)>,
    /// What it takes for the time of day.
    pub(crate) clock: ShiftedClock,
}

/// A process. SIGKILLed when dropped.
pub(crate) struct Process {
    start: Start,
    child: Option<Child>,
}

impl Process {
    /// Starts it; it is ready some time later.
    pub(crate) fn start(start: Start) -> Self {
        let mut process = Self { start, child: None };
        process.start_again();
        process
    }

    /// Starts it unless it runs.
    pub(crate) fn start_again(&mut self) {
        if self.child.is_some() {
            return;
        }
        let Start { role, data, listen, environment, clock } = &self.start;
        let log = OpenOptions::new().create(true).append(true).open(self.log()).expect("a log");
        let executable = if *role == "worker" { executable() } else { node_executable() };
        let child = Command::new(executable)
            .args(["run", "--roles", role, "--listen", listen, "--s3-listen", "127.0.0.1:0"])
            .arg("--data")
            .arg(data)
            // The tests' own, and no setting.
            .env_remove("LOBAR_SEED")
            .env("LOBAR_LOG", "info")
            // Drawn pictures are unlike X-rays, and shall be answered.
            .env("LOBAR_UNLIKE", "warn")
            .envs(environment.iter().map(|(name, value)| (name, value)))
            .envs(clock.environment())
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a second handle"))
            .stderr(log)
            .spawn();
        self.child = Some(child.expect("the executable starts"));
    }

    /// Where it writes its log.
    pub(crate) fn log(&self) -> PathBuf {
        self.start.data.with_extension("log")
    }

    /// SIGKILL: no goodbye.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// SIGTERM. An error says that it did not end in time; it is killed then.
    pub(crate) fn stop(&mut self) -> Result<Option<i32>, String> {
        self.signal("TERM");
        let Some(mut child) = self.child.take() else { return Ok(None) };
        let began = Instant::now();
        while began.elapsed() < STOP {
            if let Ok(Some(status)) = child.try_wait() {
                return Ok(status.code());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        let _ = child.kill();
        let _ = child.wait();
        Err(format!("did not stop within {STOP:?}"))
    }

    /// SIGSTOP, or SIGCONT.
    pub(crate) fn pause(&self, paused: bool) {
        self.signal(if paused { "STOP" } else { "CONT" });
    }

    /// Sets its clock off by so many seconds.
    pub(crate) fn set_clock(&self, seconds: i64) {
        self.start.clock.set(seconds);
    }

    /// How it ended, when it did so by itself.
    pub(crate) fn ended(&mut self) -> Option<String> {
        let status = self.child.as_mut()?.try_wait().ok()??;
        self.child = None;
        Some(format!("ended by itself: {status}"))
    }

    fn signal(&self, signal: &str) {
        if let Some(child) = &self.child {
            let pid = child.id().to_string();
            let _ = Command::new("kill").args([&format!("-{signal}"), &pid]).status();
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}
