//! The children of this process.

use std::sync::{Mutex, OnceLock, PoisonError};

use super::Program;
use super::child::{Child, Failed};
use crate::{Limits, Radiograph, Rejection};

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

    pub(super) fn decode(
        &self,
        bytes: &[u8],
        limits: &Limits,
    ) -> Option<Result<Radiograph, Rejection>> {
        loop {
            let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let was_idle = idle.is_some();
            let mut child = match idle {
                Some(child) => child,
                None => Child::start(&self.program).ok()?,
            };
            match child.decode(&self.program, bytes, limits) {
                Ok(answer) => {
                    self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(child);
                    return Some(answer);
                }
                // It ended while it had nothing to do: the system may have wanted its memory.
                Err(Failed::NotAsked | Failed::NotTaken) if was_idle => {}
                Err(Failed::NotAsked) => return None,
                Err(failed) => return Some(Err(failed.refusal(&self.program))),
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
