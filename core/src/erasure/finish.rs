//! Erasing with the bucket. Each step may be done again, so whoever is interrupted, or comes second, does no harm.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::{ErasureOrder, Erasures, ObjectSelector};
use crate::failure::PortError;
use crate::object::{ImageId, ObjectVersion};
use crate::object_store::{EraseError, ListedVersion, ObjectErasure, VersionMarker};
use crate::time::Stamp;

/// Objects that are forgotten, or deleted, together.
const TOGETHER: usize = 100;

/// What erasing takes.
#[derive(Clone)]
pub struct ErasurePorts {
    /// What is known of images.
    pub erasures: Arc<dyn Erasures>,
    /// Their objects.
    pub objects: Arc<dyn ObjectErasure>,
}

/// What became of erased images.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Erased {
    /// Those that are erased by this. Others were before.
    pub images: Vec<ImageId>,
    /// How many objects are gone from the bucket.
    pub gone: u64,
    /// How many the bucket refuses to delete: see [`EraseError::Refused`]. They go on waiting.
    pub refused: u64,
}

impl ErasurePorts {
    /// Erases every version of a key, known to the store or only to the bucket. Where the bucket cannot be asked, what
    /// the store knows is erased from it all the same.
    ///
    /// # Errors
    /// The store or the bucket could not be asked. What was forgotten stays forgotten; [`ErasurePorts::finish`] goes on
    /// with it, but does not look for further versions.
    pub async fn erase_key(
        &self,
        (bucket, key): (&str, &str),
        order: &ErasureOrder,
    ) -> Result<Erased, PortError> {
        let which = ObjectSelector::Key { bucket: bucket.into(), key: key.into() };
        let mut found = self.known(&which).await?;
        let listed = self.versions_of(bucket, key).await;
        let unlisted = match listed {
            Ok(versions) => {
                found.extend(versions.into_iter().map(|one| one.object));
                None
            }
            Err(error) => Some(error),
        };
        let found = distinct(found);
        let images = self.forget(&found, order).await?;
        match unlisted {
            Some(error) => Err(error),
            None => Ok(Erased { images, ..self.finish_some(&found).await? }),
        }
    }

