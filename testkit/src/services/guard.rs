//! A server process that does not outlive this one.

use std::io::Write;
use std::net::{Ipv4Addr, TcpListener};
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{LazyLock, Mutex, PoisonError};

/// Outlives this process by a moment, and ends the server then.
const GUARD: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/services/guard.sh");

/// Ports for servers. They lie below those that the system gives to connections (32,768 and up on Linux), so that
/// no connection gets one by chance before its server is there.
const PORTS: std::ops::Range<u16> = 10_240..32_000;
/// How many ports a test process has to itself, so that no other one takes the port of a server that is about to start,
/// or that is stopped for a while.
const SHARE: u16 = 1_360;

/// A port that nobody listens on, another one at each call.
pub fn free_port() -> u16 {
    free_ports(1)
}

/// The first of `count` neighbouring ports that nobody listens on, others at each call.
pub fn free_ports(count: u16) -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    static SHARES: LazyLock<(u16, UnixListener)> = LazyLock::new(take_share);
    let share = SHARES.0;
    for _ in 0..SHARE {
        let place = NEXT.fetch_add(count, Ordering::Relaxed) % SHARE;
        if place + count > SHARE {
            continue;
        }
        let first = share + place;
        if (first..first + count).all(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok())
        {
            return first;
        }
    }
    panic!("no free port between {share} and {}", share + SHARE);
}

/// The first port of a share that no other test process has. A socket with a name that only one process can have stands
/// for it; the system removes it when the process ends, however it ends.
fn take_share() -> (u16, UnixListener) {
    for first in PORTS.step_by(usize::from(SHARE)) {
        let name = SocketAddr::from_abstract_name(format!("lobar-test-ports-{first}"));
        if let Ok(taken) = UnixListener::bind_addr(&name.expect("short")) {
            return (first, taken);
        }
    }
    panic!("all ports between {} and {} are other test processes'", PORTS.start, PORTS.end);
}

/// Whether this process is root, which some servers refuse to run as.
pub fn root() -> bool {
    // SAFETY: it takes nothing and cannot fail.
    #[allow(unsafe_code)]
    let user = unsafe { libc::geteuid() };
    user == 0
}

/// A server that can be stopped, killed and started again on the same folder and port.
pub struct Server {
    folder: PathBuf,
    /// The program and its arguments.
    command: Vec<String>,
    environment: Vec<(String, String)>,
    /// What asks it to stop: `TERM`, `INT`.
    signal: &'static str,
    /// A shell command to run when it is gone.
    after: String,
    guard: Mutex<Option<Child>>,
}

impl Server {
    /// A server that is not started. Its folder is removed at the end.
    pub fn new(folder: PathBuf, command: &[&str], environment: &[(&str, &str)]) -> Self {
        let owned = |(name, value): &(&str, &str)| (name.to_string(), value.to_string());
        Self {
            folder,
            command: command.iter().map(ToString::to_string).collect(),
            environment: environment.iter().map(owned).collect(),
            signal: "TERM",
            after: String::new(),
            guard: Mutex::default(),
        }
    }

    /// Stops it with another signal than `TERM`.
    pub fn stopped_by(mut self, signal: &'static str) -> Self {
        self.signal = signal;
        self
    }

    /// Runs a shell command after each end of the server.
    pub fn then(mut self, command: String) -> Self {
        self.after = command;
        self
    }

    /// Where it keeps its files, its log `log` among them.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Starts it; it answers some time later.
    pub fn start(&self) {
        let log = self.folder.join("log");
        let log = std::fs::OpenOptions::new().create(true).append(true).open(log).expect("a log");
        let child = Command::new("sh")
            .arg(GUARD)
            .args([self.signal, self.folder.to_str().expect("UTF-8"), self.after.as_str()])
            .args(&self.command)
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::piped())
            .stdout(log.try_clone().expect("a second handle"))
            .stderr(log)
            .spawn()
            .expect("sh starts");
        let before = self.lock().replace(child);
        assert!(before.is_none(), "{} runs already", self.command[0]);
    }

    /// Asks it to end and waits until it has.
    pub fn stop(&self) {
        self.end("keep\nstop\n");
    }

    /// SIGKILL: no goodbye.
    pub fn kill(&self) {
        self.end("keep\nkill\nstop\n");
    }

    /// The end of its log, for a message that says what went wrong.
    pub fn log(&self) -> String {
        let text = std::fs::read_to_string(self.folder.join("log")).unwrap_or_default();
        let from = text.char_indices().rev().nth(3_000).map_or(0, |(at, _)| at);
        text[from..].to_owned()
    }

    fn end(&self, words: &str) {
        let Some(mut guard) = self.lock().take() else { return };
        // A guard whose server has ended may be gone as well.
        let _ = guard.stdin.take().expect("piped").write_all(words.as_bytes());
        let _ = guard.wait();
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Child>> {
        self.guard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.end("stop\n");
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}
