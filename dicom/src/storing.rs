//! C-STORE (PS3.4, annex B): an instance becomes an object, and the peer is told of success only when it is durable.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::{Bytes, BytesMut};
use futures::FutureExt as _;
use futures::future::{BoxFuture, Shared as SharedFuture};
use lobar_core::failure::{PortError, chain};
use lobar_core::image::Lane;
use lobar_core::object::ObjectVersion;
use lobar_core::object_store::{FetchError, ObjectMetadata, ObjectStore, Upload};
use lobar_core::study::{Uid, instance_key, unreadable_key};
use tokio::sync::{OwnedSemaphorePermit, oneshot};
use tokio_util::task::TaskTracker;

use crate::Peer;
use crate::command::Command;
use crate::data_set::identify;
use crate::negotiation::Context;
use crate::part10;
use crate::room::{Full, Spool};
use crate::server::{Shared, Unreadable};
use crate::tables::{Encoding, Status};

/// An instance on its way.
pub(crate) struct Received {
    state: Result<Begun, Status>,
    /// How long the data set is so far, in bytes.
    pub(crate) length: u64,
}

struct Begun {
    class: Uid,
    instance: Uid,
    encoding: Encoding,
    /// How long what goes before the data set is, in bytes.
    head: usize,
    spool: Spool,
}

impl Received {
    /// What a command announces. What it gets wrong is known already; its data set is read all the same, and dropped.
    pub(crate) fn begin(shared: &Shared, context: &Context, command: &Command) -> Self {
        Self { state: Self::check(shared, context, command), length: 0 }
    }

    fn check(shared: &Shared, context: &Context, command: &Command) -> Result<Begun, Status> {
        let class = command.class.clone().filter(|class| class.as_str() == context.class);
        let class = class.ok_or(Status::WRONG_CLASS)?;
        let instance = command.instance.clone().ok_or(Status::INVALID_INSTANCE)?;
        if !command.has_data {
            return Err(Status::NOT_UNDERSTOOD);
        }
        let head = part10::head(&class, &instance, context.syntax.uid);
        let head = head.ok_or(Status::INVALID_INSTANCE)?;
        let length = head.len();
        let spool = shared.room.spool(head, shared.limits.instance_bytes);
        Ok(Begun { class, instance, encoding: context.syntax.encoding, head: length, spool })
    }

    /// Adds a fragment. One for which there is no room is dropped, with all before it.
    pub(crate) fn add(&mut self, fragment: &[u8]) {
        self.length += fragment.len() as u64;
        if let Ok(begun) = &mut self.state
            && begun.spool.add(fragment) == Err(Full)
        {
            tracing::warn!("an instance was refused: it is too long, or too many are on their way");
            self.state = Err(Status::OUT_OF_RESOURCES);
        }
    }
}

/// What is to be put, and what is then answered.
struct Judged {
    key: String,
    body: Bytes,
    held: Option<OwnedSemaphorePermit>,
    status: Status,
}

/// Makes the instance durable. The status is for the peer.
pub(crate) async fn store(shared: &Shared, peer: &Peer, received: Received) -> Status {
    let begun = match received.state {
        Ok(begun) => begun,
        Err(status) => return status,
    };
    let (peer_, unreadable) = (peer.clone(), shared.unreadable);
    // Hashing takes a tenth of a second for a large image.
    let judged = tokio::task::spawn_blocking(move || judge(&peer_, begun, unreadable)).await;
    let judged = match judged {
        Ok(Ok(judged)) => judged,
        Ok(Err(status)) => return status,
        Err(_) => return Status::NOT_UNDERSTOOD,
    };
    if judged.status != Status::SUCCESS {
        tracing::warn!(
            ae_title = peer.title.as_str(),
            "a data set cannot be read; it is kept, and a person must look"
        );
    }
    let upload = Upload {
        key: judged.key,
        body: judged.body,
        lane: peer.lane,
        metadata: ObjectMetadata::default(),
    };
    let kept = shared.puts.put(upload, judged.held);
    match tokio::time::timeout(shared.limits.storing, kept).await {
        Ok(Ok(())) => judged.status,
        Ok(Err(())) => Status::OUT_OF_RESOURCES,
        Err(_) => {
            let limit = shared.limits.storing.as_secs_f64();
            tracing::warn!(
                "the bucket did not make an instance durable within {limit} s; its sender is told to try again"
            );
            Status::OUT_OF_RESOURCES
        }
    }
}

