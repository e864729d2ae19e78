//! Files that say of which batch they are: added to it before they are admitted, so that none is counted that was not told
//! of, and what was there before is known as that.

use std::collections::BTreeMap;

use lobar_core::access::SiteName;
use lobar_core::batch::{Added, BatchId, BatchMention};
use lobar_core::object::{ImageId, ObjectVersion};

use crate::intake::Intake;
use crate::outage::{Outage, Service};

/// Files of batches, by batch and site.
#[derive(Default)]
pub(crate) struct Mentions(BTreeMap<(BatchId, Option<SiteName>), Vec<ImageId>>);

impl Mentions {
    /// Notes what an object says.
    pub(crate) fn note(&mut self, batch: Option<BatchId>, object: &ObjectVersion) {
        let Some(batch) = batch else { return };
        let site = object.site().and_then(SiteName::parse);
        self.0.entry((batch, site)).or_default().push(object.id());
    }

    /// What one object says.
    pub(crate) fn of(batch: Option<BatchId>, object: &ObjectVersion) -> Self {
        let mut mentions = Self::default();
        mentions.note(batch, object);
        mentions
    }
}

impl Intake {
    /// Adds files to their batches. An image is worth more than its batch: what the store rejects for good is told of and
    /// left out.
    pub(crate) async fn add_to_batches(
        &self,
        mentions: Mentions,
        added: Added,
    ) -> Result<(), Outage> {
        for ((batch, site), files) in mentions.0 {
            let to = BatchMention { batch, site, by: None };
            match self.batches.add(&to, &files, added).await {
                Ok(true) => {}
                Ok(false) => tracing::warn!(
                    %batch,
                    files = files.len(),
                    "files say that they are of a batch of another site; they are admitted without it"
                ),
                Err(error) if error.is_transient() => {
                    return Err(Outage::of(Service::Store)(error));
                }
                Err(error) => tracing::error!(
                    %error, %batch,
                    files = files.len(),
                    "the store rejected files for their batch; they are admitted without it"
                ),
            }
        }
        Ok(())
    }
}
