//! One batch of messages: parsed, admitted, given jobs. Says how each message is to be settled.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use futures::{StreamExt, stream};
use lobar_consumer::{Cause, Rejections, isolate};
use lobar_core::failure::PortError;
use lobar_core::image::{Lane, Lanes, NewImage};
use lobar_core::job::Job;
use lobar_core::object::{ImageId, ObjectVersion};
use lobar_core::objects::{FetchError, Objects};
use lobar_core::queue::{Delivery, Jobs, Outgoing, Settlement};
use lobar_core::signal::Signal;
use lobar_core::store::{Admission, Quarantined, Store};

use crate::fate::Fates;
use crate::health::IngestHealth;
use crate::metrics::IngestMetrics;
use crate::notification::{self, Item};
use crate::settings::IngestSettings;

/// A part that is away. Nobody's message is to blame.
#[derive(Debug)]
pub(crate) struct Outage {
    pub(crate) part: &'static str,
    pub(crate) error: Arc<PortError>,
}

/// Everything that a batch needs.
pub(crate) struct Intake {
    pub(crate) jobs: Jobs,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) objects: Arc<dyn Objects>,
    pub(crate) signal: Arc<dyn Signal>,
    pub(crate) settings: IngestSettings,
    pub(crate) metrics: IngestMetrics,
    pub(crate) health: Arc<IngestHealth>,
    pub(crate) rejections: AllRejections,
}

/// One item, and the place of its message in the batch.
type Placed<T> = (usize, T);

impl Intake {
    /// Works through a batch; one settlement a message, in order. Each step is idempotent, so that
    /// after an outage the whole batch may simply come again.
    pub(crate) async fn process(&self, batch: &[Delivery]) -> Result<Vec<Settlement>, Outage> {
        let mut fates = Fates::new(batch);
        let items = self.laned(self.read(batch), &mut fates).await;
        let mut run = Vec::new();
        // Creations are admitted together, but never moved past a deletion that stood before them.
        for (place, item) in items {
            match item {
                Laned::Created(image) => run.push((place, image)),
                Laned::Removed(object) => {
                    self.admit(std::mem::take(&mut run), &mut fates).await?;
                    self.remove(place, &object, &mut fates).await?;
                }
                Laned::Refused(message) => self.quarantine(place, &message, &mut fates).await?,
            }
        }
        self.admit(run, &mut fates).await?;
        Ok(fates.settlements(self.settings.backoff))
    }

