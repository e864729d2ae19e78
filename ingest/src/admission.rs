//! Changes of the store and the jobs that follow from them.

use std::sync::Arc;

use lobar_consumer::isolate;
use lobar_core::failure::PortError;
use lobar_core::image::{Lane, Lanes, NewImage};
use lobar_core::job::Job;
use lobar_core::object::{ImageId, ObjectVersion};
use lobar_core::queue::Outgoing;
use lobar_core::store::Admission;
use lobar_core::trace::TraceContext;
use uuid::Uuid;

use crate::fate::Fates;
use crate::intake::{Indexed, Intake, quarantined};
use crate::item::QuarantineReason;
use crate::outage::{Outage, Service};
use crate::rejection::Operation;

/// An image that needs a job.
#[derive(Clone)]
pub(crate) struct Needed {
    pub(crate) image: ImageId,
    /// Whose turn its job takes; `None` where that is not known.
    pub(crate) site: Option<String>,
    /// What the work on it continues.
    pub(crate) trace: Option<TraceContext>,
}

/// What became of one job.
type Sent = Result<(), Arc<PortError>>;

impl Intake {
    /// Admits a run of new objects and sends their jobs.
    pub(crate) async fn admit(
        &self,
        run: Vec<Indexed<NewImage>>,
        fates: &mut Fates<'_>,
    ) -> Result<(), Outage> {
        let (places, images): (Vec<usize>, Vec<NewImage>) = run.into_iter().unzip();
        let results =
            isolate(images.len(), |range| self.store.admit(images.get(range).unwrap_or_default()))
                .await;
        let (mut needed, mut rejected) = (Lanes::<Vec<Indexed<Needed>>>::default(), Vec::new());
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
            // What was known before is read, not written, and says nothing of whether images are taken.
            accepted |= matches!(admission, Admission::New(_));
            changed |= !matches!(admission, Admission::Pending(_));
            if !matches!(admission, Admission::Settled(_)) {
                let id = admission.id();
                let site = image.object.site().map(str::to_owned);
                needed
                    .of_mut(image.lane)
                    .push((place, Needed { image: id, site, trace: fates.trace(id) }));
            }
        }
        // A page need not wait until the jobs are durable.
        let announced = async {
            if changed {
                self.publish_change().await;
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

    pub(crate) async fn remove(
        &self,
        place: usize,
        object: &ObjectVersion,
        fates: &mut Fates<'_>,
    ) -> Result<(), Outage> {
        let rejected = match self.store.remove(object).await {
            Ok(removed) if removed.is_empty() => Vec::new(),
            Ok(_) => {
                self.publish_change().await;
                Vec::new()
            }
            Err(error) => vec![(place, Arc::new(error))],
        };
        self.rejected(Operation::Remove, rejected.is_empty(), rejected, fates).await
    }

    /// Notes that a probe arrived. One that the store rejects is given up: whoever put it there will ask again.
    pub(crate) async fn note_probe(&self, probe: Uuid) -> Result<(), Outage> {
        match self.store.note_probe(probe).await {
            Err(error) if error.is_transient() => Err(Outage::of(Service::Store)(error)),
            Err(error) => {
                tracing::error!(%error, "the arrival of a probe was rejected; `lobar doctor --probe` will not see it");
                Ok(())
            }
            Ok(()) => Ok(()),
        }
    }

    /// Keeps what cannot be read or must not be obeyed where an operator finds it.
    pub(crate) async fn quarantine(
        &self,
        place: usize,
        why: QuarantineReason,
        body: Vec<u8>,
        fates: &mut Fates<'_>,
    ) -> Result<(), Outage> {
        let rejected = match self.store.quarantine(&quarantined(why.as_str(), body)).await {
            Ok(()) => {
                self.metrics.quarantined.with_label_values(&[why.as_str()]).inc();
                self.notices.put_aside(why, &self.settings.buckets, self.clock.now());
                fates.quarantined(place);
                Vec::new()
            }
            Err(error) => vec![(place, Arc::new(error))],
        };
        self.rejected(Operation::Quarantine, rejected.is_empty(), rejected, fates).await
    }

    /// Puts a job on its lane's queue for each image; one result an image, in order.
    async fn send_all(&self, needed: &Lanes<Vec<Indexed<Needed>>>) -> Lanes<Vec<Indexed<Sent>>> {
        let send = async |lane| {
            let (places, images): (Vec<usize>, Vec<Needed>) =
                needed.of(lane).iter().cloned().unzip();
            let sent = self.send(lane, &images).await;
            places.into_iter().zip(sent).collect()
        };
        Lanes { stat: send(Lane::Stat).await, routine: send(Lane::Routine).await }
    }

    /// Says that something changed.
    pub(crate) async fn publish_change(&self) {
        if let Err(error) = self.signal.publish().await {
            tracing::debug!(%error, "signal not published; pages follow by polling");
        }
    }

    /// Puts a job on the lane's queue for each image; one result an image, in order.
    pub(crate) async fn send(&self, lane: Lane, images: &[Needed]) -> Vec<Sent> {
        if images.is_empty() {
            return Vec::new();
        }
        let job = |needed: &Needed| {
            let job = Outgoing::now(Job { image: needed.image }.encode());
            job.traced(needed.trace).of_group(needed.site.clone())
        };
        let jobs = images.iter().map(job).collect();
        let sent = self.jobs.of(lane).send(jobs).await;
        let accepted = sent.iter().filter(|sent| sent.is_ok()).count();
        let counter = self.metrics.jobs.with_label_values(&[lane.as_str()]);
        counter.inc_by(accepted.try_into().unwrap_or(u64::MAX));
        sent.into_iter().map(|sent| sent.map_err(Arc::new)).collect()
    }
}
