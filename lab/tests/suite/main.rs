//! The laboratory as its users have it: training runs, reports, and that serving answers as training did.
#![allow(clippy::unwrap_used)] // helpers of tests

mod distillation;
mod report;
mod serving_equals_training;
mod training;

use std::sync::{Mutex, MutexGuard, PoisonError};

/// libtorch's random generator and its number of threads belong to the whole process: while one test has this,
/// no other uses the network.
fn alone() -> MutexGuard<'static, ()> {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner)
}
