//! Slots: semaphore permits that bound the images in flight. Held from receipt to settlement.

use std::sync::Arc;

use lobar_core::image::Lane;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::capacity::Capacity;

/// One image's place. Dropping it makes room for another.
#[derive(Debug)]
pub(crate) struct Slot(#[expect(dead_code, reason = "held for its drop")] OwnedSemaphorePermit);

/// All slots: some for any image, some for urgent ones only.
#[derive(Debug)]
pub(crate) struct Slots {
    shared: Arc<Semaphore>,
    reserved: Arc<Semaphore>,
    total: usize,
}

impl Slots {
    /// As many as `capacity` says.
    pub(crate) fn new(capacity: &Capacity) -> Self {
        Self {
            shared: Arc::new(Semaphore::new(capacity.routine_slots())),
            reserved: Arc::new(Semaphore::new(capacity.stat_slots())),
            total: capacity.slots(),
        }
    }

    pub(crate) fn total(&self) -> usize {
        self.total
    }

    pub(crate) fn in_use(&self) -> usize {
        self.total - self.shared.available_permits() - self.reserved.available_permits()
    }

    /// Waits for a slot, then takes up to `max` that are free. `stat` draws on its own slots, and on
    /// the shared ones when those are taken or when it is `saturated`: an idle receiver must not sit
    /// on places that the other lane could use.
    pub(crate) async fn take(&self, lane: Lane, max: usize, saturated: bool) -> Vec<Slot> {
        let first = match lane {
            Lane::Routine => self.shared.clone().acquire_owned().await,
            Lane::Stat => tokio::select! {
                biased;
                slot = self.reserved.clone().acquire_owned() => slot,
                slot = self.shared.clone().acquire_owned() => slot,
            },
        };
        let mut slots: Vec<Slot> = first.map(Slot).into_iter().collect();
        let pools: &[&Arc<Semaphore>] = match (lane, saturated) {
            (Lane::Routine, _) => &[&self.shared],
            (Lane::Stat, false) => &[&self.reserved],
            (Lane::Stat, true) => &[&self.reserved, &self.shared],
        };
        for pool in pools {
            while slots.len() < max
                && let Ok(slot) = Arc::clone(pool).try_acquire_owned()
            {
                slots.push(Slot(slot));
            }
        }
        slots
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Eight slots, three of them for `stat`.
    fn eight() -> Slots {
        let capacity = Capacity::for_batch(1).and_then(|capacity| capacity.with_slots(8, 3));
        Slots::new(&capacity.expect("valid"))
    }

    #[tokio::test]
    async fn routine_cannot_take_what_is_reserved_for_stat() {
        let slots = eight();
        let routine = slots.take(Lane::Routine, 100, true).await;
        assert_eq!(routine.len(), 5);
        let stat = slots.take(Lane::Stat, 100, false).await;
        assert_eq!(stat.len(), 3);
        assert_eq!(slots.in_use(), 8);
        drop(routine);
        assert_eq!(slots.in_use(), 3);
    }

    #[tokio::test]
    async fn stat_uses_shared_slots_only_when_flooded_or_out_of_its_own() {
        let slots = eight();
        let calm = slots.take(Lane::Stat, 100, false).await;
        assert_eq!(calm.len(), 3);
        let next = slots.take(Lane::Stat, 100, false).await;
        assert_eq!(next.len(), 1, "its own are taken, so one of the shared");
        drop((calm, next));
        assert_eq!(slots.take(Lane::Stat, 100, true).await.len(), 8);
    }

    #[tokio::test]
    async fn routine_can_take_a_full_batch_however_small_the_batch_is() {
        for batch in [1, 2, 3] {
            let slots = Slots::new(&Capacity::for_batch(batch).expect("valid"));
            let taken = slots.take(Lane::Routine, 2 * batch, false).await;
            assert_eq!(taken.len(), 2 * batch, "batch {batch}");
        }
    }
}
