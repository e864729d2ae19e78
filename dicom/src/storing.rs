//! C-STORE (PS3.4, annex B): an instance becomes an object, and the peer is told of success only when it is durable.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures::FutureExt as _;
use futures::future::{BoxFuture, Shared as SharedFuture};
use lobar_core::audit::Actor;
use lobar_core::erasure::{ErasureOrder, ErasureReason, Erasures};
use lobar_core::failure::{PortError, chain};
use lobar_core::image::State;
use lobar_core::object::{ImageId, ObjectVersion};
use lobar_core::object_store::{Created, FetchError, ObjectMetadata, ObjectStore, Upload};
use lobar_core::resend::store_again;
use lobar_core::store::Store;
use lobar_core::study::{DataSetHash, Uid, instance_key, unreadable_key};
use tokio::sync::oneshot;
use tokio_util::task::TaskTracker;

use crate::Peer;
use crate::command::Command;
use crate::data_set::identify;
use crate::negotiation::Context;
use crate::part10;
use crate::room::{Held, Refused, Share, Spool};
use crate::server::{Shared, Unreadable};
use crate::tables::{Status, TransferSyntax};

/// An instance on its way.
pub(crate) struct Received {
    state: Result<Begun, Status>,
    /// How long the data set is so far, in bytes.
    pub(crate) length: u64,
}

struct Begun {
    class: Uid,
    instance: Uid,
    syntax: &'static TransferSyntax,
    /// How long what goes before the data set is, in bytes.
    head: usize,
    /// Of what has come: it costs as much as sending, and nobody waits for it in the end.
    hash: DataSetHash,
    spool: Spool,
}

impl Received {
    /// What a command announces. What it gets wrong is known already; its data set is read all the same, and dropped.
    pub(crate) fn begin(
        longest: usize,
        share: &Share,
        context: &Context,
        command: &Command,
    ) -> Self {
        Self { state: Self::check(longest, share, context, command), length: 0 }
    }

    fn check(
        longest: usize,
        share: &Share,
        context: &Context,
        command: &Command,
    ) -> Result<Begun, Status> {
        let class = command.class.clone().filter(|class| class.as_str() == context.class);
        let class = class.ok_or(Status::WRONG_CLASS)?;
        let instance = command.instance.clone().ok_or(Status::INVALID_INSTANCE)?;
        if !command.has_data {
            return Err(Status::INVALID_INSTANCE);
        }
        let head = part10::head(&class, &instance, context.syntax.uid);
        let head = head.ok_or(Status::INVALID_INSTANCE)?;
        let length = head.len();
        let spool = share.spool(head, longest.saturating_sub(length));
        let hash = DataSetHash::begin(context.syntax.uid);
        Ok(Begun { class, instance, syntax: context.syntax, head: length, hash, spool })
    }

    /// Adds a fragment. One for which there is no room is dropped, with all before it.
    pub(crate) fn add(&mut self, fragment: &[u8]) {
        self.length += fragment.len() as u64;
        let Ok(begun) = &mut self.state else { return };
        match begun.spool.add(fragment) {
            Ok(()) => begun.hash.add(fragment),
            Err(Refused::TooLong) => {
                tracing::warn!("an instance was refused: it is longer than is read");
                self.state = Err(Status::TOO_LONG);
            }
            Err(Refused::Full) => {
                tracing::warn!("an instance was refused: too many are on their way");
                self.state = Err(Status::OUT_OF_RESOURCES);
            }
        }
    }
}

/// What is to be put, and what is then answered.
struct Judged {
    key: String,
    body: Bytes,
    held: Option<Held>,
    status: Status,
}

/// What became of an instance.
pub(crate) struct Stored {
    /// For the peer.
    pub(crate) status: Status,
    /// Whether its bytes were handed to the bucket, which may have them whatever the status says.
    pub(crate) is_handed_over: bool,
}

