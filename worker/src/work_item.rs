//! An image on its way through the worker, and how work on it ends.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use lobar_consumer::Lease;
use lobar_core::engine::NetworkInput;
use lobar_core::image::Lane;
use lobar_core::object::ImageId;
use lobar_core::queue::Settlement;
use lobar_core::store::{Basis, Claimed, Held, Outcome};
use lobar_trace::Ongoing;
use tokio::sync::OwnedSemaphorePermit;

use crate::slots::Slot;

/// A message in hand.
pub(crate) struct LeasedMessage {
    /// The queue it came from.
    pub(crate) lane: Lane,
    pub(crate) lease: Lease,
    pub(crate) receive_count: u32,
    /// All that is done about it, from its receipt to its settlement.
    pub(crate) span: Ongoing,
    pub(crate) _slot: Slot,
}

/// An image in hand.
pub(crate) struct WorkItem {
    pub(crate) message: LeasedMessage,
    pub(crate) claimed: Claimed,
    /// The turn of an image that was in a crash; see `suspect`.
    pub(crate) suspect_permit: Option<OwnedSemaphorePermit>,
    pub(crate) in_flight_guard: InFlightGuard,
    /// What was read, and which model was asked.
    pub(crate) basis: Basis,
}

impl WorkItem {
    pub(crate) fn held(&self) -> Held {
        self.claimed.held()
    }

    /// Whether it may share no batch.
    pub(crate) fn runs_alone(&self) -> bool {
        self.suspect_permit.as_ref().is_some_and(|suspect_permit| suspect_permit.num_permits() > 1)
    }

    pub(crate) fn lease_is_lost(&self) -> bool {
        self.message.lease.lost().is_cancelled()
    }
}

/// An image ready for the device.
pub(crate) struct Decoded {
    pub(crate) item: WorkItem,
    pub(crate) input: NetworkInput,
    pub(crate) warnings: Vec<String>,
    pub(crate) timings_ms: BTreeMap<String, f64>,
    /// When it was ready.
    pub(crate) since: Instant,
}

/// How work on an image ended.
#[derive(Debug)]
pub(crate) enum End {
    /// With an outcome, to be written.
    Complete(Outcome),
    /// It failed, and the attempt counts.
    Retry,
    /// It was not its fault, and the attempt does not count.
    Release(Settlement),
    /// The lease is lost: given back in the store, nothing to settle.
    Lost,
}

/// Why a job is put aside on the dead-letter queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DeadLetter {
    /// It cannot be read.
    Unreadable,
    /// The store does not know its image.
    UnknownImage,
    /// The store rejects every claim of its image.
    ClaimRejected,
}

impl DeadLetter {
    pub(crate) const ALL: [Self; 3] = [Self::Unreadable, Self::UnknownImage, Self::ClaimRejected];

    /// The stable code, as in metrics.
    pub(crate) fn code(self) -> &'static str {
        match self {
            Self::Unreadable => "unreadable",
            Self::UnknownImage => "unknown_image",
            Self::ClaimRejected => "claim_rejected",
        }
    }

    /// The reason that stays with the message.
    pub(crate) fn text(self) -> &'static str {
        match self {
            Self::Unreadable => "not a job message of this release",
            Self::UnknownImage => "the store does not know this image",
            Self::ClaimRejected => "the store rejects every claim of this image",
        }
    }
}

/// What the finisher gets.
#[expect(clippy::large_enum_variant, reason = "nearly all of them are images")]
pub(crate) enum Finished {
    /// An image, and how work on it ended.
    Image(WorkItem, End),
    /// A message that no image is claimed for.
    Message(LeasedMessage, Settlement),
}

impl Finished {
    /// The lane of its message.
    pub(crate) fn lane(&self) -> Lane {
        match self {
            Self::Image(item, _) => item.message.lane,
            Self::Message(message, _) => message.lane,
        }
    }
}

/// The images in this process's hands. A second job for one of them waits, since claiming it would
/// void the first one's fence.
#[derive(Clone, Debug, Default)]
pub(crate) struct InFlight(Arc<Mutex<HashSet<ImageId>>>);

impl InFlight {
    /// `None` when the image is in work already.
    pub(crate) fn insert(&self, id: ImageId) -> Option<InFlightGuard> {
        let entered = self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(id);
        entered.then(|| InFlightGuard { in_flight: self.clone(), id })
    }
}

/// One image's place on the roll.
#[derive(Debug)]
pub(crate) struct InFlightGuard {
    in_flight: InFlight,
    pub(crate) id: ImageId,
}

impl Drop for InFlightGuard {
    fn drop(&mut self) {
        self.in_flight.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.id);
    }
}
