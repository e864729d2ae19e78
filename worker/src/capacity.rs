//! How much a worker has in hand at once. The figures depend on one another, so they are made together.

use std::fmt;

/// Slots that only urgent images may take, at most: they go first, and many need no more.
const MOST_STAT_SLOTS: usize = 8;
/// Jobs asked for at once, at most.
const MOST_RECEIVED: usize = 32;
/// Files in memory at once, at least: fetching waits for the network, not for a core.
const FEWEST_FETCHES: usize = 16;

/// Sizes of a worker that fit one another, whichever way they were made:
///
/// - `routine` images always have slots for a full batch and for the images being decoded meanwhile
///   ([`Capacity::routine_slots`] ≥ [`Capacity::batch`] + [`Capacity::decoders`]);
/// - `stat` images have at least one slot of their own;
/// - no decoder waits for a file because too few may be in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capacity {
    batch: usize,
    slots: usize,
    stat_slots: usize,
    receive: usize,
    fetches: usize,
    decoders: usize,
}

/// Sizes that do not fit one another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CapacityError {
    /// The size at fault: `batch`, `slots`, `stat_slots`, `receive`.
    pub setting: &'static str,
    why: String,
}

impl fmt::Display for CapacityError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.setting, self.why)
    }
}

impl std::error::Error for CapacityError {}

impl Capacity {
    /// What keeps an engine busy with batches of `batch` images, on the cores of this machine: two batches
    /// and the images being decoded, or four batches where that is more.
    ///
    /// # Errors
    /// For a batch of no images.
    pub fn for_batch(batch: usize) -> Result<Self, CapacityError> {
        Self::for_replicas(batch, 1)
    }

    /// The same for an engine and its replicas, `replicas` in all: two batches more for each.
    ///
    /// # Errors
    /// For a batch of no images.
    pub fn for_replicas(batch: usize, replicas: usize) -> Result<Self, CapacityError> {
        let cores = std::thread::available_parallelism().map_or(2, usize::from);
        Self::on_cores(batch, replicas, cores)
    }

    fn on_cores(batch: usize, replicas: usize, decoders: usize) -> Result<Self, CapacityError> {
        if batch == 0 {
            return Err(refused("batch", "a batch has at least 1 image".into()));
        }
        let stat_slots = batch.clamp(2, MOST_STAT_SLOTS);
        let at_devices = 2 * batch * replicas.max(1);
        let routine =
            (at_devices + 2 * batch).saturating_sub(stat_slots).max(at_devices + decoders);
        Ok(Self {
            batch,
            slots: routine + stat_slots,
            stat_slots,
            receive: routine.min(MOST_RECEIVED),
            fetches: FEWEST_FETCHES.max(2 * decoders),
            decoders,
        })
    }

    /// With `slots` in all, `stat_slots` of them for the `stat` lane alone. Fewer images are decoded at
    /// once where a full batch would otherwise leave no slot for them.
    ///
    /// # Errors
    /// When `stat` gets none, or `routine` gets less than a batch and one image being decoded.
    pub fn with_slots(self, slots: usize, stat_slots: usize) -> Result<Self, CapacityError> {
        if stat_slots == 0 {
            return Err(refused("stat_slots", "urgent images need at least 1 slot".into()));
        }
        let routine = slots.saturating_sub(stat_slots);
        if routine <= self.batch {
            return Err(refused(
                "slots",
                format!(
                    "{slots}, of which {stat_slots} are for urgent images, leave {routine} for the others; \
                     a batch of {} needs one more than that at least",
                    self.batch
                ),
            ));
        }
        let decoders = self.decoders.min(routine - self.batch);
        Ok(Self { slots, stat_slots, decoders, receive: self.receive.min(routine), ..self })
    }

    /// With at most `receive` jobs asked for at once.
    ///
    /// # Errors
    /// For none.
    pub fn with_receive(self, receive: usize) -> Result<Self, CapacityError> {
        match receive {
            0 => Err(refused("receive", "at least 1 job is asked for".into())),
            _ => Ok(Self { receive, ..self }),
        }
    }

    /// Largest batch; the engine's own limit holds as well.
    pub fn batch(&self) -> usize {
        self.batch
    }

    /// Images in the worker's hands at once, from receipt to settlement.
    pub fn slots(&self) -> usize {
        self.slots
    }

    /// How many of them only the `stat` lane may take.
    pub fn stat_slots(&self) -> usize {
        self.stat_slots
    }

    /// How many of them the `routine` lane may take.
    pub fn routine_slots(&self) -> usize {
        self.slots - self.stat_slots
    }

    /// Most jobs asked for at once.
    pub fn receive(&self) -> usize {
        self.receive
    }

    /// Files in memory at once: being fetched, or waiting for a decoder.
    pub fn fetches(&self) -> usize {
        self.fetches
    }

    /// Images decoded at once.
    pub fn decoders(&self) -> usize {
        self.decoders
    }
}

fn refused(setting: &'static str, why: String) -> CapacityError {
    CapacityError { setting, why }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn routine_has_room_for_a_batch_and_for_decoding_whatever_the_batch() {
        for cores in [1, 2, 16, 64] {
            for batch in 1..=256 {
                let capacity = Capacity::on_cores(batch, 1, cores).expect("valid");
                let routine = capacity.routine_slots();
                assert!(routine >= 2 * batch + cores, "batch {batch}: {routine} for routine");
                assert!(capacity.stat_slots() >= 1 && capacity.receive() >= batch.min(32));
                assert!(capacity.fetches() >= capacity.decoders());
            }
        }
        assert!(Capacity::on_cores(0, 1, 2).is_err());
    }

    #[test]
    fn the_usual_batch_has_four_batches_in_hand() {
        let capacity = Capacity::on_cores(16, 1, 2).expect("valid");
        assert_eq!((capacity.slots(), capacity.stat_slots(), capacity.receive()), (64, 8, 32));
    }

    #[test]
    fn every_replica_has_two_batches_more_in_hand() {
        let capacity = Capacity::on_cores(16, 2, 2).expect("valid");
        assert_eq!((capacity.slots(), capacity.stat_slots(), capacity.receive()), (96, 8, 32));
        let capacity = Capacity::on_cores(1, 64, 64).expect("valid");
        assert_eq!(capacity.routine_slots(), 192, "two each, and those being decoded");
    }

    #[test]
    fn slots_that_leave_routine_less_than_a_batch_are_refused_by_name() {
        let capacity = Capacity::on_cores(4, 1, 8).expect("valid");
        assert_eq!(capacity.with_slots(6, 2).expect_err("refused").setting, "slots");
        assert_eq!(capacity.with_slots(6, 0).expect_err("refused").setting, "stat_slots");
        assert_eq!(capacity.with_receive(0).expect_err("refused").setting, "receive");
        let small = capacity.with_slots(8, 2).expect("fits");
        assert_eq!((small.routine_slots(), small.decoders()), (6, 2));
    }
}
