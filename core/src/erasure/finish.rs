//! Erasing with the bucket. Each step may be done again, so whoever is interrupted, or comes second, does no harm.

use std::collections::{BTreeMap, BTreeSet};

use super::{ErasureOrder, Erasures, ObjectSelector};
use crate::failure::PortError;
use crate::object::{ImageId, ObjectVersion};
use crate::object_store::{EraseError, ObjectErasure, VersionMarker};
use crate::time::Stamp;

/// Objects that are forgotten, or deleted, together.
const TOGETHER: usize = 100;

/// What became of objects of erased images.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Finished {
    /// Those that are gone from the bucket.
    pub gone: u64,
    /// Those that the bucket refuses to delete: see [`EraseError::Refused`]. They go on waiting.
    pub refused: u64,
}

/// Every version of a key, known to the store or only to the bucket; with `before` only those of an earlier time. Keys are
/// never compared but whole.
///
/// # Errors
/// The store or the bucket could not be asked.
pub async fn versions(
    erasures: &dyn Erasures,
    objects: &dyn ObjectErasure,
    (bucket, key): (&str, &str),
    before: Option<Stamp>,
) -> Result<Vec<ObjectVersion>, PortError> {
    let which = ObjectSelector::Key { bucket: bucket.into(), key: key.into() };
    let mut found = match before {
        None => known(erasures, &which).await?,
        Some(_) => Vec::new(),
    };
    // Another bucket than ours, of earlier settings, is not listed.
    if bucket == objects.bucket() {
        // The shortest key of a prefix comes first, so the others need not be read.
        listed(objects, key, &mut found, |one, at| {
            (one == key).then_some(before.is_none_or(|before| at < before))
        })
        .await?;
    }
    Ok(distinct(found))
}

/// Every version of every key that begins with one of these, known to the store or only to the bucket.
///
/// # Errors
/// The store or the bucket could not be asked.
pub async fn below(
    erasures: &dyn Erasures,
    objects: &dyn ObjectErasure,
    prefixes: &[String],
) -> Result<Vec<ObjectVersion>, PortError> {
    let mut found = Vec::new();
    for prefix in prefixes {
        let bucket = objects.bucket().to_owned();
        let which = ObjectSelector::Prefix { bucket, prefix: prefix.clone() };
        found.extend(known(erasures, &which).await?);
        listed(objects, prefix, &mut found, |_, _| Some(true)).await?;
    }
    Ok(distinct(found))
}

async fn known(
    erasures: &dyn Erasures,
    which: &ObjectSelector,
) -> Result<Vec<ObjectVersion>, PortError> {
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let page = erasures.find(which, after, TOGETHER).await?;
        after = page.last().map(ObjectVersion::id);
        let last = page.len() < TOGETHER;
        found.extend(page);
        if last {
            return Ok(found);
        }
    }
}

/// Adds the versions that `wanted` says true of, until it says nothing of one.
async fn listed(
    objects: &dyn ObjectErasure,
    prefix: &str,
    found: &mut Vec<ObjectVersion>,
    wanted: impl Fn(&str, Stamp) -> Option<bool>,
) -> Result<(), PortError> {
    let mut after: Option<VersionMarker> = None;
    loop {
        let page = objects.versions(prefix, after).await?;
        for one in page.versions {
            match wanted(&one.object.key, one.modified_at) {
                None => return Ok(()),
                Some(true) => found.push(one.object),
                Some(false) => {}
            }
        }
        after = page.next;
        if after.is_none() {
            return Ok(());
        }
    }
}

/// Each image once, the first of several: what the store knows has a sequencer.
fn distinct(objects: Vec<ObjectVersion>) -> Vec<ObjectVersion> {
    let mut seen = BTreeSet::new();
    objects.into_iter().filter(|object| seen.insert(object.id())).collect()
}

/// Forgets these objects in the store, and then deletes them from the bucket. What the bucket refuses goes on waiting, and
/// an error leaves the rest to [`finish`].
///
/// # Errors
/// The store or the bucket could not be asked. What was forgotten stays forgotten.
pub async fn carry_out(
    erasures: &dyn Erasures,
    objects: &dyn ObjectErasure,
    which: &[ObjectVersion],
    order: &ErasureOrder,
) -> Result<Finished, PortError> {
    for batch in which.chunks(TOGETHER) {
        erasures.erase(batch, order).await?;
    }
    finish_some(erasures, objects, which).await
}

/// Deletes the objects of all erased images that wait for it.
///
/// # Errors
/// The store or the bucket could not be asked. What was deleted until then stays so.
pub async fn finish(
    erasures: &dyn Erasures,
    objects: &dyn ObjectErasure,
) -> Result<Finished, PortError> {
    let (mut done, mut after) = (Finished::default(), None);
    loop {
        let page = erasures.unfinished(after, TOGETHER).await?;
        let Some(last) = page.last().map(ObjectVersion::id) else { return Ok(done) };
        after = Some(last);
        let some = finish_some(erasures, objects, &page).await?;
        done.gone += some.gone;
        done.refused += some.refused;
    }
}

/// Deletes objects of erased images. They must have been erased in the store before.
///
/// # Errors
/// The store or the bucket could not be asked. What was deleted until then stays so.
pub async fn finish_some(
    erasures: &dyn Erasures,
    objects: &dyn ObjectErasure,
    which: &[ObjectVersion],
) -> Result<Finished, PortError> {
    let mut of_keys: BTreeMap<(&str, &str), Vec<&ObjectVersion>> = BTreeMap::new();
    for object in which {
        of_keys.entry((&object.bucket, &object.key)).or_default().push(object);
    }
    let mut done = Finished::default();
    for ((bucket, key), versions) in of_keys {
        let mut gone: Vec<ImageId> = Vec::new();
        for object in versions {
            match objects.erase(object).await {
                Ok(()) => gone.push(object.id()),
                Err(EraseError::Refused) => done.refused += 1,
                Err(EraseError::Port(error)) => return Err(error),
            }
        }
        // The markers bear the key, too.
        match objects.erase_markers(bucket, key).await {
            Ok(()) => {}
            Err(EraseError::Refused) => {
                done.refused += gone.len() as u64;
                continue;
            }
            Err(EraseError::Port(error)) => return Err(error),
        }
        erasures.finish(&gone).await?;
        done.gone += gone.len() as u64;
    }
    Ok(done)
}
