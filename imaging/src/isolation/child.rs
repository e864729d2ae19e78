//! A child, as its parent sees it.

use std::io::{self, Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::message::{self, Asked};
use super::{EndedBy, Program};
use crate::dicom::full_depth::Decoded;
use crate::{Limits, Radiograph, Rejection, Voi};

/// How long a child may take to start: the executable is read from the disk, on a machine that may be busy.
const START: Duration = Duration::from_secs(60);

/// Files that a child decodes at most: what they leave behind ends with it.
const FILES: u64 = 64;

/// A running child.
pub(super) struct Child {
    process: std::process::Child,
    socket: UnixStream,
    /// Files that it was asked for.
    asked: u64,
}

/// Why a child gave no answer. It is gone afterwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failed {
    /// It was gone before it was asked, or had said more than it was asked for.
    NotAsked,
    /// It ended while it was given the file.
    NotTaken,
    /// It was killed when its time by the clock was over.
    TooLong,
    /// The system ended it when its time on a processor was over.
    TooMuchWork,
    /// It ended while it worked.
    Ended,
}

impl Failed {
    /// What ended the child.
    pub(super) fn by(self) -> EndedBy {
        match self {
            Failed::TooLong => EndedBy::Clock,
            Failed::TooMuchWork => EndedBy::Processor,
            Failed::NotAsked | Failed::NotTaken | Failed::Ended => EndedBy::MemoryOrCrash,
        }
    }

    pub(super) fn refusal(self, program: &Program) -> Rejection {
        Rejection::undecodable(match self {
            Failed::TooLong => format!("Decoding took longer than {:?}.", program.time),
            Failed::TooMuchWork => {
                format!("Decoding took longer than {} s on a processor.", program.processor)
            }
            Failed::NotAsked | Failed::NotTaken | Failed::Ended => {
                let mib = program.memory >> 20;
                format!("Decoding broke down, or took more than {mib} MiB of memory.")
            }
        })
    }
}

impl Child {
    /// Starts a child and waits until it is ready. It has one socket and nothing else that is open here, and nothing of the
    /// environment, which holds secrets, but where libraries lie; what it writes goes nowhere.
    pub(super) fn start(program: &Program) -> io::Result<Self> {
        let (socket, other) = UnixStream::pair()?;
        let process = Command::new(&program.path)
            .args(&program.arguments)
            .env_clear()
            .envs(libraries())
            .current_dir("/")
            .stdin(Stdio::from(OwnedFd::from(other)))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let mut child = Self { process, socket, asked: 0 };
        child.socket.set_read_timeout(Some(START))?;
        let mut ready = [0];
        child.socket.read_exact(&mut ready)?;
        if ready == [message::READY] { Ok(child) } else { Err(io::ErrorKind::InvalidData.into()) }
    }

    /// Has a file decoded.
    pub(super) fn decode(
        &mut self,
        program: &Program,
        bytes: &[u8],
        limits: &Limits,
        voi: Option<&Voi>,
    ) -> Result<Result<Radiograph, Rejection>, Failed> {
        self.ask(program, Asked::Picture(voi), (bytes, limits), |from, number| {
            message::read_picture(from, number, limits)
        })
    }

    /// Has a file decoded at full depth.
    pub(super) fn decode_full_depth(
        &mut self,
        program: &Program,
        bytes: &[u8],
        limits: &Limits,
    ) -> Result<Result<Decoded, Rejection>, Failed> {
        self.ask(program, Asked::FullDepth, (bytes, limits), |from, number| {
            message::read_full_depth(from, number, limits)
        })
    }

    /// Asks the program's own question about a file.
    pub(super) fn answer(
        &mut self,
        program: &Program,
        question: &[u8],
        file: (&[u8], &Limits),
        most: u64,
    ) -> Result<Result<Vec<u8>, Rejection>, Failed> {
        self.ask(program, Asked::Answer(question), file, |from, number| {
            message::read_answer(from, number, most)
        })
    }

    fn ask<T>(
        &mut self,
        program: &Program,
        asked: Asked<'_>,
        (bytes, limits): (&[u8], &Limits),
        read: impl FnOnce(&mut Bounded<'_>, u64) -> io::Result<Result<T, Rejection>>,
    ) -> Result<Result<T, Rejection>, Failed> {
        if !self.is_silent().unwrap_or(false) {
            return Err(Failed::NotAsked);
        }
        self.asked += 1;
        let until = Instant::now() + program.time;
        let mut socket = Bounded { socket: &self.socket, until };
        let failed = |by: Failed| {
            move |error: io::Error| if is_timeout(&error) { Failed::TooLong } else { by }
        };
        message::write_question(&mut socket, self.asked, program, asked, (bytes.len(), limits))
            .map_err(failed(Failed::NotAsked))?;
        socket.write_all(bytes).map_err(failed(Failed::NotTaken))?;
        let answer = read(&mut socket, self.asked);
        let answer = answer.map_err(failed(Failed::Ended));
        answer.map_err(|failed| if failed == Failed::Ended { self.end() } else { failed })
    }

    /// Whether it may be asked for one more file.
    pub(super) fn is_good_for_more(&self) -> bool {
        self.asked < FILES
    }

    /// Whether it runs and has said nothing that it was not asked.
    fn is_silent(&self) -> io::Result<bool> {
        self.socket.set_nonblocking(true)?;
        let said = (&self.socket).read(&mut [0]);
        self.socket.set_nonblocking(false)?;
        Ok(said.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock))
    }

    /// Why a child that gave no answer ended.
    fn end(&mut self) -> Failed {
        // It has ended, or must: what it says is nothing. A child that is dead already stays dead of what it died of.
        let _ = self.process.kill();
        match self.process.wait().ok().and_then(|status| status.signal()) {
            Some(signal) if signal == Signal::XCPU.as_raw() => Failed::TooMuchWork,
            _ => Failed::Ended,
        }
    }
}

#[cfg(test)]
impl Child {
    /// Ends it, as the system may.
    pub(super) fn kill(&mut self) {
        self.process.kill().expect("a child");
        self.process.wait().expect("its end");
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // Both fail only for a child that is gone already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the loader's, handed on; not a setting of the product"
)]
fn libraries() -> Option<(&'static str, std::ffi::OsString)> {
    const NAME: &str = "LD_LIBRARY_PATH";
    std::env::var_os(NAME).map(|value| (NAME, value))
}

fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}

/// A socket that fails when the time is over, however many small reads and writes it takes.
struct Bounded<'a> {
    socket: &'a UnixStream,
    until: Instant,
}

impl Bounded<'_> {
    fn left(&self) -> io::Result<Option<Duration>> {
        let left = self.until.saturating_duration_since(Instant::now());
        if left.is_zero() { Err(io::ErrorKind::TimedOut.into()) } else { Ok(Some(left)) }
    }
}

impl io::Read for Bounded<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.socket.set_read_timeout(self.left()?)?;
        self.socket.read(buffer)
    }
}

impl io::Write for Bounded<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.socket.set_write_timeout(self.left()?)?;
        self.socket.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
