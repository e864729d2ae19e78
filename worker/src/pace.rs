//! How often a worker begins a transaction of one kind: routine images wait a moment for others, so that many share one.
//!
//! The store writes one transaction after the other, and a transaction costs it nearly the same for one image as for fifty. Several
//! workers that each wrote at once what each had would keep it busy with transactions (docs/benchmarks.md). An image that comes
//! after a pause waits for nothing, and neither does an urgent one.

use std::time::Duration;

use lobar_core::image::Lane;
use tokio::time::Instant;

/// Shortest time from the end of one transaction to the beginning of the next.
const PAUSE: Duration = Duration::from_millis(20);
/// So many images wait for no more.
const ENOUGH: usize = 64;

/// See the module's documentation.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    /// When the last transaction ended; `None` before the first.
    last: Option<Instant>,
}

impl Pace {
    /// Until when the images of these lanes wait for others; `None` when they wait no longer.
    pub(crate) fn wait(&self, lanes: impl ExactSizeIterator<Item = Lane>) -> Option<Instant> {
        let due = self.last? + PAUSE;
        let waits = lanes.len() < ENOUGH && Instant::now() < due;
        (waits && lanes.into_iter().all(|lane| lane == Lane::Routine)).then_some(due)
    }

    /// A transaction has ended.
    pub(crate) fn ended(&mut self) {
        self.last = Some(Instant::now());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn routine_images_wait_for_others_when_a_transaction_has_just_ended() {
        let mut pace = Pace::default();
        let routine = || [Lane::Routine; 3].into_iter();
        assert_eq!(pace.wait(routine()), None, "the first waits for nothing");
        pace.ended();
        let due = pace.wait(routine()).expect("waits");
        assert_eq!(due - Instant::now(), PAUSE);
        tokio::time::advance(PAUSE).await;
        assert_eq!(pace.wait(routine()), None, "nor longer than that");
    }

    #[tokio::test(start_paused = true)]
    async fn urgent_images_and_a_full_transaction_wait_for_nothing() {
        let mut pace = Pace::default();
        pace.ended();
        assert_eq!(pace.wait([Lane::Routine, Lane::Stat].into_iter()), None);
        assert_eq!(pace.wait([Lane::Routine; ENOUGH].into_iter()), None);
        assert!(pace.wait([Lane::Routine; ENOUGH - 1].into_iter()).is_some());
    }
}