    fn read(&self, batch: &[Delivery]) -> Vec<Placed<Item>> {
        let mut items = Vec::new();
        for (place, delivery) in batch.iter().enumerate() {
            let read = notification::parse(&delivery.body, &self.settings.buckets);
            if read.newer_minor {
                self.metrics.newer_minor.inc();
                tracing::warn!(
                    "an event of a newer minor version was read; check for a new release"
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
            Item::Removed(_) => "removed",
            Item::Ignored(why) => why.as_str(),
            Item::Refused(why, _) => why.as_str(),
        };
        self.metrics.records.with_label_values(&[kind]).inc();
        if *item == Item::Ignored(notification::Ignored::TestEvent) {
            tracing::info!("the bucket's test event arrived: notifications are wired");
            self.health.saw_test_event();
        }
    }

    /// Finds every new object's lane, a few at a time, and drops what needs no work.
    async fn laned(&self, items: Vec<Placed<Item>>, fates: &mut Fates<'_>) -> Vec<Placed<Laned>> {
        let patience = self.settings.patience;
        let items: Vec<_> = items
            .into_iter()
            .map(|(place, item)| (place, item, fates.received(place) < patience))
            .collect();
        let laned = stream::iter(items).map(|(place, item, patient)| async move {
            let laned = match item {
                Item::Created(object) => {
                    let lane = self.lane(&object, patient).await;
                    lane.map(|lane| Some(Laned::Created(NewImage { object, lane })))
                }
                Item::Removed(object) => Ok(Some(Laned::Removed(object))),
                Item::Refused(why, body) => Ok(Some(Laned::Refused(Quarantined {
                    source: "uploads".into(),
                    reason: why.as_str().into(),
                    body,
                }))),
                Item::Ignored(_) => Ok(None),
            };
            (place, laned)
        });
        let mut laned = laned.buffered(self.settings.heads.max(1));
        let mut kept = Vec::new();
        while let Some((place, item)) = laned.next().await {
            match item {
                Ok(item) => kept.extend(item.map(|item| (place, item))),
                Err(error) => {
                    tracing::warn!(%error, "object store: an object's metadata could not be read; its notification is tried again");
                    fates.retry(place);
                }
            }
        }
        kept
    }

    /// The lane of an object. An error means: ask again later.
    async fn lane(&self, object: &ObjectVersion, patient: bool) -> Result<Lane, PortError> {
        if object.asks_for_stat() {
            return Ok(Lane::Stat);
        }
        if !self.settings.read_metadata {
            return Ok(Lane::Routine);
        }
        match self.objects.lane(object).await {
            Ok(lane) => Ok(lane),
            Err(FetchError::Port(error)) if patient && error.is_transient() => Err(error),
            // Gone, missing, denied, or asked too often: the worker will find out and say so.
            Err(_) => Ok(Lane::Routine),
        }
    }

    /// Admits a run of new objects and sends their jobs.
    async fn admit(&self, run: Vec<Placed<NewImage>>, fates: &mut Fates<'_>) -> Result<(), Outage> {
        let (places, images): (Vec<usize>, Vec<NewImage>) = run.into_iter().unzip();
        let results =
            isolate(images.len(), |range| self.store.admit(images.get(range).unwrap_or_default()))
                .await;
        let (mut needed, mut rejected) = (Lanes::<Vec<Placed<ImageId>>>::default(), Vec::new());
        let (mut accepted, mut changed) = (false, false);
        for ((place, image), result) in places.into_iter().zip(&images).zip(results) {
            let admission = match result {
                Ok(admission) => admission,
                Err(error) => {
                    rejected.push((place, error));
                    continue;
                }
            };
            let outcome = match admission {
                Admission::New(_) => "new",
                Admission::Pending(_) => "pending",
                Admission::Settled(_) => "settled",
            };
            self.metrics.admissions.with_label_values(&[outcome]).inc();
            accepted = true;
            changed |= !matches!(admission, Admission::Pending(_));
            if !matches!(admission, Admission::Settled(_)) {
                needed.of_mut(image.lane).push((place, admission.id()));
            }
        }
        // A page need not wait until the jobs are durable.
        let announced = async {
            if changed {
                self.announce().await;
            }
        };
        let ((), sent) = futures::join!(announced, self.send_all(&needed));
        self.rejected(Operation::Admit, accepted, rejected, fates).await?;
        for (lane, sent) in [(Lane::Stat, sent.stat), (Lane::Routine, sent.routine)] {
            let accepted = sent.iter().any(|(_, sent)| sent.is_ok());
            let failed = sent.into_iter().filter_map(|(place, sent)| Some((place, sent.err()?)));
            self.rejected(Operation::Send(lane), accepted, failed.collect(), fates).await?;
        }
        Ok(())
    }

    async fn remove(
        &self,
        place: usize,
        object: &ObjectVersion,
        fates: &mut Fates<'_>,
    ) -> Result<(), Outage> {
        let rejected = match self.store.remove(object).await {
            Ok(removed) if removed.is_empty() => Vec::new(),
            Ok(_) => {
                self.announce().await;
                Vec::new()
            }
            Err(error) => vec![(place, Arc::new(error))],
        };
        self.rejected(Operation::Remove, rejected.is_empty(), rejected, fates).await
    }

    /// Keeps what cannot be read or must not be obeyed where an operator finds it.
    async fn quarantine(
        &self,
        place: usize,
        message: &Quarantined,
        fates: &mut Fates<'_>,
    ) -> Result<(), Outage> {
        let rejected = match self.store.quarantine(message).await {
            Ok(()) => Vec::new(),
            Err(error) => vec![(place, Arc::new(error))],
        };
        self.rejected(Operation::Quarantine, rejected.is_empty(), rejected, fates).await
    }

    /// Puts a job on its lane's queue for each image; one result an image, in order.
    async fn send_all(&self, needed: &Lanes<Vec<Placed<ImageId>>>) -> Lanes<Vec<Placed<Sent>>> {
        let send = async |lane| {
            let (places, images): (Vec<usize>, Vec<ImageId>) =
                needed.of(lane).iter().copied().unzip();
            let sent = self.send(lane, &images).await;
            places.into_iter().zip(sent).collect()
        };
        Lanes { stat: send(Lane::Stat).await, routine: send(Lane::Routine).await }
    }

    /// Says that something changed.
    async fn announce(&self) {
        if let Err(error) = self.signal.publish().await {
            tracing::debug!(%error, "signal not published; pages follow by polling");
        }
    }

    /// Decides on the items for which an operation failed. While a service is away, or rejects
    /// everything, the batch is given back and receiving pauses. What is rejected alone is tried again a
    /// few times with its message, since the service may be at fault after all, and then put aside.
    async fn rejected(
        &self,
        operation: Operation,
        accepted: bool,
        failed: Vec<Placed<Arc<PortError>>>,
        fates: &mut Fates<'_>,
    ) -> Result<(), Outage> {
        let away = failed.iter().find(|(_, error)| error.is_transient());
        if let Some((_, error)) = away {
            return Err(Outage { part: operation.part(), error: error.clone() });
        }
        let places: Vec<usize> = failed.iter().map(|(place, _)| *place).collect();
        let digests = places.iter().filter_map(|place| fates.message(*place)).map(digest);
        let cause = self.rejections.of(operation).note(accepted, digests);
        for (place, error) in failed {
            self.metrics.rejections.with_label_values(&[operation.as_str()]).inc();
            if cause == Cause::Service {
                return Err(Outage { part: operation.part(), error });
            }
            let (operation, received) = (operation.as_str(), fates.received(place));
            if received < self.settings.patience {
                let of = self.settings.patience;
                tracing::error!(operation, received, of, %error, "an item of a notification was rejected; the notification is tried again");
                fates.retry(place);
            } else {
                tracing::error!(operation, received, %error, "an item of a notification was rejected too often; the notification is put aside");
                self.put_aside(place, operation, fates).await?;
            }
        }
        Ok(())
    }

    /// Keeps a message in the store's quarantine, or else on the dead-letter queue.
    async fn put_aside(
        &self,
        place: usize,
        operation: &'static str,
        fates: &mut Fates<'_>,
    ) -> Result<(), Outage> {
        let Some(message) = fates.message(place) else { return Ok(()) };
        let quarantined = match operation {
            // It is this that was rejected.
            "quarantine" => Err("the store rejects it, and its place in the quarantine too"),
            _ => {
                let message = Quarantined {
                    source: "uploads".into(),
                    reason: "refused".into(),
                    body: message.body.to_vec(),
                };
                match self.store.quarantine(&message).await {
                    Err(error) if error.is_transient() => {
                        return Err(Outage { part: "store", error: Arc::new(error) });
                    }
                    kept => kept.map_err(|error| {
                        tracing::error!(%error, "store: the quarantine rejected a notification; it goes to the dead-letter queue");
                        "rejected, and the quarantine rejects it too"
                    }),
                }
            }
        };
        if let Err(reason) = quarantined {
            fates.dead(place, reason);
        }
        Ok(())
    }

    /// Puts a job on the lane's queue for each image; one result an image, in order.
    pub(crate) async fn send(&self, lane: Lane, images: &[ImageId]) -> Vec<Sent> {
        if images.is_empty() {
            return Vec::new();
        }
        let jobs = images.iter().map(|&image| Outgoing::now(Job { image }.encode())).collect();
        let sent = self.jobs.of(lane).send(jobs).await;
        let accepted = sent.iter().filter(|sent| sent.is_ok()).count();
        let counter = self.metrics.jobs.with_label_values(&[lane.as_str()]);
        counter.inc_by(accepted.try_into().unwrap_or(u64::MAX));
        sent.into_iter().map(|sent| sent.map_err(Arc::new)).collect()
    }
}

/// What became of one job.
type Sent = Result<(), Arc<PortError>>;

/// An operation that may be rejected for good.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Operation {
    Admit,
    Remove,
    Quarantine,
    Send(Lane),
}

impl Operation {
    fn as_str(self) -> &'static str {
        match self {
            Self::Admit => "admit",
            Self::Remove => "remove",
            Self::Quarantine => "quarantine",
            Self::Send(_) => "send",
        }
    }

    fn part(self) -> &'static str {
        match self {
            Self::Admit | Self::Remove | Self::Quarantine => "store",
            Self::Send(_) => "jobs",
        }
    }
}

/// What was rejected since something was accepted, by operation. Messages are known by a digest.
#[derive(Debug, Default)]
pub(crate) struct AllRejections {
    admit: Rejections<u64>,
    remove: Rejections<u64>,
    quarantine: Rejections<u64>,
    send: Lanes<Rejections<u64>>,
}

impl AllRejections {
    fn of(&self, operation: Operation) -> &Rejections<u64> {
        match operation {
            Operation::Admit => &self.admit,
            Operation::Remove => &self.remove,
            Operation::Quarantine => &self.quarantine,
            Operation::Send(lane) => self.send.of(lane),
        }
    }
}

/// The same for every delivery of a message, in this process.
fn digest(message: &Delivery) -> u64 {
    let mut hasher = DefaultHasher::new();
    message.body.hash(&mut hasher);
    hasher.finish()
}

/// An item with everything known that admission needs.
enum Laned {
    Created(NewImage),
    Removed(ObjectVersion),
    Refused(Quarantined),
}
