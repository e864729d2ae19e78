//! The role: loops that receive, keep the leases of what they work on, and settle it.
//!
//! When the store or the job queues are away, a loop gives back what it holds, stops receiving and
//! asks the absent part itself, with growing pauses, so that no message is received in vain.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::future::join_all;
use lobar_core::image::Lane;
use lobar_core::objects::Objects;
use lobar_core::queue::{Delivery, Jobs, LeaseError, Queue, Receipt, Settlement};
use lobar_core::signal::Signal;
use lobar_core::store::Store;
use lobar_core::time::Clock;
use tokio_util::sync::CancellationToken;

use crate::health::IngestHealth;
use crate::intake::{AllRejections, Intake, Outage};
use crate::metrics::IngestMetrics;
use crate::settings::IngestSettings;

/// How long a receive that is under way may go on after the stop; what it brings is given back.
const LAST_POLL: Duration = Duration::from_millis(500);

/// The two phases of a stop.
#[derive(Clone, Debug, Default)]
pub struct Stop {
    /// No new messages; finish what was started.
    pub receiving: CancellationToken,
    /// Return at once; leases lapse.
    pub abort: CancellationToken,
}

/// What ingest is given.
pub struct IngestParts {
    /// Where notifications arrive.
    pub uploads: Arc<dyn Queue>,
    /// Where jobs go.
    pub jobs: Jobs,
    /// Where images are admitted.
    pub store: Arc<dyn Store>,
    /// Asked for each object's lane.
    pub objects: Arc<dyn Objects>,
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
    pub(crate) intake: Intake,
}

impl Ingest {
    /// A role that does nothing yet.
    pub fn new(parts: IngestParts, settings: IngestSettings) -> Self {
        let IngestParts { uploads, jobs, store, objects, signal, clock, metrics } = parts;
        let health = Arc::new(IngestHealth::default());
        let rejections = AllRejections::default();
        let intake = Intake { jobs, store, objects, signal, settings, metrics, health, rejections };
        Self { uploads, clock, intake }
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
        let all = async { tokio::join!(receivers, self.sweep_loop(&stop.receiving)) };
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
        let settings = &self.intake.settings;
        let mut failures = 0;
        while !stop.receiving.is_cancelled() {
            let last = async {
                stop.receiving.cancelled().await;
                tokio::time::sleep(LAST_POLL).await;
            };
            let received = tokio::select! {
                received = self.uploads.receive(settings.batch, settings.wait, settings.lease) => received,
                () = last => break,
            };
            let outage = match received {
                Ok(batch) if batch.is_empty() => None,
                Ok(batch) if stop.receiving.is_cancelled() => {
                    self.settle(&batch, vec![Settlement::Release; batch.len()]).await;
                    break;
                }
                Ok(batch) => self.work(&batch).await.err(),
                Err(error) => Some(Outage { part: "uploads", error: Arc::new(error) }),
            };
            match outage {
                None => failures = 0,
                Some(outage) => {
                    tracing::warn!(part = outage.part, error = %outage.error, "a part is away; waiting");
                    self.intake.metrics.outages.with_label_values(&[outage.part]).inc();
                    self.wait_out(outage.part, &mut failures, &stop.receiving).await;
                }
            }
        }
    }

    /// Works on one batch while its leases are kept, and settles it.
    async fn work(&self, batch: &[Delivery]) -> Result<(), Outage> {
        let started = Instant::now();
        let worked = tokio::select! {
            worked = self.intake.process(batch) => worked,
            never = self.keep(batch) => match never {},
        };
        let (settlements, outage) = match worked {
            Ok(settlements) => (settlements, Ok(())),
            Err(outage) => (vec![Settlement::Release; batch.len()], Err(outage)),
        };
        self.settle(batch, settlements).await;
        self.intake.metrics.batch_seconds.observe(started.elapsed().as_secs_f64());
        outage
    }

    /// Extends the batch's leases at a third of their term, until dropped. A lost lease needs no
    /// answer here: every step may be repeated by another receiver.
    async fn keep(&self, batch: &[Delivery]) -> Infallible {
        let lease = self.intake.settings.lease;
        let mut receipts: Vec<Receipt> = batch.iter().map(|one| one.receipt.clone()).collect();
        loop {
            // A tenth of jitter keeps many processes from extending in step.
            tokio::time::sleep(lease.mul_f64((0.9 + 0.1 * rand::random::<f64>()) / 3.0)).await;
            let mut lost = Vec::new();
            for (receipt, extended) in
                receipts.iter().zip(self.uploads.extend(&receipts, lease).await)
            {
                if matches!(extended, Err(LeaseError::Lost)) {
                    self.intake.metrics.leases_lost.inc();
                    lost.push(receipt.clone());
                }
            }
            receipts.retain(|receipt| !lost.contains(receipt));
        }
    }

    async fn settle(&self, batch: &[Delivery], settlements: Vec<Settlement>) {
        let now = self.clock.now();
        let outcomes: Vec<&str> = settlements.iter().map(word).collect();
        let receipts = batch.iter().map(|one| one.receipt.clone());
        let settled = self.uploads.settle(receipts.zip(settlements).collect()).await;
        for ((result, outcome), delivery) in settled.into_iter().zip(outcomes).zip(batch) {
            let outcome = match result {
                Ok(()) => outcome,
                Err(LeaseError::Lost) => "lost",
                Err(LeaseError::Port(error)) => {
                    tracing::warn!(%error, "a message was not settled; it will come again");
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

    /// Pauses until `part` answers again, or until told to stop.
    async fn wait_out(&self, part: &str, failures: &mut u32, stop: &CancellationToken) {
        let _waiting = self.intake.health.waiting();
        loop {
            let pause = self.intake.settings.backoff.delay(*failures, rand::random());
            *failures = failures.saturating_add(1);
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = stop.cancelled() => return,
            }
            let answers = match part {
                "store" => self.intake.store.first_event().await.is_ok(),
                "jobs" => self.jobs_answer().await,
                // Receiving is its own probe: it takes nothing while the queue is away.
                _ => true,
            };
            if answers {
                return;
            }
        }
    }

    async fn jobs_answer(&self) -> bool {
        for lane in Lane::ALL {
            if self.intake.jobs.of(lane).depth().await.is_err() {
                return false;
            }
        }
        true
    }
}

fn word(settlement: &Settlement) -> &'static str {
    match settlement {
        Settlement::Done => "done",
        Settlement::Retry { .. } => "retried",
        Settlement::Release => "released",
        Settlement::Dead { .. } => "dead",
    }
}
