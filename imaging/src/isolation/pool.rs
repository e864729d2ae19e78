//! The children of this process.

use std::sync::{Mutex, OnceLock, PoisonError};

use super::child::{Child, Failed};
use super::{Ended, Program};
use crate::dicom::full_depth::Decoded;
use crate::{Limits, Radiograph, Rejection, Voi};

static POOL: OnceLock<Pool> = OnceLock::new();

pub(super) fn set(program: Program) {
    let _ = POOL.set(Pool::new(program));
}

pub(super) fn get() -> Option<&'static Pool> {
    POOL.get()
}

/// As many children as files were decoded at once; how many that may be, callers bound.
pub(super) struct Pool {
    program: Program,
    idle: Mutex<Vec<Child>>,
}

impl Pool {
    pub(super) fn new(program: Program) -> Self {
        Self { program, idle: Mutex::new(Vec::new()) }
    }

    /// How its children are started.
    pub(super) fn program(&self) -> &Program {
        &self.program
    }

    /// The picture of a file, or why there is none; `None` where no child can be started.
    pub(super) fn decode(
        &self,
        bytes: &[u8],
        limits: &Limits,
        voi: Option<&Voi>,
    ) -> Option<Result<Radiograph, Rejection>> {
        self.ask(|child| child.decode(&self.program, bytes, limits, voi))
    }

    /// The same at full depth.
    pub(super) fn decode_full_depth(
        &self,
        bytes: &[u8],
        limits: &Limits,
    ) -> Option<Result<Decoded, Rejection>> {
        self.ask(|child| child.decode_full_depth(&self.program, bytes, limits))
    }

    /// The answer to the program's own question about a file, of `most` bytes at most.
    pub(super) fn answer(
        &self,
        question: &[u8],
        file: (&[u8], &Limits),
        most: u64,
    ) -> Option<Result<Vec<u8>, Rejection>> {
        self.ask(|child| child.answer(&self.program, question, file, most))
    }

    /// A child is kept for the next file only when it gave a picture, or an answer: what a file that is refused did to a
    /// codec, or left in it, must not reach another. Where a child ends, a fresh one tries once more before the file is
    /// refused: an earlier file may have been at fault, or the machine that had no memory left.
    fn ask<T>(
        &self,
        ask: impl Fn(&mut Child) -> Result<Result<T, Rejection>, Failed>,
    ) -> Option<Result<T, Rejection>> {
        let mut ended = false;
        loop {
            let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let idle = idle.filter(|_| !ended);
            let was_idle = idle.is_some();
            let mut child = match idle {
                Some(child) => child,
                None => Child::start(&self.program).ok()?,
            };
            match ask(&mut child) {
                Ok(answer) => {
                    if answer.is_ok() && child.is_good_for_more() {
                        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(child);
                    }
                    return Some(answer);
                }
                // It ended while it had nothing to do: the system may have wanted its memory.
                Err(Failed::NotAsked) if was_idle => {}
                Err(Failed::NotAsked) => return None,
                Err(failed) => {
                    let again = matches!(failed, Failed::NotTaken | Failed::Ended) && !ended;
                    (self.program.ended)(Ended { by: failed.by(), again });
                    if !again {
                        return Some(Err(failed.refusal(&self.program)));
                    }
                    ended = true;
                }
            }
        }
    }

    #[cfg(test)]
    pub(super) fn idle(&self) -> usize {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    #[cfg(test)]
    pub(super) fn kill_idle(&self) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.iter_mut().for_each(Child::kill);
    }
}
