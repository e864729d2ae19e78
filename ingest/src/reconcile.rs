//! Compares the bucket with the store: what lies in the bucket and is no image is notified of anew, images whose object is
//! current again are queued again, and images whose object is gone are marked as removed. The answer to a lost database
//! and to lost notifications.
//!
//! An object without an image gets a notification on the uploads queue, so that it takes the way of every upload. An image
//! without its object is asked for once more by itself before it is marked. Where most images are without their object,
//! the bucket is taken for another one, and none is marked.

use std::sync::Arc;
use std::time::Duration;

use lobar_core::access::Sites;
use lobar_core::failure::PortError;
use lobar_core::image::{Image, State};
use lobar_core::junk::JunkNames;
use lobar_core::notification;
use lobar_core::object::{ImageId, ObjectVersion};
use lobar_core::object_store::{FetchError, ListedVersion, ObjectListing, ObjectStore};
use lobar_core::probe;
use lobar_core::queue::{Outgoing, Queue};
use lobar_core::store::{Filter, Store};
use lobar_core::study::{NEWER_VERSION, SAME_INSTANCE};
use lobar_core::time::{Clock, Stamp};

use crate::junk::is_junk;

/// Images read at once.
const PAGE: usize = 500;
/// Fewer images than this without their object are marked whatever their share.
const FEW: u64 = 20;
/// The states of images whose object should be there.
const HAVE_AN_OBJECT: [State; 5] =
    [State::Queued, State::Analysing, State::Ready, State::NeedsHuman, State::Failed];

/// What a comparison is given.
#[derive(Clone)]
pub struct ReconcilePorts {
    /// Where notifications go.
    pub uploads: Arc<dyn Queue>,
    /// The images.
    pub store: Arc<dyn Store>,
    /// Asked once more for each object that is not listed.
    pub objects: Arc<dyn ObjectStore>,
    /// What lies in the bucket.
    pub listing: Arc<dyn ObjectListing>,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

/// What is compared, and what is done about it.
#[derive(Clone, Debug)]
pub struct ReconcileOptions {
    /// Only keys that begin so.
    pub prefix: String,
    /// What is younger is left alone: its notification may be on its way.
    pub grace: Duration,
    /// Only counts.
    pub dry_run: bool,
    /// Marks images without their object as removed, and forgets their verdicts. Otherwise they are counted as they
    /// were listed: a bucket may let X-rays expire whose results are kept.
    pub mark: bool,
    /// Marks images also where most are without their object.
    pub force: bool,
    /// Names of files that ingest puts aside where they hold no image: they have none in the store, and rightly.
    pub junk: JunkNames,
    /// How long results are kept: the images of older objects say that they were removed, and rightly.
    pub results_kept: Option<Duration>,
}

impl Default for ReconcileOptions {
    fn default() -> Self {
        Self {
            prefix: "incoming/".into(),
            grace: Duration::from_secs(15 * 60),
            dry_run: false,
            mark: true,
            force: false,
            junk: JunkNames::default(),
            results_kept: None,
        }
    }
}

/// What was found, and what was done unless it was a dry run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reconciled {
    /// Objects that are what a reader of their key gets.
    pub objects: u64,
    /// Those that had no image and were notified of.
    pub admitted: u64,
    /// Those whose image said that they were removed or replaced, and which were queued again.
    pub restored: u64,
    /// Images that should have an object.
    pub images: u64,
    /// Those without one, which were marked as removed.
    pub removed: u64,
    /// Those without one, which were not marked, since most images are.
    pub spared: u64,
    /// Those that were not listed, where none was to be marked.
    pub missing: u64,
}

/// Compares once.
///
/// # Errors
/// When a part is away. What was done until then stays done, and the next comparison goes on.
pub async fn reconcile(
    ports: &ReconcilePorts,
    options: &ReconcileOptions,
) -> Result<Reconciled, PortError> {
    let before = told_until(ports).await?.minus(options.grace);
    let mut done = Reconciled::default();
    let listed = objects(ports, options, before, &mut done).await?;
    let gone = images(ports, options, before, &listed, &mut done).await?;
    let found = gone.len() as u64;
    if !options.force && found > FEW && found * 2 > done.images {
        done.spared = found;
        return Ok(done);
    }
    for object in &gone {
        if !options.dry_run {
            ports.store.remove(object).await?;
        }
        done.removed += 1;
    }
    Ok(done)
}

/// Of what happened before this, no notification waits on the uploads queue, as far as it knows.
async fn told_until(ports: &ReconcilePorts) -> Result<Stamp, PortError> {
    let (now, oldest) = (ports.clock.now(), ports.uploads.depth().await?.oldest);
    Ok(oldest.map_or(now, |oldest| oldest.min(now)))
}

