//! One instance of a request: the object that it becomes, and putting that into the bucket.

use std::time::Duration;

use actix_web::web::Data;
use bytes::Bytes;
use lobar_core::access::SiteName;
use lobar_core::audit::{Action, NewEntry};
use lobar_core::failure::PortError;
use lobar_core::image::{Lane, State};
use lobar_core::object::{ImageId, ObjectVersion};
use lobar_core::object_store::{self, Created, FetchError};
use lobar_core::resend::store_again;
use lobar_core::study::{DataSetHash, Uid, instance_key};
use serde_json::json;
use uuid::Uuid;

use super::outcome::{Failure, Instance};
use super::part10;
use crate::access::{Allowed, need};
use crate::context::Context;
use crate::pending_uploads::Upload;
use crate::problem::Problem;
use crate::routes::receive::uploaded;

/// The object that a file becomes, or why it becomes none.
pub(super) type Judged = Result<(Instance, object_store::Upload), (Option<Instance>, Failure)>;

/// Where instances go.
pub(super) struct Destination {
    pub(super) site: SiteName,
    pub(super) lane: Lane,
    pub(super) study: Option<Uid>,
}

impl Destination {
    /// Reads the head of a file, and hashes its data set.
    pub(super) fn judge(&self, file: Bytes) -> Judged {
        let read = lobar_imaging::attributes(&file);
        let named = read.and_then(|read| {
            let instance = Instance {
                class: read.instance.class?,
                uid: read.instance.uid?,
                study: read.study.uid,
                series: read.series.uid,
            };
            Some((instance, read.instance.transfer_syntax))
        });
        let (instance, syntax) = named.ok_or((None, Failure::NotUnderstood))?;
        if instance.study.is_none() {
            return Err((Some(instance), Failure::NotUnderstood));
        }
        if self.study.is_some() && instance.study != self.study {
            return Err((Some(instance), Failure::OtherStudy));
        }
        let syntax = syntax.as_ref().map(Uid::as_str).unwrap_or_default();
        let data_set = part10::data_set(&file);
        let hash = DataSetHash::of(syntax, data_set);
        let key = instance_key(&self.site, &instance.uid, &instance.class, hash);
        Ok((
            instance,
            object_store::Upload {
                key,
                body: file,
                lane: self.lane,
                metadata: object_store::ObjectMetadata::default(),
            },
        ))
    }
}

/// Whether an instance is in the bucket.
pub(super) enum Kept {
    There,
    /// It was erased, so it is not kept: the same bytes are the same image where the bucket has no versions.
    Erased,
}

/// Puts an instance into the bucket, unless it is there, and records it.
pub(super) async fn keep(
    allowed: &Allowed<need::Upload>,
    context: &Data<Context>,
    to: &Destination,
    upload: object_store::Upload,
) -> Result<Kept, Problem> {
    context.recorder.check_room()?;
    let (site, lane) = (to.site.as_str().to_owned(), to.lane);
    let entry = uploaded(allowed, Action::Uploaded, ImageId(Uuid::nil()), &site);
    let shared = Data::clone(context);
    // In one task: who hangs up in between leaves nothing that is stored and not recorded.
    let kept = context.run(async move {
        let object = ObjectVersion {
            bucket: shared.settings.bucket.clone(),
            key: upload.key.clone(),
            version: None,
            etag: None,
            sequencer: None,
            size: None,
        };
        let object = match put(&shared, &object, upload).await? {
            Put::Stored(object) => object,
            // Answered as stored, so it is on record: the earlier one may be another's, or one whose sender got no answer.
            Put::There(id) => {
                let detail = json!({ "again": true });
                shared.recorder.note_each(NewEntry { image: Some(id), detail, ..entry })?;
                return Ok(Kept::There);
            }
            Put::Erased => return Ok(Kept::Erased),
        };
        let id = object.id();
        // Known only now: without versions the id is made of what the bucket makes of the bytes.
        if shared.erasure.erasures.tombstone(id).await?.is_some() {
            if let Err(error) = shared.erasure.objects.erase(&object).await {
                tracing::warn!(image = %id, %error, "an erased image was sent again, and its object could not be deleted");
            }
            return Ok(Kept::Erased);
        }
        shared.accepted.note(id, Upload { site, lane, at: shared.clock.now() });
        shared.recorder.note_each(NewEntry { image: Some(id), ..entry })?;
        Ok(Kept::There)
    });
    kept.await?
}

/// What became of putting an instance.
enum Put {
    Stored(ObjectVersion),
    /// The bucket had it already, as this image.
    There(ImageId),
    Erased,
}

/// How often the bucket is looked at for an instance that others store and delete meanwhile.
const LOOKS: u32 = 4;
/// How often another receiver is waited for that stores the same instance once more, and how long each time.
const WAITS: u32 = 300;
const WAIT: Duration = Duration::from_millis(100);

fn unasked(error: FetchError) -> Problem {
    match error {
        FetchError::Port(error) => Problem::from(error),
        error => Problem::internal("object store", &error),
    }
}

/// Puts an instance unless the bucket has it, or gets it from somebody else at the same time.
async fn put(
    shared: &Context,
    object: &ObjectVersion,
    upload: object_store::Upload,
) -> Result<Put, Problem> {
    let (mut looks, mut waits) = (0, 0);
    while looks < LOOKS && waits < WAITS {
        match shared.objects.current(object).await {
            // The key has the hash of the data set: these are the same bytes.
            Ok(Some(image)) => {
                let id = image.object.id();
                if shared.erasure.erasures.tombstone(id).await?.is_some() {
                    return Ok(Put::Erased);
                }
                let states = shared.store.states(&[id]).await?;
                if !matches!(states.as_slice(), [Some(State::Failed | State::Removed)]) {
                    return Ok(Put::There(id));
                }
                // What failed or was removed is put once more, so that it is assessed anew.
                let (store, objects) = (&*shared.store, &*shared.objects);
                let again = store_again(store, objects, &image.object, upload.clone()).await;
                match again.map_err(unasked)? {
                    Some(stored) => return Ok(Put::Stored(stored)),
                    // Another receiver is at it.
                    None => {
                        waits += 1;
                        tokio::time::sleep(WAIT).await;
                        continue;
                    }
                }
            }
            Ok(None) | Err(FetchError::Gone | FetchError::Missing) => looks += 1,
            Err(error) => return Err(unasked(error)),
        }
        // Where another receiver was first, what it stored is looked at as any other.
        if let Created::Stored(object) = shared.objects.put_new(upload.clone()).await? {
            return Ok(Put::Stored(object));
        }
    }
    let changing = "others store and delete the same instance at the same time";
    Err(Problem::from(PortError::transient("stow", changing)))
}
