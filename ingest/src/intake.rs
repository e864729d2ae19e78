//! One batch of messages: parsed, admitted, given jobs. Says how each message is to be settled.

use std::sync::Arc;

use futures::{StreamExt, stream};
use lobar_core::failure::PortError;
use lobar_core::image::{Lane, Lanes, NewImage};
use lobar_core::job::Job;
use lobar_core::object::{ImageId, ObjectVersion};
use lobar_core::objects::{FetchError, Objects};
use lobar_core::queue::{Delivery, Jobs, Outgoing, Settlement};
use lobar_core::signal::Signal;
use lobar_core::store::{Admission, Quarantined, Store};

use crate::health::IngestHealth;
use crate::metrics::IngestMetrics;
use crate::notification::{self, Item};
use crate::settings::IngestSettings;

/// A part that is away. Nobody's message is to blame.
#[derive(Debug)]
pub(crate) struct Outage {
    pub(crate) part: &'static str,
    pub(crate) error: PortError,
}

impl Outage {
    fn of(part: &'static str) -> impl Fn(PortError) -> Self {
        move |error| Self { part, error }
    }
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
}

/// One item, and the place of its message in the batch.
type Placed<T> = (usize, T);

impl Intake {
    /// Works through a batch; one settlement a message, in order. Each step is idempotent, so that
    /// after an outage the whole batch may simply come again.
    pub(crate) async fn process(&self, batch: &[Delivery]) -> Result<Vec<Settlement>, Outage> {
        let mut retry = vec![false; batch.len()];
        let items = self.laned(self.read(batch), batch, &mut retry).await;
        let mut run = Vec::new();
        // Creations are admitted together, but never moved past a deletion that stood before them.
        for (place, item) in items {
            match item {
                Laned::Created(image) => run.push((place, image)),
                Laned::Removed(object) => {
                    self.admit(std::mem::take(&mut run), batch, &mut retry).await?;
                    match self.store.remove(&object).await {
                        Ok(removed) if removed.is_empty() => {}
                        Ok(_) => self.announce().await,
                        Err(error) => self.refused(place, batch, error, &mut retry).await?,
                    }
                }
                Laned::Refused(message) => {
                    self.store.quarantine(&message).await.map_err(Outage::of("store"))?;
                }
            }
        }
        self.admit(run, batch, &mut retry).await?;
        Ok(retry
            .iter()
            .zip(batch)
            .map(|(retry, delivery)| self.settlement(*retry, delivery))
            .collect())
    }

    fn settlement(&self, retry: bool, delivery: &Delivery) -> Settlement {
        if !retry {
            return Settlement::Done;
        }
        let tries = delivery.receive_count.saturating_sub(1);
        Settlement::Retry { after: self.settings.backoff.delay(tries, rand::random()) }
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
    async fn laned(
        &self,
        items: Vec<Placed<Item>>,
        batch: &[Delivery],
        retry: &mut [bool],
    ) -> Vec<Placed<Laned>> {
        let laned = stream::iter(items).map(|(place, item)| async move {
            let laned = match item {
                Item::Created(object) => {
                    let patient =
                        batch.get(place).is_none_or(|d| d.receive_count < self.settings.patience);
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
                    tracing::warn!(%error, "an object's metadata could not be read; trying again later");
                    retry.iter_mut().skip(place).take(1).for_each(|retry| *retry = true);
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
    async fn admit(
        &self,
        run: Vec<Placed<NewImage>>,
        batch: &[Delivery],
        retry: &mut [bool],
    ) -> Result<(), Outage> {
        if run.is_empty() {
            return Ok(());
        }
        let (places, images): (Vec<usize>, Vec<NewImage>) = run.into_iter().unzip();
        let mut admitted = Vec::with_capacity(images.len());
        match self.store.admit(&images).await {
            Ok(admissions) => admitted.extend(admissions.into_iter().zip(&images)),
            Err(error) if error.is_transient() => return Err(Outage { part: "store", error }),
            // One of them is refused for good: find out which, so that it stops nobody else.
            Err(_) => {
                for (place, image) in places.into_iter().zip(&images) {
                    match self.store.admit(std::slice::from_ref(image)).await {
                        Ok(one) => admitted.extend(one.into_iter().map(|one| (one, image))),
                        Err(error) => self.refused(place, batch, error, retry).await?,
                    }
                }
            }
        }
        let mut needed: Lanes<Vec<ImageId>> = Lanes::default();
        let mut changed = false;
        for (admission, image) in admitted {
            let outcome = match admission {
                Admission::New(_) => "new",
                Admission::Pending(_) => "pending",
                Admission::Settled(_) => "settled",
            };
            self.metrics.admissions.with_label_values(&[outcome]).inc();
            changed |= !matches!(admission, Admission::Pending(_));
            if !matches!(admission, Admission::Settled(_)) {
                needed.of_mut(image.lane).push(admission.id());
            }
        }
        // A page need not wait until the jobs are durable.
        let announced = async {
            if changed {
                self.announce().await;
            }
        };
        let sent = async {
            for lane in Lane::ALL {
                self.send(lane, needed.of(lane)).await?;
            }
            Ok(())
        };
        futures::join!(announced, sent).1
    }

    /// Says that something changed.
    async fn announce(&self) {
        if let Err(error) = self.signal.publish().await {
            tracing::debug!(%error, "the signal was not published; pages follow by polling");
        }
    }

    /// The store failed on one item. Away, it stops everything; otherwise it refuses this one for
    /// good, and only its message is tried again a few times, since the store may be at fault after
    /// all, and then put aside.
    async fn refused(
        &self,
        place: usize,
        batch: &[Delivery],
        error: PortError,
        retry: &mut [bool],
    ) -> Result<(), Outage> {
        if error.is_transient() {
            return Err(Outage { part: "store", error });
        }
        tracing::error!(%error, "the store refused a notification");
        let (Some(delivery), Some(retry)) = (batch.get(place), retry.get_mut(place)) else {
            return Ok(());
        };
        if delivery.receive_count < self.settings.patience {
            *retry = true;
            return Ok(());
        }
        let message = Quarantined {
            source: "uploads".into(),
            reason: "refused".into(),
            body: delivery.body.to_vec(),
        };
        self.store.quarantine(&message).await.map_err(Outage::of("store"))
    }

    /// Puts a job on the lane's queue for each image.
    pub(crate) async fn send(&self, lane: Lane, images: &[ImageId]) -> Result<(), Outage> {
        if images.is_empty() {
            return Ok(());
        }
        let jobs = images.iter().map(|&image| Outgoing::now(Job { image }.encode())).collect();
        let mut failed = None;
        for sent in self.jobs.of(lane).send(jobs).await {
            match sent {
                Ok(()) => self.metrics.jobs.with_label_values(&[lane.as_str()]).inc(),
                Err(error) => failed = Some(error),
            }
        }
        failed.map_or(Ok(()), |error| Err(Outage { part: "jobs", error }))
    }
}

/// An item with everything known that admission needs.
enum Laned {
    Created(NewImage),
    Removed(ObjectVersion),
    Refused(Quarantined),
}