    /// Erases an image and the others of its instance, each with every version of its key. The image comes last: what was
    /// interrupted can be asked for again by it.
    ///
    /// # Errors
    /// As [`ErasurePorts::erase_key`].
    pub async fn erase_image(
        &self,
        object: &ObjectVersion,
        order: &ErasureOrder,
    ) -> Result<Erased, PortError> {
        let mut keys = self.known(&ObjectSelector::Instance(object.id())).await?;
        keys.retain(|other| (&other.bucket, &other.key) != (&object.bucket, &object.key));
        keys.push(object.clone());
        let (mut done, mut failed) = (Erased::default(), None);
        for ObjectVersion { bucket, key, .. } in &keys {
            match self.erase_key((bucket, key), order).await {
                Ok(Erased { images, gone, refused }) => {
                    done.images.extend(images);
                    done.gone += gone;
                    done.refused += refused;
                }
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        failed.map_or(Ok(done), Err)
    }

    /// Every version of a key that its bucket lists. Another bucket than the configured one, of earlier settings, is not
    /// listed.
    ///
    /// # Errors
    /// The bucket could not be asked.
    pub async fn versions_of(
        &self,
        bucket: &str,
        key: &str,
    ) -> Result<Vec<ListedVersion>, PortError> {
        let (mut found, mut after) = (Vec::new(), None);
        while bucket == self.objects.bucket() {
            let page = self.objects.versions(key, after).await?;
            // The shortest key of a prefix is listed first, so the others need not be read.
            let others = page.versions.iter().any(|one| one.object.key != key);
            found.extend(page.versions.into_iter().filter(|one| one.object.key == key));
            after = page.next;
            if others || after.is_none() {
                break;
            }
        }
        Ok(found)
    }

    /// Every version of every key that begins so, known to the store or only to the bucket. Nothing is erased by this.
    ///
    /// # Errors
    /// The store or the bucket could not be asked.
    pub async fn below(&self, prefix: &str) -> Result<Vec<ObjectVersion>, PortError> {
        let bucket = self.objects.bucket().to_owned();
        let which = ObjectSelector::Prefix { bucket, prefix: prefix.to_owned() };
        let mut found = self.known(&which).await?;
        let mut after: Option<VersionMarker> = None;
        loop {
            let page = self.objects.versions(prefix, after).await?;
            found.extend(page.versions.into_iter().map(|one| one.object));
            after = page.next;
            if after.is_none() {
                return Ok(distinct(found));
            }
        }
    }

    /// Erases finished images that were received longer ago than `age`, and older versions of their keys: a batch of them.
    /// Younger versions stay. Answers nothing once there is nothing to erase.
    ///
    /// # Errors
    /// The store or the bucket could not be asked.
    pub async fn erase_old(
        &self,
        age: std::time::Duration,
        now: Stamp,
        order: &ErasureOrder,
    ) -> Result<Option<Erased>, PortError> {
        let which = ObjectSelector::OlderThan(age);
        let mut found = self.erasures.find(&which, None, TOGETHER).await?;
        if found.is_empty() {
            return Ok(None);
        }
        let before = now.minus(age);
        let keys: BTreeSet<(String, String)> =
            found.iter().map(|object| (object.bucket.clone(), object.key.clone())).collect();
        for (bucket, key) in &keys {
            let versions = self.versions_of(bucket, key).await?.into_iter();
            let old = versions.filter(|one| !one.latest && one.modified_at < before);
            found.extend(old.map(|one| one.object));
        }
        self.erase(&distinct(found), order).await.map(Some)
    }

    /// Erases these objects.
    ///
    /// # Errors
    /// The store or the bucket could not be asked. [`ErasurePorts::finish`] goes on with what was forgotten.
    pub async fn erase(
        &self,
        objects: &[ObjectVersion],
        order: &ErasureOrder,
    ) -> Result<Erased, PortError> {
        let images = self.forget(objects, order).await?;
        Ok(Erased { images, ..self.finish_some(objects).await? })
    }

    /// Deletes the objects of all erased images that wait for it.
    ///
    /// # Errors
    /// The store or the bucket could not be asked. What was deleted until then stays so. An object that fails in a way that
    /// will not pass holds up no other: the first such error is answered once all were tried.
    pub async fn finish(&self) -> Result<Erased, PortError> {
        let (mut done, mut after, mut failed) = (Erased::default(), None, None);
        loop {
            let page = self.erasures.unfinished(after, TOGETHER).await?;
            let Some(last) = page.last().map(ObjectVersion::id) else {
                return failed.map_or(Ok(done), Err);
            };
            after = Some(last);
            let of_page = self.delete(&page, &mut done).await?;
            failed = failed.or(of_page);
        }
    }

    /// Deletes the object of one erased image, if it waits for that.
    ///
    /// # Errors
    /// The store or the bucket could not be asked.
    pub async fn finish_one(&self, id: ImageId) -> Result<Erased, PortError> {
        match self.erasures.unfinished_of(id).await? {
            Some(object) => self.finish_some(&[object]).await,
            None => Ok(Erased::default()),
        }
    }

    async fn known(&self, which: &ObjectSelector) -> Result<Vec<ObjectVersion>, PortError> {
        let (mut found, mut after) = (Vec::new(), None);
        loop {
            let page = self.erasures.find(which, after, TOGETHER).await?;
            after = page.last().map(ObjectVersion::id);
            let last = page.len() < TOGETHER;
            found.extend(page);
            if last {
                return Ok(found);
            }
        }
    }

    async fn forget(
        &self,
        objects: &[ObjectVersion],
        order: &ErasureOrder,
    ) -> Result<Vec<ImageId>, PortError> {
        let mut images = Vec::new();
        for batch in objects.chunks(TOGETHER) {
            images.extend(self.erasures.erase(batch, order).await?);
        }
        Ok(images)
    }

    async fn finish_some(&self, objects: &[ObjectVersion]) -> Result<Erased, PortError> {
        let mut done = Erased::default();
        match self.delete(objects, &mut done).await? {
            Some(failed) => Err(failed),
            None => Ok(done),
        }
    }

    /// Deletes objects of images that were forgotten, and answers the first error that will not pass, once all were tried.
    async fn delete(
        &self,
        objects: &[ObjectVersion],
        done: &mut Erased,
    ) -> Result<Option<PortError>, PortError> {
        let mut of_keys: BTreeMap<(&str, &str), Vec<&ObjectVersion>> = BTreeMap::new();
        for object in objects {
            of_keys.entry((&object.bucket, &object.key)).or_default().push(object);
        }
        let mut failed = None;
        for ((bucket, key), versions) in of_keys {
            let mut gone: Vec<ImageId> = Vec::new();
            for object in versions {
                match self.objects.erase(object).await {
                    Ok(()) => gone.push(object.id()),
                    Err(EraseError::Refused) => done.refused += 1,
                    Err(EraseError::Port(error)) if error.is_transient() => return Err(error),
                    Err(EraseError::Port(error)) => failed = failed.or(Some(error)),
                }
            }
            // The markers bear the key, too.
            match self.objects.erase_markers(bucket, key).await {
                Ok(()) => {}
                Err(EraseError::Refused) => {
                    done.refused += gone.len() as u64;
                    continue;
                }
                Err(EraseError::Port(error)) if error.is_transient() => return Err(error),
                Err(EraseError::Port(error)) => {
                    failed = failed.or(Some(error));
                    continue;
                }
            }
            self.erasures.finish(&gone).await?;
            done.gone += gone.len() as u64;
        }
        Ok(failed)
    }
}

/// Each image once, the first of several: what the store knows has a sequencer.
fn distinct(objects: Vec<ObjectVersion>) -> Vec<ObjectVersion> {
    let mut seen = BTreeSet::new();
    objects.into_iter().filter(|object| seen.insert(object.id())).collect()
}
