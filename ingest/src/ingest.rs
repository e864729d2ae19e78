//! The ingest role: loops that receive, extend leases, and settle.
//!
//! While the store or a job queue is away, a loop gives back what it holds, stops receiving and asks the
//! service itself, with growing pauses, so that no message is received in vain.

use std::sync::Arc;
use std::time::Instant;

use futures::future::join_all;
use lobar_consumer::{self as consumer, Keeper, Stop};
use lobar_core::batch::Batches;
use lobar_core::erasure::ErasurePorts;
use lobar_core::failure::PortError;
use lobar_core::object_store::{ObjectListing, ObjectStore};
use lobar_core::queue::{Delivery, JobQueues, LeaseError, Queue};
use lobar_core::signal::Signal;
use lobar_core::store::Store;
use lobar_core::time::Clock;
use tokio_util::sync::CancellationToken;

use crate::fate::Ending;
use crate::health::IngestHealth;
use crate::intake::Intake;
use crate::metrics::IngestMetrics;
use crate::notice::Notices;
use crate::outage::{Outage, Service, Services};
use crate::rejection::AllRejections;
use crate::settings::IngestSettings;

/// What ingest is given.
pub struct IngestPorts {
    /// Where notifications arrive.
    pub uploads: Arc<dyn Queue>,
    /// Where jobs go.
    pub jobs: JobQueues,
    /// Where images are admitted.
    pub store: Arc<dyn Store>,
    /// What files of one upload belong to.
    pub batches: Arc<dyn Batches>,
    /// Asked for each object's lane and batch.
    pub objects: Arc<dyn ObjectStore>,
    /// What lies in the bucket, to be compared with the store now and then; `None` for never.
    pub listing: Option<Arc<dyn ObjectListing>>,
    /// To go on with erasures; `None` for never.
    pub erasure: Option<ErasurePorts>,
    /// Told of every change.
    pub signal: Arc<dyn Signal>,
    /// The time by which the queues stamp their messages.
    pub clock: Arc<dyn Clock>,
    /// What it counts.
    pub metrics: IngestMetrics,
}

/// The ingest role.
pub struct Ingest {
    pub(crate) uploads: Arc<dyn Queue>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) listing: Option<Arc<dyn ObjectListing>>,
    pub(crate) erasure: Option<ErasurePorts>,
    pub(crate) intake: Intake,
    services: Services,
}

impl Ingest {
    /// A role that does nothing yet.
    pub fn new(parts: IngestPorts, settings: IngestSettings) -> Self {
        let IngestPorts {
            uploads,
            jobs,
            store,
            batches,
            objects,
            listing,
            erasure,
            signal,
            clock,
            metrics,
        } = parts;
        let health = Arc::new(IngestHealth::default());
        let services = Services::new(settings.backoff);
        let rejections = AllRejections::default();
        let notices = Notices::default();
        let intake = Intake {
            jobs,
            store,
            batches,
            objects,
            signal,
            clock: clock.clone(),
            settings,
            metrics,
            health,
            rejections,
            notices,
        };
        Self { uploads, clock, listing, erasure, intake, services }
    }

    /// Whether it can do its work.
    pub fn health(&self) -> Arc<IngestHealth> {
        self.intake.health.clone()
    }

    /// Works until told to stop. Every failure of a part is waited out, so that it does not return
    /// before.
    pub async fn run(self, stop: Stop) {
        self.intake.health.set_running(true);
        let receivers =
            join_all((0..self.intake.settings.receivers.max(1)).map(|_| self.receive(&stop)));
        let all = async {
            tokio::join!(
                receivers,
                self.sweep_loop(&stop.receiving),
                self.reconcile_loop(&stop.receiving),
                self.prune_loop(&stop.receiving),
                self.erase_loop(&stop.receiving),
            )
        };
        let readiness = async {
            stop.receiving.cancelled().await;
            self.intake.health.set_running(false);
            std::future::pending::<()>().await;
        };
        tokio::select! {
            _ = all => {}
            () = stop.abort.cancelled() => {}
            () = readiness => {}
        }
        self.intake.health.set_running(false);
    }

