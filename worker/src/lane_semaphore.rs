//! A semaphore for which urgent images need not stand behind routine ones.
//!
//! Permits go to the lane `stat` first and to each lane in order. Routine images are passed over a bounded number of times.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use lobar_core::image::{Lane, Lanes};
use tokio::sync::oneshot;

/// See the module's documentation.
#[derive(Clone, Debug)]
pub(crate) struct LaneSemaphore(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    free: usize,
    total: usize,
    waiting: Lanes<VecDeque<Waiter>>,
    /// How often urgent images may go before waiting routine ones, and how often they have in a row.
    patience: u32,
    passed_over: u32,
}

#[derive(Debug)]
struct Waiter {
    permits: usize,
    granted: oneshot::Sender<Permits>,
}

/// Permits; dropping them gives them back.
#[derive(Debug)]
pub(crate) struct Permits {
    of: LaneSemaphore,
    count: usize,
}

impl LaneSemaphore {
    /// A semaphore of `total` permits; routine images are passed over at most `patience` times in a row.
    pub(crate) fn new(total: usize, patience: u32) -> Self {
        let waiting = Lanes::default();
        let state = State { free: total, total, waiting, patience, passed_over: 0 };
        Self(Arc::new(Mutex::new(state)))
    }

    /// Waits for `count` permits, or for all that there are where it asks for more. Who stops waiting leaves the queue.
    pub(crate) async fn acquire(&self, lane: Lane, count: usize) -> Permits {
        let granted = {
            let mut state = self.state();
            let permits = count.min(state.total);
            let (granted, wait) = oneshot::channel();
            state.waiting.of_mut(lane).push_back(Waiter { permits, granted });
            wait
        };
        self.grant();
        // The sender is dropped with the semaphore only, which this holds.
        granted.await.expect("the semaphore is there")
    }

    /// Gives out what is free, to those whose turn it is.
    fn grant(&self) {
        loop {
            let next = self.state().next(self);
            let Some((granted, permits)) = next else { return };
            // Who waits no more gives them back by dropping them, here or on its side.
            drop(granted.send(permits));
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Figures are whole after every statement.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Who is to have permits now; `None` while what is free is not enough for who is next.
    fn next(&mut self, of: &LaneSemaphore) -> Option<(oneshot::Sender<Permits>, Permits)> {
        for lane in Lane::ALL {
            self.waiting.of_mut(lane).retain(|waiter| !waiter.granted.is_closed());
        }
        let [stat_waits, routine_waits] = Lane::ALL.map(|lane| !self.waiting.of(lane).is_empty());
        let is_due = routine_waits && self.passed_over >= self.patience;
        let lane = if stat_waits && !is_due { Lane::Stat } else { Lane::Routine };
        let queue = self.waiting.of_mut(lane);
        let waiter = queue.pop_front_if(|waiter| waiter.permits <= self.free)?;
        let passes_over = lane == Lane::Stat && routine_waits;
        self.passed_over = if passes_over { self.passed_over + 1 } else { 0 };
        self.free -= waiter.permits;
        Some((waiter.granted, Permits { of: of.clone(), count: waiter.permits }))
    }
}

impl Drop for Permits {
    fn drop(&mut self) {
        self.of.state().free += self.count;
        self.of.grant();
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;

    /// Who is let in, in order, as one permit after the other comes free.
    async fn order(patience: u32, waiting: &[Lane]) -> Vec<usize> {
        let semaphore = LaneSemaphore::new(1, patience);
        let held = semaphore.acquire(Lane::Routine, 1).await;
        let mut waits: Vec<_> =
            waiting.iter().map(|lane| Box::pin(semaphore.acquire(*lane, 1))).collect();
        assert!(waits.iter_mut().all(|wait| wait.now_or_never().is_none()));
        drop(held);
        let mut order = Vec::new();
        while order.len() < waiting.len() {
            for (place, wait) in waits.iter_mut().enumerate() {
                if !order.contains(&place) && wait.now_or_never().is_some() {
                    order.push(place);
                    break;
                }
            }
        }
        order
    }

    #[tokio::test]
    async fn urgent_images_go_first_and_each_lane_in_order() {
        use Lane::{Routine, Stat};
        assert_eq!(order(9, &[Routine, Routine, Stat, Routine, Stat]).await, [2, 4, 0, 1, 3]);
    }

    #[tokio::test]
    async fn routine_images_are_passed_over_a_bounded_number_of_times() {
        use Lane::{Routine, Stat};
        assert_eq!(order(2, &[Routine, Stat, Stat, Stat, Routine]).await, [1, 2, 0, 3, 4]);
    }

    #[tokio::test]
    async fn who_asks_for_much_is_not_passed_over_by_who_asks_for_little() {
        let semaphore = LaneSemaphore::new(10, 3);
        let held = semaphore.acquire(Lane::Routine, 4).await;
        let mut much = Box::pin(semaphore.acquire(Lane::Routine, 8));
        assert!((&mut much).now_or_never().is_none());
        let mut little = Box::pin(semaphore.acquire(Lane::Routine, 1));
        assert!((&mut little).now_or_never().is_none());
        drop(held);
        let all = (&mut much).now_or_never().expect("there is room");
        assert!((&mut little).now_or_never().is_some(), "beside it");
        drop(all);
        // More than there ever are is all of them.
        assert!(semaphore.acquire(Lane::Stat, 100).now_or_never().is_some());
    }

    #[tokio::test]
    async fn who_stops_waiting_keeps_nobody_waiting() {
        let semaphore = LaneSemaphore::new(1, 3);
        let held = semaphore.acquire(Lane::Stat, 1).await;
        let mut gone = Box::pin(semaphore.acquire(Lane::Stat, 1));
        assert!((&mut gone).now_or_never().is_none());
        let mut granted = Box::pin(semaphore.acquire(Lane::Routine, 1));
        assert!((&mut granted).now_or_never().is_none());
        drop(gone);
        drop(held);
        // It was given one, and never takes it.
        drop(granted);
        assert!(semaphore.acquire(Lane::Routine, 1).now_or_never().is_some());
    }
}
