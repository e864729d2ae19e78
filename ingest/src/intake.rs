//! One batch of messages: read, and carried out item by item. Says how each message is to be settled.

use std::sync::Arc;

use futures::{StreamExt, stream};
use lobar_core::batch::{Added, BatchId, Batches};
use lobar_core::failure::PortError;
use lobar_core::image::{Lane, NewImage};
use lobar_core::notification::of as notification_of;
use lobar_core::object::ObjectVersion;
use lobar_core::object_store::{Asked, FetchError, ObjectStore};
use lobar_core::queue::{Delivery, JobQueues};
use lobar_core::signal::Signal;
use lobar_core::store::{Quarantined, Store};
use lobar_core::time::Clock;
use lobar_core::trace::TraceContext;
use tracing::field::{Empty, display};
use tracing::{Instrument as _, Span};
use uuid::Uuid;

use crate::batch::Mentions;
use crate::fate::{Ending, Fates};
use crate::health::IngestHealth;
use crate::item::{Ignored, Item, QuarantineReason};
use crate::junk::is_junk;
use crate::metrics::IngestMetrics;
use crate::notice::Notices;
use crate::notification;
use crate::outage::Outage;
use crate::rejection::AllRejections;
use crate::settings::IngestSettings;

/// Everything that a batch needs.
pub(crate) struct Intake {
    pub(crate) jobs: JobQueues,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) batches: Arc<dyn Batches>,
    pub(crate) objects: Arc<dyn ObjectStore>,
    pub(crate) signal: Arc<dyn Signal>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) settings: IngestSettings,
    pub(crate) metrics: IngestMetrics,
    pub(crate) health: Arc<IngestHealth>,
    pub(crate) rejections: AllRejections,
    pub(crate) notices: Notices,
}

/// One item, and the place of its message in the batch.
pub(crate) type Indexed<T> = (usize, T);

impl Intake {
    /// Works through a batch; one ending a message, in order. Each step is idempotent, so that
    /// after an outage the whole batch may simply come again.
    pub(crate) async fn process(&self, batch: &[Delivery]) -> Result<Vec<Ending>, Outage> {
        let mut fates = Fates::new(batch);
        let items = self.resolved(self.read(batch), &mut fates).await;
        let (mut run, mut mentions, mut restored) = (Vec::new(), Mentions::default(), false);
        // Creations are admitted together, but never moved past a deletion that stood before them.
        for (place, item) in items {
            match item {
                ResolvedItem::Created(image, batch, span) => {
                    fates.traced(place, image.object.id(), span);
                    mentions.note(batch, &image.object);
                    run.push((place, image));
                }
                ResolvedItem::Removed(object, current) => {
                    self.add_to_batches(std::mem::take(&mut mentions), Added::Image).await?;
                    self.admit(std::mem::take(&mut run), &mut fates).await?;
                    if let Some(object) = object {
                        self.remove(place, &object, &mut fates).await?;
                    }
                    if let Some((image, span)) = current {
                        fates.traced(place, image.object.id(), span);
                        run.push((place, image));
                        restored = true;
                    }
                }
                ResolvedItem::Probe(probe) => self.note_probe(probe).await?,
                ResolvedItem::Junk(object, batch) => {
                    let (why, body) = (QuarantineReason::NoImage, notification_of(&object));
                    self.quarantine(place, why, body, &mut fates).await?;
                    self.add_to_batches(Mentions::of(batch, &object), Added::PutAside).await?;
                }
                ResolvedItem::Refused(why, body) => {
                    self.quarantine(place, why, body, &mut fates).await?
                }
            }
        }
        self.add_to_batches(mentions, Added::Image).await?;
        self.admit(run, &mut fates).await?;
        if restored {
            // The store does not tell an image that came back from one that waits as it did.
            self.publish_change().await;
        }
        Ok(fates.endings(self.settings.backoff))
    }

    fn read(&self, batch: &[Delivery]) -> Vec<Indexed<Item>> {
        let mut items = Vec::new();
        for (place, delivery) in batch.iter().enumerate() {
            let read = notification::parse(&delivery.body, &self.settings.buckets);
            if read.newer_minor {
                self.metrics.newer_minor.inc();
                tracing::warn!(
                    "notification of a newer minor version than this release knows; read all the same: check for a new release"
                );
            }
            for item in read.items {
                self.count(&item);
                items.push((place, item));
            }
        }
        items
    }