/// Notifies of objects without an image; answers the ids of everything that lies there, sorted.
async fn objects(
    ports: &ReconcilePorts,
    options: &ReconcileOptions,
    before: Stamp,
    done: &mut Reconciled,
) -> Result<Vec<ImageId>, PortError> {
    let (mut listed, mut after) = (Vec::new(), None);
    let kept = options.results_kept.map(|kept| kept.saturating_sub(options.grace));
    let oldest = kept.map(|kept| ports.clock.now().minus(kept));
    loop {
        let page = ports.listing.versions(&options.prefix, after).await?;
        listed.extend(page.versions.iter().map(|one| one.object.id()));
        let current: Vec<&ListedVersion> =
            page.versions.iter().filter(|one| one.latest && is_upload(&one.object)).collect();
        let ids: Vec<ImageId> = current.iter().map(|one| one.object.id()).collect();
        let states = ports.store.states(&ids).await?;
        let (mut missing, mut restored) = (Vec::new(), 0);
        for (one, state) in current.into_iter().zip(states) {
            done.objects += 1;
            match state {
                _ if one.modified_at > before => {}
                // It was put aside when it came.
                None if is_junk(&options.junk, &*ports.objects, &one.object).await? => {}
                None => missing.push(Outgoing::now(notification::of(&one.object))),
                Some(State::Removed) if oldest.is_some_and(|oldest| one.modified_at < oldest) => {}
                Some(State::Removed | State::Superseded) => {
                    if is_restored(ports, options, &one.object, before).await? {
                        missing.push(Outgoing::now(notification::of(&one.object)));
                        restored += 1;
                    }
                }
                Some(_) => {}
            }
        }
        done.admitted += missing.len() as u64 - restored;
        done.restored += restored;
        if !options.dry_run {
            for sent in ports.uploads.send(missing).await {
                sent?;
            }
        }
        after = page.next;
        if after.is_none() {
            listed.sort_unstable();
            return Ok(listed);
        }
    }
}

/// The objects of images that are neither listed nor there when they are asked for.
async fn images(
    ports: &ReconcilePorts,
    options: &ReconcileOptions,
    before: Stamp,
    listed: &[ImageId],
    done: &mut Reconciled,
) -> Result<Vec<ObjectVersion>, PortError> {
    let filter = Filter { states: HAVE_AN_OBJECT.into(), ..Filter::at(Sites::All) };
    let (mut gone, mut after) = (Vec::new(), None);
    loop {
        let page = ports.store.list(&filter, after, PAGE).await?;
        let compared = |image: &&Image| {
            image.received_at <= before
                && image.object.bucket == ports.listing.bucket()
                && image.object.key.starts_with(&options.prefix)
        };
        for image in page.items.iter().filter(compared) {
            done.images += 1;
            let is_listed = listed.binary_search(&image.object.id()).is_ok();
            match options.mark {
                _ if is_listed => {}
                false => done.missing += 1,
                true if is_gone(ports, &image.object).await? => gone.push(image.object.clone()),
                true => {}
            }
        }
        after = page.next;
        if after.is_none() {
            return Ok(gone);
        }
    }
}

/// Whether an object whose image says otherwise is what a reader of its key gets, and its image was queued again
/// (in a dry run: would be). Its notification then brings the job.
async fn is_restored(
    ports: &ReconcilePorts,
    options: &ReconcileOptions,
    object: &ObjectVersion,
    before: Stamp,
) -> Result<bool, PortError> {
    // The page may be minutes old.
    let current = match ports.objects.current(object).await {
        Ok(current) => current,
        Err(FetchError::Port(error)) => return Err(error),
        Err(_) => None,
    };
    if current.is_none_or(|image| image.object.id() != object.id()) {
        return Ok(false);
    }
    match options.dry_run {
        // What another image of its instance superseded stays so while that is there; when it goes, it is queued again.
        true => {
            let image = ports.store.image(object.id()).await?;
            let why = image.and_then(|image| image.detail);
            Ok(!matches!(why.as_deref(), Some(SAME_INSTANCE | NEWER_VERSION)))
        }
        false => ports.store.restore(object, before).await,
    }
}

/// Whether the bucket says of an object that it is not there. One that is denied may be.
async fn is_gone(ports: &ReconcilePorts, object: &ObjectVersion) -> Result<bool, PortError> {
    match ports.objects.asked(object).await {
        Err(FetchError::Missing | FetchError::Gone) => Ok(true),
        Err(FetchError::Port(error)) => Err(error),
        _ => Ok(false),
    }
}

/// Not a folder as consoles make them, and no probe.
fn is_upload(object: &ObjectVersion) -> bool {
    let folder = object.size == Some(0) && object.key.ends_with('/');
    !folder && probe::of(&object.key).is_none()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notification::{Item, parse};

    #[test]
    fn ingest_reads_the_notification_as_that_object() {
        for (version, etag) in [(Some("v1"), Some("abc")), (None, Some("abc"))] {
            let object = ObjectVersion {
                bucket: "xrays".into(),
                key: "incoming/north/a b+c é%.jpg".into(),
                version: version.map(str::to_owned),
                etag: etag.map(str::to_owned),
                sequencer: None,
                size: Some(7),
            };
            let items = parse(&notification::of(&object), &["xrays".into()]).items;
            assert_eq!(items, [Item::Seen(object)]);
        }
    }
}
