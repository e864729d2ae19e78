//! The role: put together, run until told to stop.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use lobar_core::image::Lane;
use lobar_core::objects::Objects;
use lobar_core::queue::Jobs;
use lobar_core::signal::Signal;
use lobar_core::store::Store;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::JoinError;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::circuit::Circuits;
use crate::context::{Context, Watched};
use crate::device::{Answer, Device, DeviceFault, probe};
use crate::dispatch::Dispatcher;
use crate::finish::Finisher;
use crate::health::WorkerHealth;
use crate::intake;
use crate::metrics::WorkerMetrics;
use crate::model::{self, EngineSource, Post, follow_assignment};
use crate::settings::WorkerSettings;
use crate::slots::Slots;
use crate::suspect;
use crate::ticket::Roll;

/// How often the figures of [`WorkerHealth`] are renewed.
const PERIOD: Duration = Duration::from_secs(5);
/// How long giving back may take once the drain is over.
const GIVING_BACK: Duration = Duration::from_secs(5);

/// The two phases of a stop.
#[derive(Clone, Debug, Default)]
pub struct Stop {
    /// No new jobs; finish what is in hand within `drain`, give back the rest.
    pub receiving: CancellationToken,
    /// Return at once; leases lapse.
    pub abort: CancellationToken,
}

/// What a worker is given.
pub struct WorkerParts {
    /// Where jobs come from.
    pub jobs: Jobs,
    /// Where images are claimed and finished.
    pub store: Arc<dyn Store>,
    /// Where their bytes are.
    pub objects: Arc<dyn Objects>,
    /// Told of every change.
    pub signal: Arc<dyn Signal>,
    /// The network, or where it comes from.
    pub engine: EngineSource,
    /// What it counts.
    pub metrics: WorkerMetrics,
}