    async fn receive(&self, stop: &Stop) {
        let IngestSettings { batch: most, wait, lease, .. } = self.intake.settings;
        let stopping = &stop.receiving;
        while !stopping.is_cancelled() {
            let uploads = self.uploads.as_ref();
            let outage = match consumer::receive(uploads, most, wait, lease, stopping).await {
                None => break,
                Some(Ok(batch)) if batch.is_empty() => {
                    self.services.of(Service::Uploads).succeeded();
                    continue;
                }
                Some(Ok(batch)) if stopping.is_cancelled() => {
                    self.settle(&batch, released(&batch)).await;
                    break;
                }
                Some(Ok(batch)) => self.work(&batch).await.err(),
                Some(Err(error)) => Some(Outage::of(Service::Uploads)(error)),
            };
            match outage {
                None => self.services.succeeded(),
                Some(outage) => self.wait_out(outage, stopping).await,
            }
        }
    }

    /// Works on one batch while its leases are kept, and settles it. A lost lease needs no answer here:
    /// every step may be repeated by another receiver.
    async fn work(&self, batch: &[Delivery]) -> Result<(), Outage> {
        let started = Instant::now();
        let receipts = batch.iter().map(|one| one.receipt.clone());
        let lost = self.intake.metrics.leases_lost.clone();
        let (uploads, term) = (self.uploads.clone(), self.intake.settings.lease);
        let (keeper, leases) = Keeper::new(uploads, receipts, term, Box::new(move || lost.inc()));
        let keeping = async {
            keeper.run().await;
            std::future::pending::<()>().await
        };
        let worked = tokio::select! {
            worked = self.intake.process(batch) => worked,
            () = keeping => return Ok(()),
        };
        drop(leases);
        let (endings, outage) = match worked {
            Ok(endings) => (endings, Ok(())),
            Err(outage) => (released(batch), Err(outage)),
        };
        self.settle(batch, endings).await;
        self.intake.metrics.batch_seconds.observe(started.elapsed().as_secs_f64());
        outage
    }

    async fn settle(&self, batch: &[Delivery], endings: Vec<Ending>) {
        let now = self.clock.now();
        let (settlements, outcomes): (Vec<_>, Vec<_>) =
            endings.into_iter().map(|ending| (ending.settlement, ending.outcome)).unzip();
        let receipts = batch.iter().map(|one| one.receipt.clone());
        let settled = self.uploads.settle(receipts.zip(settlements).collect()).await;
        for ((result, outcome), delivery) in settled.into_iter().zip(outcomes).zip(batch) {
            let outcome = match result {
                Ok(()) => outcome,
                Err(LeaseError::Lost) => "lost",
                Err(LeaseError::Port(error)) => {
                    tracing::warn!(%error, "a notification was not settled; it comes again when its lease has lapsed");
                    "unsettled"
                }
            };
            self.intake.metrics.messages.with_label_values(&[outcome]).inc();
            if outcome == "done" {
                let lag = now.since(delivery.sent_at);
                self.intake.metrics.lag_seconds.observe(lag.as_secs_f64());
            }
        }
    }

    /// Pauses until the service answers again, or until told to stop.
    async fn wait_out(&self, outage: Outage, stopping: &CancellationToken) {
        let Outage { service, error } = outage;
        let _waiting = self.intake.health.waiting();
        self.intake.metrics.outages.with_label_values(&[service.as_str()]).inc();
        let circuit = self.services.of(service);
        circuit.failed(&error);
        circuit.wait_out(stopping, || self.ask(service)).await;
    }

    /// Whether a service answers.
    async fn ask(&self, service: Service) -> Result<(), PortError> {
        match service {
            // Receiving is its own probe: it takes nothing while the queue is away.
            Service::Uploads => Ok(()),
            Service::Store => self.intake.store.newest_position().await.map(drop),
            Service::Jobs(lane) => self.intake.jobs.of(lane).depth().await.map(drop),
        }
    }
}

/// The whole batch comes again.
fn released(batch: &[Delivery]) -> Vec<Ending> {
    batch.iter().map(|_| Ending::released()).collect()
}