/// Makes the instance durable.
pub(crate) async fn store(shared: &Shared, peer: &Peer, received: Received) -> Stored {
    let refused = |status| Stored { status, is_handed_over: false };
    let begun = match received.state {
        Ok(begun) => begun,
        Err(status) => return refused(status),
    };
    let (peer_, unreadable) = (peer.clone(), shared.unreadable);
    // A deflated data set is inflated for it.
    let judged = tokio::task::spawn_blocking(move || judge(&peer_, begun, unreadable)).await;
    let judged = match judged {
        Ok(Ok(judged)) => judged,
        Ok(Err(status)) => return refused(status),
        // Nothing is kept: the modality keeps its copy.
        Err(_) => return refused(Status::OUT_OF_RESOURCES),
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
    let status = match tokio::time::timeout(shared.limits.storing, kept).await {
        Ok(Ok(())) => judged.status,
        Ok(Err(())) => Status::OUT_OF_RESOURCES,
        Err(_) => {
            let limit = shared.limits.storing.as_secs_f64();
            tracing::warn!(
                "the bucket did not make an instance durable within {limit} s; its sender is told to try again"
            );
            Status::OUT_OF_RESOURCES
        }
    };
    Stored { status, is_handed_over: true }
}

fn judge(peer: &Peer, begun: Begun, unreadable: Unreadable) -> Result<Judged, Status> {
    let (file, held) = begun.spool.end();
    let data_set = file.get(begun.head..).unwrap_or_default();
    let (key, status) = match identify(data_set, begun.syntax.encoding) {
        Some(found) => {
            let same_class = found.class.is_none_or(|class| class == begun.class);
            if found.instance != begun.instance || !same_class {
                tracing::warn!(
                    ae_title = peer.title.as_str(),
                    "an instance was refused: the data set has another SOP instance or class than the command"
                );
                return Err(Status::MISMATCH);
            }
            let key = instance_key(&peer.site, &begun.instance, &begun.class, begun.hash);
            (key, Status::SUCCESS)
        }
        None => {
            let status = match unreadable {
                Unreadable::Accept => Status::UNREADABLE_KEPT,
                Unreadable::Refuse => Status::NOT_UNDERSTOOD,
            };
            (unreadable_key(&peer.site, begun.hash), status)
        }
    };
    Ok(Judged { key, body: BytesMut::freeze(file), held, status })
}

type Kept = SharedFuture<BoxFuture<'static, Result<(), ()>>>;

/// Objects on their way into the bucket. One that is sent again meanwhile waits for the first.
pub(crate) struct Puts {
    ports: PutPorts,
    bucket: String,
    tasks: TaskTracker,
    under_way: Arc<UnderWay>,
}

/// What putting works on.
pub(crate) struct PutPorts {
    /// The uploads bucket.
    pub(crate) objects: Arc<dyn ObjectStore>,
    /// What became of what it has.
    pub(crate) store: Arc<dyn Store>,
    /// What of it is erased.
    pub(crate) erasures: Arc<dyn Erasures>,
}

#[derive(Default)]
struct UnderWay(Mutex<HashMap<String, Kept>>);

/// Takes a key off those that are under way, even where putting it panics: else it would stay there, failed, for ever.
struct Going {
    under_way: Arc<UnderWay>,
    key: String,
}

impl Drop for Going {
    fn drop(&mut self) {
        self.under_way.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.key);
    }
}

impl Puts {
    pub(crate) fn new(ports: PutPorts, bucket: String, tasks: TaskTracker) -> Self {
        Self { ports, bucket, tasks, under_way: Arc::default() }
    }