    fn count(&self, item: &Item) {
        let kind = match item {
            Item::Created(_) => "created",
            Item::Seen(_) => "seen",
            Item::Removed(_) => "removed",
            Item::NullRemoved(_) => "null_version",
            Item::Probe(_) => "probe",
            Item::Ignored(why) => why.as_str(),
            Item::Refused(why, _) => why.as_str(),
        };
        self.metrics.records.with_label_values(&[kind]).inc();
        if *item == Item::Ignored(Ignored::TestEvent) {
            tracing::info!(
                "the bucket's test event arrived: its notifications reach the uploads queue"
            );
            self.health.saw_test_event();
        }
    }

    /// Finds every new object's lane and batch, a few at a time, and drops what needs no work.
    async fn resolved(
        &self,
        items: Vec<Indexed<Item>>,
        fates: &mut Fates<'_>,
    ) -> Vec<Indexed<ResolvedItem>> {
        let max_receives = self.settings.max_receives;
        let items: Vec<_> = items
            .into_iter()
            .map(|(place, item)| (place, item, fates.received(place), fates.upstream(place)))
            .collect();
        let resolved = stream::iter(items).map(|(place, item, received, trace)| async move {
            let resolved = match item {
                Item::Created(object) => {
                    let span = span(&object, received, trace);
                    let patient = received < max_receives;
                    let read = async {
                        let asked = self.asked(&object, patient).await?;
                        Ok((asked, self.is_junk(&object, patient).await?))
                    };
                    read.instrument(span.clone()).await.map(|(asked, is_junk)| {
                        span.record("lane", asked.lane.as_str());
                        let image = NewImage { object, lane: asked.lane };
                        Some(ResolvedItem::of(image, asked.batch, is_junk, span))
                    })
                }
                Item::Seen(object) => self.seen(&object, received, trace).await,
                Item::Removed(object) if object.version.is_none() && object.etag.is_none() => {
                    Ok(Some(ResolvedItem::Removed(Some(object), None)))
                }
                Item::Removed(object) => {
                    let now = self.current(&object, received, trace).await;
                    now.map(|now| Some(ResolvedItem::Removed(Some(object), now.image())))
                }
                Item::NullRemoved(object) => {
                    let now = self.current(&object, received, trace).await;
                    now.map(|now| match now {
                        // What is there now supersedes it.
                        KeyNow::Holds(image) => Some(ResolvedItem::Removed(None, Some(image))),
                        KeyNow::Empty => Some(ResolvedItem::Removed(Some(object), None)),
                        KeyNow::Unknown => None,
                    })
                }
                Item::Probe(probe) => Ok(Some(ResolvedItem::Probe(probe))),
                Item::Refused(why, body) => Ok(Some(ResolvedItem::Refused(why, body))),
                Item::Ignored(_) => Ok(None),
            };
            (place, resolved)
        });
        let mut resolved = resolved.buffered(self.settings.head_requests.max(1));
        let mut kept = Vec::new();
        while let Some((place, item)) = resolved.next().await {
            match item {
                Ok(item) => kept.extend(item.map(|item| (place, item))),
                Err(error) => {
                    tracing::warn!(%error, "an object's metadata could not be read; its notification is tried again");
                    fates.retry(place);
                }
            }
        }
        kept
    }

    /// An object that a comparison of bucket and store saw, if it still is what a reader of its key gets. An error
    /// means: ask again later.
    async fn seen(
        &self,
        object: &ObjectVersion,
        received: u32,
        trace: Option<TraceContext>,
    ) -> Result<Option<ResolvedItem>, PortError> {
        match self.objects.current(object).await {
            Ok(Some(mut image)) if image.object.id() == object.id() => {
                if object.asks_for_stat() {
                    image.lane = Lane::Stat;
                }
                let span = span(object, received, trace);
                span.record("lane", image.lane.as_str());
                let patient = received < self.settings.max_receives;
                let is_junk = self.is_junk(object, patient).await?;
                let batch = self.asked(object, patient).await?.batch;
                Ok(Some(ResolvedItem::of(image, batch, is_junk, span)))
            }
            Ok(_) => Ok(None), // what came after it says so itself
            Err(error) => {
                let error = self.about_this_object(error).await?;
                tracing::warn!(
                    %error,
                    "an object without an image could not be read; the next comparison of bucket and store tries again"
                );
                Ok(None)
            }
        }
    }

