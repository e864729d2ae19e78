//! Ways to say how many workers there should be.

mod backlog_per_instance;
mod fixed;
mod lobar;
mod queue_length;

use lobar_core::scaling::Load;
use lobar_core::time::Stamp;

pub use backlog_per_instance::BacklogPerInstance;
pub use fixed::Fixed;
pub use lobar::Lobar;
pub use queue_length::QueueLength;

/// What a way of sizing can see.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Seen {
    /// From the beginning of the plan.
    pub now: Stamp,
    /// What Lobar measures.
    pub load: Load,
    /// Messages that no worker has in hand. SQS: visible; RabbitMQ: ready.
    pub ready: u64,
}

/// A way to say how many workers there should be. Asked once a second.
pub trait Sizing {
    /// What the table calls it.
    fn name(&self) -> String;

    /// The fewest workers, which run when the plan begins and in which it ends.
    fn floor(&self) -> u32;

    /// How many workers there should be now, those that start counted.
    fn wanted(&mut self, seen: &Seen) -> u32;
}

/// Whether something that is done every `seconds` is due.
fn is_due(seen: &Seen, seconds: i64) -> bool {
    seen.now.0 / 1_000_000 % seconds == 0
}

#[cfg(test)]
mod tests {
    use lobar_core::image::Lanes;

    use super::*;

    /// So many seconds after the beginning this many images wait, all of them on the queue.
    pub(super) fn seen(second: i64, images: u64, workers: u32) -> Seen {
        let unfinished = Lanes { stat: 0, routine: images };
        let (arrivals, capacity) = (0.0, Some(10.0 * f64::from(workers)));
        let load = Load { unfinished, uploads: 0, arrivals, capacity, workers: Some(workers) };
        Seen { now: Stamp(second * 1_000_000), load, ready: images }
    }

    /// What is wanted at the end of so many seconds in which nothing changes but the workers, which are those that are wanted.
    pub(super) fn after(
        sizing: &mut dyn Sizing,
        seconds: std::ops::Range<i64>,
        images: u64,
    ) -> u32 {
        let mut workers = sizing.floor();
        for second in seconds {
            workers = sizing.wanted(&seen(second, images, workers));
        }
        workers
    }
}
