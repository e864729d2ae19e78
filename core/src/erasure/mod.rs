//! Port of erasure: what is known of an image is deleted for good, and nothing brings it back. [`ErasurePorts`] does it
//! with the bucket, and goes on where a process ended in the middle.
//!
//! An image is erased in two steps. The store forgets everything of it at once, in one transaction: from then on nothing is
//! served. What names its object is kept beside until the bucket has deleted it. Then only a tombstone is left: the id, the
//! site, why, and when. The id is a hash of bucket, key and version, so it stays the same, and stays erased.
//!
//! What it promises, each sentence a test of the contract suite:
//!
//! - An erased image is unknown, and neither listed nor counted.
//! - What was said of an erased image is gone, by readers and by a shadow.
//! - An event says that an erased image was removed, and names its site.
//! - The audit record says who erased an image, and why.
//! - A late notification does not bring an erased image back.
//! - A look into the bucket does not bring an erased image back.
//! - Work on an erased image is refused.
//! - A later version of an erased key is admitted as any other.
//! - An older version of an erased key that is told of late is not kept.
//! - A version that was erased before it was admitted is not admitted.
//! - An erased object is named until it is finished, and afterwards nothing names it.
//! - Erasing again what waits changes nothing, and what was finished waits again.
//! - By age nothing is erased a second time, be it finished or not.
//! - Messages in quarantine that name an erased object lose their bytes.
//! - Objects are found by their key, by the beginning of it, and by their age.
//! - Everything survives closing and opening.

mod finish;
mod mention;
mod reason;

use std::time::Duration;

use async_trait::async_trait;
use serde_json::Value;

use crate::access::{Role, SiteName};
use crate::audit::{Actor, ActorKind};
use crate::failure::PortError;
use crate::object::{ImageId, ObjectVersion};
use crate::study::PatientId;
use crate::time::Stamp;

pub use finish::{Erased, ErasurePorts};
pub use mention::Mentions;
pub use reason::ErasureReason;

/// Who erases, and why. It goes into the audit record.
#[derive(Clone, Debug, PartialEq)]
pub struct ErasureOrder {
    /// Why.
    pub reason: ErasureReason,
    /// Who.
    pub actor: Actor,
    /// In which role.
    pub role: Option<Role>,
    /// The request, as answers and logs name it.
    pub request: Option<String>,
    /// What else the audit record tells of whoever asked: an object, or null.
    pub detail: Value,
}

impl ErasureOrder {
    /// Whether nobody asked for it: the time of the images is over.
    pub fn is_by_age(&self) -> bool {
        self.reason == ErasureReason::Retention && self.actor.kind == ActorKind::System
    }
}

/// What is left of an erased image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tombstone {
    /// Its id.
    pub id: ImageId,
    /// Its site; `None` where that was unknown.
    pub site: Option<SiteName>,
    /// Why it was erased; `None` for a word of another release.
    pub reason: Option<ErasureReason>,
    /// When it was asked for. From then on nothing of it was served.
    pub asked_at: Stamp,
    /// When its object was gone from the bucket; `None` until then.
    pub erased_at: Option<Stamp>,
}

/// Which objects to look for among the images.
#[derive(Clone, PartialEq, Eq)]
pub enum ObjectSelector {
    /// Every version of one key.
    Key {
        /// The bucket.
        bucket: String,
        /// The key. Personal.
        key: String,
    },
    /// Every version of every key that begins so.
    Prefix {
        /// The bucket.
        bucket: String,
        /// The beginning. Personal.
        prefix: String,
    },
    /// Every image of a patient, by their id or by one that was merged into it.
    Patient {
        /// Their site.
        site: SiteName,
        /// Their id.
        id: PatientId,
    },
    /// The other images of an image's instance: of the same site, SOP Instance UID and patient.
    Instance(ImageId),
    /// Images that were received, and finished, longer ago: the same bytes put again are the same image, received long ago.
    OlderThan(Duration),
}

/// See the module's documentation.
#[async_trait]
pub trait Erasures: Send + Sync {
    /// Forgets images, whether or not they were admitted, in one transaction; answers those that were not waiting to be
    /// finished already. By age ([`ErasureOrder::is_by_age`]) what was finished is passed over, too: another process came
    /// first. A few hundred objects at most.
    async fn erase(
        &self,
        objects: &[ObjectVersion],
        order: &ErasureOrder,
    ) -> Result<Vec<ImageId>, PortError>;

    /// Up to `limit` objects of erased images that the bucket may still have, in the order of their images, after one.
    async fn unfinished(
        &self,
        after: Option<ImageId>,
        limit: usize,
    ) -> Result<Vec<ObjectVersion>, PortError>;

    /// The object of one erased image that the bucket may still have; `None` where it waits for nothing.
    async fn unfinished_of(&self, id: ImageId) -> Result<Option<ObjectVersion>, PortError>;

    /// The objects of these erased images are gone: what named them is deleted.
    async fn finish(&self, erased: &[ImageId]) -> Result<(), PortError>;

    /// What is left of an image; `None` where none of this id was erased.
    async fn tombstone(&self, id: ImageId) -> Result<Option<Tombstone>, PortError>;

    /// Up to `limit` objects of images that are not erased, after one; by age the oldest first, without `after`.
    async fn find(
        &self,
        which: &ObjectSelector,
        after: Option<ImageId>,
        limit: usize,
    ) -> Result<Vec<ObjectVersion>, PortError>;
}
