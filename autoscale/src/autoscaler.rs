//! The loop: measure, decide, start and drain.

use std::collections::BTreeMap;
use std::process::ExitStatus;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use lobar_consumer::Stop;
use lobar_core::failure::chain;
use lobar_core::scaling::{Decision, Policy, decide};
use lobar_core::time::Clock;
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;

use crate::fleet::{Counts, Fleet, Step};
use crate::launcher::{self, Launcher};
use crate::meter::Meter;
use crate::metrics::AutoscaleMetrics;

/// How often it looks.
const EVERY: Duration = Duration::from_secs(1);

/// What the autoscaler says of itself. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct AutoscalerHealth(Arc<Mutex<Option<&'static str>>>);

impl AutoscalerHealth {
    /// Why it does not do its work, in words from a closed set: the load cannot be measured, or no process runs that
    /// should. `None` while all is well.
    pub fn fault(&self) -> Option<&'static str> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, fault: Option<&'static str>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = fault;
    }
}

/// Keeps as many worker processes as the load asks for.
pub struct Autoscaler {
    policy: Policy,
    meter: Meter,
    fleet: Fleet,
    launcher: Launcher,
    metrics: AutoscaleMetrics,
    clock: Arc<dyn Clock>,
    health: AutoscalerHealth,
    decision: Option<Decision>,
    is_measured: bool,
    /// The ids of the processes by place.
    ids: BTreeMap<usize, u32>,
    ends: JoinSet<(usize, std::io::Result<ExitStatus>)>,
}

impl Autoscaler {
    /// Starts no process before it runs. The policy's ceiling is at most the launcher's places.
    pub fn new(
        policy: Policy,
        meter: Meter,
        launcher: Launcher,
        metrics: AutoscaleMetrics,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let places = u32::try_from(launcher.places.len()).unwrap_or(u32::MAX);
        let ceiling = policy.ceiling.min(places);
        let policy = Policy { ceiling, floor: policy.floor.min(ceiling), ..policy };
        Self {
            policy,
            meter,
            fleet: Fleet::new(launcher.places.len()),
            launcher,
            metrics,
            clock,
            health: AutoscalerHealth::default(),
            decision: None,
            is_measured: true,
            ids: BTreeMap::new(),
            ends: JoinSet::new(),
        }
    }

    /// What it says of itself while it runs.
    pub fn health(&self) -> AutoscalerHealth {
        self.health.clone()
    }

    /// Keeps processes until told to stop; then all are drained, and it ends when they have ended, or at
    /// `stop.abort`: they go on then, and end by themselves.
    pub async fn run(mut self, stop: Stop) {
        let mut ticks = tokio::time::interval(EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.receiving.cancelled() => break,
                Some(ended) = self.ends.join_next() => self.ended(ended),
                _ = ticks.tick() => self.look().await,
            }
        }
        self.keep(0);
        while !self.ends.is_empty() {
            tokio::select! {
                () = stop.abort.cancelled() => break,
                Some(ended) = self.ends.join_next() => self.ended(ended),
            }
        }
        let left = self.ids.len();
        if left > 0 {
            tracing::warn!(
                workers = left,
                "stopped before every worker had ended; they finish by themselves"
            );
        }
        self.ends.detach_all();
    }

    /// Measures and decides anew. While the load is not known, what was decided last holds.
    async fn look(&mut self) {
        let Counts { running, .. } = self.fleet.counts();
        match self.meter.read(running).await {
            Ok(load) => {
                if !self.is_measured {
                    tracing::info!("the load is measured again");
                }
                self.is_measured = true;
                let before = self.decision.as_ref();
                let decision = decide(&self.policy, before, &load, self.clock.now());
                if before.is_none_or(|before| before.wanted != decision.wanted) {
                    let (wanted, reason) = (decision.wanted, decision.reason.as_str());
                    tracing::info!(wanted, reason, "another number of workers is wanted");
                }
                self.decision = Some(decision);
            }
            Err(error) => {
                if self.is_measured {
                    let error = chain(&error);
                    tracing::warn!(
                        error,
                        "the load is not known: the workers that run are kept; measuring again every second"
                    );
                }
                self.is_measured = false;
            }
        }
        let wanted = self.decision.map_or(self.policy.floor, |decision| decision.wanted);
        self.keep(wanted);
        self.health.set(self.fault(wanted));
    }

    fn fault(&self, wanted: u32) -> Option<&'static str> {
        match self.fleet.counts() {
            _ if !self.is_measured => Some("the store does not say what waits"),
            Counts { running: 0, backing_off: 1.., .. } if wanted > 0 => {
                Some("every worker process ends by itself")
            }
            _ => None,
        }
    }

    /// Starts and drains until `wanted` processes run.
    fn keep(&mut self, wanted: u32) {
        for step in self.fleet.steps(wanted, self.clock.now()) {
            match step {
                Step::Start(place) => self.start(place),
                Step::Drain(place) => self.drain(place),
            }
        }
        self.metrics.show(wanted, self.fleet.counts());
    }

    fn start(&mut self, place: usize) {
        let mut process = match self.launcher.start(place) {
            Ok(process) => process,
            Err(error) => {
                let wait = self.fleet.ended(place, self.clock.now(), rand::random());
                let wait = wait.unwrap_or_default().as_secs_f64();
                tracing::error!(place, %error, wait, "a worker could not be started; trying again after the wait");
                return;
            }
        };
        self.metrics.starts.inc();
        if let Some(id) = process.id() {
            self.ids.insert(place, id);
        }
        tracing::info!(place, "worker started");
        self.ends.spawn(async move { (place, process.ended().await) });
    }

    fn drain(&mut self, place: usize) {
        let Some(id) = self.ids.get(&place) else { return };
        match launcher::drain(*id) {
            Ok(()) => tracing::info!(place, "worker told to finish what it has in hand and end"),
            // It has just ended; that is about to be told.
            Err(error) => tracing::debug!(place, %error, "worker not told to end"),
        }
    }

    fn ended(
        &mut self,
        ended: Result<(usize, std::io::Result<ExitStatus>), tokio::task::JoinError>,
    ) {
        let Ok((place, status)) = ended else { return };
        self.ids.remove(&place);
        let wait = self.fleet.ended(place, self.clock.now(), rand::random());
        self.metrics.end(wait.is_some()).inc();
        let exit = status.map_or_else(|error| error.to_string(), |status| status.to_string());
        match wait {
            None => tracing::info!(place, exit, "worker ended as it was told to"),
            Some(wait) => {
                let wait = wait.as_secs_f64();
                tracing::error!(
                    place,
                    exit,
                    wait,
                    "worker ended by itself: others take its work over when its leases lapse; starting it again after the wait"
                );
            }
        }
    }
}
