//! The sweeper: enqueues images again that stayed unfinished although no queue holds their job.
//!
//! A job can only be missing when every job still waiting is younger than the image's last change.
//! So an image must be older than the oldest waiting job before it is swept: a deep backlog makes no
//! second jobs, and a lost one is found as soon as the backlog has passed it.

use std::time::Duration;

use lobar_core::image::{Lane, Lanes};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use crate::admission::Needed;
use crate::ingest::Ingest;
use crate::outage::{Outage, Service};

/// Added to the age of the oldest job: admission comes before the job by less than this.
const MARGIN: Duration = Duration::from_secs(60);

impl Ingest {
    pub(crate) async fn sweep_loop(&self, stop: &CancellationToken) {
        let every = self.intake.settings.sweep_every;
        if every.is_zero() {
            return;
        }
        let mut ticks = tokio::time::interval(every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = ticks.tick() => {}
                () = stop.cancelled() => return,
            }
            self.intake.notices.tell_rest(&self.intake.settings.buckets, self.clock.now());
            if let Err(outage) = self.sweep().await {
                let (service, error) = (outage.service.as_str(), outage.error);
                let seconds = every.as_secs();
                tracing::warn!(service, %error, "sweep failed; the next is in {seconds} s");
            }
        }
    }

    /// Sweeps once. Answers how many images got another job.
    ///
    /// # Errors
    /// When the store or a job queue is away; what was marked as looked at waits for a later sweep.
    async fn sweep(&self) -> Result<usize, Outage> {
        let Some(waiting) = self.oldest_job().await? else { return Ok(0) };
        let settings = &self.intake.settings;
        let older_than = settings.sweep_after.max(waiting);
        let found = self.intake.store.sweep(older_than, settings.sweep_limit).await;
        let found = found.map_err(Outage::of(Service::Store))?;
        // The trace of a job that is lost is lost with it. What is swept takes turns as one more group: its site is a
        // question for each image, and it has waited long enough.
        let mut lanes: Lanes<Vec<Needed>> = Lanes::default();
        for &(image, lane) in &found {
            lanes.of_mut(lane).push(Needed { image, site: None, trace: None });
        }
        let (mut swept, mut failed) = (0, None);
        // One lane's queue may be away: the other lane's images get their jobs all the same.
        for lane in Lane::ALL {
            let sent = self.intake.send(lane, lanes.of(lane)).await;
            let count = sent.iter().filter(|sent| sent.is_ok()).count();
            let counter = self.intake.metrics.swept.with_label_values(&[lane.as_str()]);
            counter.inc_by(count.try_into().unwrap_or(u64::MAX));
            swept += count;
            let error = sent.into_iter().find_map(Result::err);
            failed = error.map(|error| Outage { service: Service::Jobs(lane), error }).or(failed);
        }
        if swept > 0 {
            tracing::info!(
                images = swept,
                "sweep: unfinished images without a job got another one"
            );
        }
        failed.map_or(Ok(swept), Err)
    }

    /// How long the oldest job has waited, with the margin; zero when none waits, `None` when there
    /// is a backlog whose age the queue does not know.
    async fn oldest_job(&self) -> Result<Option<Duration>, Outage> {
        let mut oldest = Duration::ZERO;
        for lane in Lane::ALL {
            let depth = self.intake.jobs.of(lane).depth().await;
            let depth = depth.map_err(Outage::of(Service::Jobs(lane)))?;
            match depth.oldest {
                Some(sent) => oldest = oldest.max(self.clock.now().since(sent) + MARGIN),
                None if depth.ready > self.intake.settings.sweep_limit as u64 => return Ok(None),
                None => {}
            }
        }
        Ok(Some(oldest))
    }
}
