//! A line at which the process is killed: a call on a port, before it is made or after it has answered.

use std::sync::atomic::{AtomicI64, Ordering};

use tokio::sync::Notify;

/// How far away the line is when there is none.
const NOWHERE: i64 = i64::MAX / 2;

/// Counts the calls that a role makes on its ports. Whoever comes to the line, or after it, waits for ever:
/// a killed process does nothing more.
#[derive(Debug)]
pub struct Line {
    left: AtomicI64,
    reached: Notify,
}

impl Default for Line {
    fn default() -> Self {
        Self { left: AtomicI64::new(NOWHERE), reached: Notify::new() }
    }
}

impl Line {
    /// The process is to be killed at its `step`th step from now, counted from 1; each call has two.
    pub fn draw(&self, step: u32) {
        self.left.store(step.into(), Ordering::SeqCst);
    }

    /// Nobody is killed any more.
    pub fn erase(&self) {
        self.left.store(NOWHERE, Ordering::SeqCst);
    }

    /// Returns when the line is reached.
    pub async fn reached(&self) {
        self.reached.notified().await;
    }

    /// A call: one step before it, one after it.
    pub(super) async fn around<T>(&self, call: impl Future<Output = T>) -> T {
        self.step().await;
        let answer = call.await;
        self.step().await;
        answer
    }

    async fn step(&self) {
        match self.left.fetch_sub(1, Ordering::SeqCst) {
            2.. => {}
            at => {
                if at == 1 {
                    self.reached.notify_one();
                }
                std::future::pending::<()>().await;
            }
        }
    }
}