    /// What the key of a version that was deleted holds now: the version or the delete marker that is gone may
    /// have hidden another version, which is the current one again. An error means: ask again later.
    async fn current(
        &self,
        deleted: &ObjectVersion,
        received: u32,
        trace: Option<TraceContext>,
    ) -> Result<KeyNow, PortError> {
        let mut image = match self.objects.current(deleted).await {
            Ok(Some(image)) => image,
            Ok(None) => return Ok(KeyNow::Empty),
            // However often: an object that is current would be on no list.
            Err(error) => {
                let error = self.about_this_object(error).await?;
                tracing::warn!(
                    %error,
                    "what a key holds after a deletion could not be read; a version that is current again there is not listed"
                );
                return Ok(KeyNow::Unknown);
            }
        };
        if image.object.size == Some(0) && image.object.key.ends_with('/') {
            return Ok(KeyNow::Unknown);
        }
        if image.object.asks_for_stat() {
            image.lane = Lane::Stat;
        }
        // It is current as of this deletion, or later: what is later says so itself.
        image.object.sequencer.clone_from(&deleted.sequencer);
        let span = span(&image.object, received, trace);
        span.record("lane", image.lane.as_str());
        Ok(KeyNow::Holds((image, span)))
    }

    /// An error that says something of one object, since the bucket answers otherwise. Answers to HEAD requests have no
    /// body: that of expired credentials looks like that of a refused object.
    async fn about_this_object(&self, error: FetchError) -> Result<FetchError, PortError> {
        match error {
            FetchError::Port(error) if error.is_transient() => Err(error),
            error => self.objects.check().await.map(|()| error),
        }
    }

    /// Whether an object is put aside instead of being shown to anybody. An error means: ask again later.
    async fn is_junk(&self, object: &ObjectVersion, patient: bool) -> Result<bool, PortError> {
        match is_junk(&self.settings.junk, &*self.objects, object).await {
            Err(error) if patient => Err(error),
            // Asked too often: the worker will find out what it is.
            answer => Ok(answer.unwrap_or(false)),
        }
    }

    /// The lane of an object, and its batch. An error means: ask again later.
    async fn asked(&self, object: &ObjectVersion, patient: bool) -> Result<Asked, PortError> {
        let is_stat = object.asks_for_stat();
        let asked = match self.settings.read_metadata {
            true => self.objects.asked(object).await,
            false => Ok(Asked::default()),
        };
        let asked = match asked {
            Ok(asked) => asked,
            // What is urgent by its key waits for no metadata.
            Err(FetchError::Port(error)) if patient && !is_stat && error.is_transient() => {
                return Err(error);
            }
            // Gone, missing, denied, or asked too often: the worker will find out and say so.
            Err(_) => Asked::default(),
        };
        Ok(if is_stat { Asked { lane: Lane::Stat, ..asked } } else { asked })
    }
}

/// The span of one record of a notification. S3 sends no trace with it, so that one begins here, unless the
/// message of another store does.
fn span(object: &ObjectVersion, attempt: u32, trace: Option<TraceContext>) -> Span {
    let image = display(object.id());
    let span = tracing::info_span!(
        parent: None,
        "notification",
        image,
        lane = Empty,
        attempt,
        queue = "uploads",
    );
    lobar_trace::continue_from(&span, trace);
    span
}

/// What a key holds after a deletion.
enum KeyNow {
    Holds((NewImage, Span)),
    /// Nothing, or a delete marker.
    Empty,
    Unknown,
}

impl KeyNow {
    fn image(self) -> Option<(NewImage, Span)> {
        match self {
            Self::Holds(image) => Some(image),
            Self::Empty | Self::Unknown => None,
        }
    }
}

/// An item with everything known that admission needs.
enum ResolvedItem {
    Created(NewImage, Option<BatchId>, Span),
    /// By name and content no image.
    Junk(ObjectVersion, Option<BatchId>),
    /// What is gone, and what is current instead.
    Removed(Option<ObjectVersion>, Option<(NewImage, Span)>),
    Probe(Uuid),
    Refused(QuarantineReason, Vec<u8>),
}

impl ResolvedItem {
    /// An image, or what is put aside as none: by a notification that leads here again when it is replayed.
    fn of(image: NewImage, batch: Option<BatchId>, is_junk: bool, span: Span) -> Self {
        match is_junk {
            true => Self::Junk(image.object, batch),
            false => Self::Created(image, batch, span),
        }
    }
}

/// What is kept of a message.
pub(crate) fn quarantined(reason: &str, body: Vec<u8>) -> Quarantined {
    Quarantined { source: "uploads".into(), reason: reason.into(), body }
}