fn judge(peer: &Peer, begun: Begun, unreadable: Unreadable) -> Result<Judged, Status> {
    let (file, held) = begun.spool.end();
    let data_set = file.get(begun.head..).unwrap_or_default();
    let (key, status) = match identify(data_set, begun.encoding) {
        Some(found) => {
            let same_class = found.class.is_none_or(|class| class == begun.class);
            if found.instance != begun.instance || !same_class {
                tracing::warn!(
                    ae_title = peer.title.as_str(),
                    "an instance was refused: the data set has another SOP instance or class than the command"
                );
                return Err(Status::MISMATCH);
            }
            (instance_key(&peer.site, peer.lane, &begun.instance, data_set), Status::SUCCESS)
        }
        None => {
            let status = match unreadable {
                Unreadable::Accept => Status::UNREADABLE_KEPT,
                Unreadable::Refuse => Status::NOT_UNDERSTOOD,
            };
            (unreadable_key(&peer.site, data_set), status)
        }
    };
    Ok(Judged { key, body: BytesMut::freeze(file), held, status })
}

type Kept = SharedFuture<BoxFuture<'static, Result<(), ()>>>;

/// Objects on their way into the bucket. One that is sent again meanwhile waits for the first.
pub(crate) struct Puts {
    objects: Arc<dyn ObjectStore>,
    bucket: String,
    tasks: TaskTracker,
    under_way: Mutex<HashMap<String, Kept>>,
}

impl Puts {
    pub(crate) fn new(objects: Arc<dyn ObjectStore>, bucket: String, tasks: TaskTracker) -> Self {
        Self { objects, bucket, tasks, under_way: Mutex::default() }
    }

    /// Puts an object unless it is there; it goes on when nobody waits any more. `held` is dropped when it is done.
    fn put(self: &Arc<Self>, upload: Upload, held: Option<OwnedSemaphorePermit>) -> Kept {
        let mut under_way = self.under_way.lock().unwrap_or_else(PoisonError::into_inner);
        let key = upload.key.clone();
        if let Some(kept) = under_way.get(&key) {
            return kept.clone();
        }
        let (tell, told) = oneshot::channel();
        let kept = told.map(|told| told.unwrap_or(Err(()))).boxed().shared();
        under_way.insert(key.clone(), kept.clone());
        let this = Arc::clone(self);
        self.tasks.spawn(async move {
            let ended = this.make_durable(upload).await;
            let ended = ended.map_err(|error| {
                tracing::warn!(
                    error = chain(&error),
                    "an instance was not stored; its sender is told to try again"
                );
            });
            this.under_way.lock().unwrap_or_else(PoisonError::into_inner).remove(&key);
            let _ = tell.send(ended);
            drop(held);
        });
        kept
    }

    async fn make_durable(&self, upload: Upload) -> Result<(), PortError> {
        let object = ObjectVersion {
            bucket: self.bucket.clone(),
            key: upload.key.clone(),
            version: None,
            etag: None,
            sequencer: None,
            size: None,
        };
        match self.objects.current(&object).await {
            // The key has the hash of the data set: these are the same bytes.
            Ok(Some(_)) => return Ok(()),
            Ok(None) | Err(FetchError::Gone | FetchError::Missing) => {}
            Err(FetchError::Port(error)) => return Err(error),
            Err(error) => return Err(PortError::permanent("dicom store", error)),
        }
        self.objects.put(upload).await.map(drop)
    }
}

/// Where instances of a UID may lie in the bucket.
pub(crate) fn prefixes(peer: &Peer, instance: &Uid) -> [String; 2] {
    [Lane::Routine, Lane::Stat].map(|lane| {
        let key = instance_key(&peer.site, lane, instance, &[]);
        let end = key.rfind('/').map_or(key.len(), |slash| slash + 1);
        key[..end].to_owned()
    })
}