    /// Puts an object unless it is there; it goes on when nobody waits any more. `held` is dropped when it is done.
    fn put(self: &Arc<Self>, upload: Upload, held: Option<Held>) -> Kept {
        let mut under_way = self.under_way.0.lock().unwrap_or_else(PoisonError::into_inner);
        let key = upload.key.clone();
        if let Some(kept) = under_way.get(&key) {
            return kept.clone();
        }
        let (tell, told) = oneshot::channel();
        let kept = told.map(|told| told.unwrap_or(Err(()))).boxed().shared();
        under_way.insert(key.clone(), kept.clone());
        drop(under_way);
        let this = Arc::clone(self);
        let going = Going { under_way: Arc::clone(&self.under_way), key };
        self.tasks.spawn(async move {
            let ended = this.make_durable(upload).await;
            let ended = ended.map_err(|error| {
                tracing::warn!(
                    error = chain(&error),
                    "an instance was not stored; its sender is told to try again"
                );
            });
            drop(going);
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
        let (mut looks, mut waits) = (0, 0);
        while looks < LOOKS && waits < WAITS {
            let stored = match self.ports.objects.current(&object).await {
                // The key has the hash of the data set: these are the same bytes.
                Ok(Some(found)) if self.is_alive(found.object.id()).await? => return Ok(()),
                Ok(Some(found)) => {
                    let (store, objects) = (&*self.ports.store, &*self.ports.objects);
                    let again = store_again(store, objects, &found.object, upload.clone()).await;
                    match again.map_err(unasked)? {
                        Some(stored) => stored,
                        // Another receiver is at it.
                        None => {
                            waits += 1;
                            tokio::time::sleep(WAIT).await;
                            continue;
                        }
                    }
                }
                Ok(None) | Err(FetchError::Gone | FetchError::Missing) => {
                    match self.ports.objects.put_new(upload.clone()).await? {
                        Created::Stored(stored) => stored,
                        // Another receiver was first; what it stored may be erased already.
                        Created::There => {
                            looks += 1;
                            continue;
                        }
                    }
                }
                Err(error) => return Err(unasked(error)),
            };
            return self.refuse_erased(&stored).await;
        }
        Err(PortError::transient("dicom store", Changing))
    }

    /// Without versions the same bytes are the same image, and an erased one is never admitted again: it is erased once more
    /// and its sender told so, rather than success for what nobody would see.
    async fn refuse_erased(&self, object: &ObjectVersion) -> Result<(), PortError> {
        let Some(erased) = self.ports.erasures.tombstone(object.id()).await? else { return Ok(()) };
        let order = ErasureOrder {
            reason: erased.reason.unwrap_or(ErasureReason::Request),
            actor: Actor::system(),
            role: None,
            request: None,
            detail: serde_json::Value::Null,
        };
        self.ports.erasures.erase(std::slice::from_ref(object), &order).await?;
        Err(PortError::permanent("dicom store", Erased))
    }

    /// Whether an object that the bucket has is an image of Lobar's, or becomes one: not where it failed, or was removed or
    /// erased. Such an object is put once more, so that it is another version, and assessed as a new image.
    async fn is_alive(&self, id: ImageId) -> Result<bool, PortError> {
        match self.ports.store.states(&[id]).await?.first().copied().flatten() {
            Some(State::Failed | State::Removed) => Ok(false),
            Some(_) => Ok(true),
            // Its notification is on its way, unless it is erased.
            None => Ok(self.ports.erasures.tombstone(id).await?.is_none()),
        }
    }
}

/// How often the bucket is looked at for an instance that others store and delete meanwhile.
const LOOKS: u32 = 4;
/// How often another receiver is waited for that stores the same instance once more, and how long each time.
const WAITS: u32 = 300;
const WAIT: Duration = Duration::from_millis(100);

fn unasked(error: FetchError) -> PortError {
    match error {
        FetchError::Port(error) => error,
        error => PortError::permanent("dicom store", error),
    }
}

/// Why an instance is not kept.
#[derive(Debug, thiserror::Error)]
#[error("others store and delete it at the same time")]
struct Changing;

/// Why an instance is not kept.
#[derive(Debug, thiserror::Error)]
#[error("this image was erased; it is not stored again")]
struct Erased;