/// Why a worker ended on its own. The process should end with an error: leases lapse, and others
/// take over.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    /// The engine cannot go on.
    #[error(transparent)]
    Device(#[from] DeviceFault),
    /// The system gave no thread for the engine.
    #[error("no thread for the engine: {0}")]
    Thread(#[from] std::io::Error),
    /// A fault of this program.
    #[error("a part of the worker ended abnormally: {0}")]
    Internal(#[from] JoinError),
}

/// The worker role.
pub struct Worker {
    parts: WorkerParts,
    settings: WorkerSettings,
    health: Arc<WorkerHealth>,
}

impl Worker {
    /// A role that does nothing yet.
    pub fn new(parts: WorkerParts, settings: WorkerSettings) -> Self {
        Self { parts, settings, health: Arc::default() }
    }

    /// Readiness and figures, to be read while it runs.
    pub fn health(&self) -> Arc<WorkerHealth> {
        self.health.clone()
    }

    /// Works until told to stop.
    ///
    /// # Errors
    /// When the engine failed; see [`WorkerError`].
    pub async fn run(self, stop: Stop) -> Result<(), WorkerError> {
        let kill = CancellationToken::new();
        // However this ends, nothing of it goes on afterwards.
        let _end = kill.clone().drop_guard();
        let (abort, health) = (stop.abort.clone(), self.health.clone());
        let ended = abort.run_until_cancelled(Box::pin(self.work(stop, kill))).await;
        health.set_ready(false);
        ended.unwrap_or(Ok(()))
    }

    async fn work(self, stop: Stop, kill: CancellationToken) -> Result<(), WorkerError> {
        let Self { parts, settings, health } = self;
        let WorkerParts { jobs, store, objects, signal, engine, metrics } = parts;
        let parts = TaskTracker::new();
        let watched = Watched {
            settings: settings.clone(),
            metrics: metrics.clone(),
            health: health.clone(),
        };
        let (engine, followed) = match engine {
            EngineSource::Pinned(engine) => (engine, None),
            EngineSource::Assigned(models) => {
                let (told, mut assigned) = watch::channel(None);
                let registry = models.registry.clone();
                let asking = follow_assignment(registry, settings.follow_every, told);
                let kill = kill.clone();
                parts.spawn(async move { kill.run_until_cancelled(asking).await });
                let first = Box::pin(model::first(&watched, &models, &mut assigned));
                match stop.receiving.run_until_cancelled(first).await {
                    Some(engine) => (engine, Some((models, assigned))),
                    None => return Ok(()),
                }
            }
        };
        let device = Device::start("engine", engine)?;
        check(&device, settings.watchdog).await?;
        health.set_model(device.info.model.clone());
        health.set_trouble(None);
        metrics.model(&device.info);

        let slots = Slots::new(&settings.capacity);
        let (decoded, to_dispatch) = mpsc::channel(slots.total());
        let (finished, to_finish) = mpsc::channel(slots.total());
        let context = Arc::new(Context {
            jobs,
            store,
            objects,
            signal,
            shadow: Post::new(metrics.clone()),
            metrics,
            health: health.clone(),
            slots,
            fetches: Semaphore::new(settings.capacity.fetches()),
            decoders: Arc::new(Semaphore::new(settings.capacity.decoders())),
            turns: Arc::new(Semaphore::new(suspect::TURNS as usize)),
            waiting_suspects: AtomicUsize::new(0),
            roll: Roll::default(),
            circuits: Circuits::new(),
            decoded,
            finished,
            work: TaskTracker::new(),
            parts,
            stopping: stop.receiving.child_token(),
            give_up: CancellationToken::new(),
            kill,
            settings,
        });
        let all_decoded = CancellationToken::new();
        let all_finished = CancellationToken::new();
        let finisher = Finisher::new(context.clone()).run(to_finish, all_finished.clone());
        let mut finisher = context.spawn_part(finisher);
        let (swaps, to_swap) = mpsc::channel(1);
        let dispatcher = Dispatcher::new(context.clone(), device, to_swap);
        let mut dispatcher = context.spawn_part(dispatcher.run(to_dispatch, all_decoded.clone()));
        let shadow = followed.map(|(models, assigned)| {
            let active =
                model::follow_active(watched.clone(), models.clone(), assigned.clone(), swaps);
            let stopping = context.stopping.clone();
            context.spawn_part(async move { stopping.run_until_cancelled(active).await });
            let shadow = model::follow_shadow(watched, models, assigned, context.clone());
            context.spawn_part(shadow)
        });
        for lane in Lane::ALL {
            context.spawn(intake::receive(context.clone(), lane));
        }
        health.set_ready(true);

        let early = tokio::select! {
            () = stop.receiving.cancelled() => None,
            ended = &mut dispatcher => Some(ended),
            ended = &mut finisher => return Err(ended.err().map_or_else(gone, WorkerError::from)),
            () = measure(&context) => None,
        };
        health.set_ready(false);
        context.stopping.cancel();
        if early.is_some() {
            context.give_up.cancel();
        }
        let drained = async {
            context.work.close();
            context.work.wait().await;
            all_decoded.cancel();
            let dispatched = match early {
                Some(ended) => ended,
                None => dispatcher.await,
            };
            all_finished.cancel();
            let finished = finisher.await;
            if let Some(shadow) = shadow {
                // It has stopped, or it is a fault that is logged where it panics.
                let _ = shadow.await;
            }
            (dispatched, finished)
        };
        tokio::pin!(drained);
        let drain = tokio::time::timeout(context.settings.drain, &mut drained).await;
        let (dispatched, finished) = match drain {
            Ok(ended) => ended,
            Err(_) => {
                context.give_up.cancel();
                match tokio::time::timeout(GIVING_BACK, drained).await {
                    Ok(ended) => ended,
                    Err(_) => {
                        tracing::warn!("not everything could be given back in time; leases lapse");
                        return Ok(());
                    }
                }
            }
        };
        finished?;
        match dispatched? {
            Some(Err(fault)) => Err(fault.into()),
            Some(Ok(())) | None => Ok(()),
        }
    }
}

fn gone() -> WorkerError {
    DeviceFault::Lost("the finisher ended before its time".into()).into()
}

/// The engine must answer on a known good input before the worker is ready.
async fn check(device: &Device, limit: Duration) -> Result<(), DeviceFault> {
    let reply = tokio::time::timeout(limit, device.submit(vec![probe()])).await;
    let reply = reply.map_err(|_| DeviceFault::Hung(limit))?;
    let reply = reply.map_err(|_| DeviceFault::Lost("the engine's thread has ended".into()))?;
    match reply.answers?.first() {
        Some(Answer::Prediction(prediction)) if prediction.probability.is_finite() => Ok(()),
        _ => Err(DeviceFault::Lost("no usable answer on a known good input".into())),
    }
}

/// Renews the figures, for ever.
async fn measure(context: &Context) {
    let mut last = Instant::now();
    loop {
        tokio::time::sleep(PERIOD).await;
        let in_flight = context.slots.in_use();
        context.health.set_in_flight(in_flight);
        let presence = context.health.close_period(last.elapsed());
        last = Instant::now();
        context.metrics.busy_ratio.set(presence.busy);
        context.metrics.in_flight.set(i64::try_from(in_flight).unwrap_or(i64::MAX));
    }
}
