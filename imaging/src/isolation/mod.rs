//! Decoding in child processes: a panic, an endless loop or a bomb of memory costs one file, and not the process that
//! serves others (`docs/adr/0030`).
//!
//! ```text
//! decode() ─▶ pool: an idle child, or a new one ─▶ file over a socket ─▶ child decodes ─▶ picture, or why not
//!                                  └─ no answer in time, or the child ended: it is killed and the file refused
//! ```
//!
//! What else a program does with other people's files, it has done there as well: [`run()`] asks a question of its own.
//!
//! A program says once how its children are started ([`use_children`]); each runs [`serve()`], works on one file at a time
//! and is kept for the next. Where nobody said so, as in the tests of a library, and where no child can be started,
//! the file is decoded in this process, behind a wall for panics.

mod child;
mod limits;
mod message;
mod pool;
mod serve;
#[cfg(test)]
mod tests;
mod trial;

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use crate::dicom::full_depth::Decoded;
use crate::{Limits, Radiograph, Rejection, Voi, dicom, memory};

pub use serve::serve;

/// What a program does with a file beside decoding it: the answer to a question, both in bytes that only the program reads.
/// A question has at least one byte and 1 MiB at most.
pub type Task = fn(question: &[u8], file: &[u8], limits: &Limits) -> Result<Vec<u8>, Rejection>;

/// What a task may take.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Memory, bytes: reserved in this process, whose children share its bound.
    pub memory: u64,
    /// The largest answer, bytes.
    pub answer: u64,
}

/// How a child is started, and what it may take.
#[derive(Clone, Debug)]
pub struct Program {
    /// The executable.
    pub path: PathBuf,
    /// What makes it run [`serve()`].
    pub arguments: Vec<OsString>,
    /// How long it may work on one file, by the clock.
    pub time: Duration,
    /// How long it may work on one file on a processor, whole seconds: what a file costs on a machine however busy.
    pub processor: u64,
    /// What it may take beyond what it has when it starts, bytes.
    pub memory: u64,
    /// Told of every child that did not outlive a file, for metrics and the log. On the thread that decodes.
    pub ended: fn(Ended),
}

/// A child that did not outlive a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ended {
    /// What ended it.
    pub by: EndedBy,
    /// Whether a fresh child tries the file once more; else it is refused as undecodable.
    pub again: bool,
}

/// What ends a child.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndedBy {
    /// Its time by the clock was over: [`Program::time`].
    Clock,
    /// Its time on a processor was over: [`Program::processor`].
    Processor,
    /// It took more memory than it may ([`Program::memory`]), broke down, or was killed by somebody else.
    MemoryOrCrash,
}

impl EndedBy {
    /// The stable code.
    pub fn code(self) -> &'static str {
        match self {
            EndedBy::Clock => "clock",
            EndedBy::Processor => "processor",
            EndedBy::MemoryOrCrash => "memory_or_crash",
        }
    }
}

/// Has all decoding of DICOM in this process done by children from now on. The first call counts.
pub fn use_children(program: Program) {
    pool::set(program);
}

/// Has a fresh child decode a small picture, as `lobar doctor` does; `None` where no children are used.
///
/// # Errors
/// In words: it cannot be started, or gives another answer.
pub fn examine() -> Option<Result<(), String>> {
    Some(trial::examine(pool::get()?.program()))
}

/// Has a child run `task`, which must be the one that its [`serve()`] was given; where there is none and none can be
/// started, it runs here, behind a wall for panics. Blocks while others use the memory.
///
/// # Errors
/// What the task refuses; `undecodable` where its child ended, took too long or too much memory, or answered more than it
/// may; `too_many_pixels` where it needs more memory than there is.
pub fn run(
    task: Task,
    question: &[u8],
    file: &[u8],
    limits: &Limits,
    bounds: Bounds,
) -> Result<Vec<u8>, Rejection> {
    if let Some(pool) = pool::get() {
        let _reserved = memory::reserve(bounds.memory)?;
        if let Some(answer) = pool.answer(question, (file, limits), bounds.answer) {
            return answer;
        }
    }
    dicom::contained(|| task(question, file, limits))
}

/// Whether children do it.
pub(crate) fn is_on() -> bool {
    pool::get().is_some()
}

/// The picture of a file, by a child, with a window in place of the file's own; `None` where there is no child and none can be started.
pub(crate) fn decode(
    bytes: &[u8],
    limits: &Limits,
    voi: Option<&Voi>,
) -> Option<Result<Radiograph, Rejection>> {
    pool::get()?.decode(bytes, limits, voi)
}

/// The same at full depth.
pub(crate) fn decode_full_depth(
    bytes: &[u8],
    limits: &Limits,
) -> Option<Result<Decoded, Rejection>> {
    pool::get()?.decode_full_depth(bytes, limits)
}
