//! The phases of a worker's life.
//!
//! ```text
//! build: engine, context, dispatcher, finisher, receivers ─▶ run: until stopped or a stage ends ─▶
//! drain: receivers and images ─▶ dispatcher ─▶ finisher, each once nothing more comes to it
//! ```

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use lobar_consumer::{Rejections, Stop, beating};
use lobar_core::engine::Engine;
use lobar_core::image::Lane;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::claim::Claims;
use crate::context::{Context, ModelContext};
use crate::device::{Answer, Device, DeviceFault, Replicas, probe};
use crate::dispatch::Dispatcher;
use crate::failing_fetches::FailingFetches;
use crate::finish::Finisher;
use crate::health::WorkerHealth;
use crate::intake;
use crate::lane_semaphore::LaneSemaphore;
use crate::model::{self, Assigned, EngineSource, Models, ShadowQueue, Swap, follow_assignment};
use crate::services::Services;
use crate::settings::WorkerSettings;
use crate::slots::Slots;
use crate::stage::{Ended, Stage};
use crate::suspect;
use crate::work;
use crate::work_item::{Decoded, Finished, InFlight};
use crate::worker::{WorkerError, WorkerPorts};

/// How often the figures of [`WorkerHealth`] are renewed.
const PERIOD: Duration = Duration::from_secs(5);
/// How long giving back may take once the drain is over.
const RELEASE_TIMEOUT: Duration = Duration::from_secs(5);

/// A worker that has its engine and receives.
pub(crate) struct Running {
    context: Arc<Context>,
    dispatcher: Stage<Result<(), DeviceFault>>,
    finisher: Stage<()>,
    shadow: Option<JoinHandle<Option<()>>>,
}

/// What the stages take their work from.
struct Inlets {
    decoded: mpsc::Receiver<Decoded>,
    finished: mpsc::Receiver<Finished>,
}

/// A registry to follow, and what it has said.
type Followed = (Models, Assigned);

impl Running {
    /// Gets the engine, however long that takes, and starts everything. `None` when told to stop before.
    pub(crate) async fn build(
        ports: WorkerPorts,
        settings: WorkerSettings,
        health: Arc<WorkerHealth>,
        stop: &Stop,
        kill: CancellationToken,
    ) -> Result<Option<Self>, WorkerError> {
        let tasks = TaskTracker::new();
        let metrics = ports.metrics.clone();
        let model_context = ModelContext { settings, metrics, health };
        let first = first_engine(&model_context, ports.engine, &tasks, &kill);
        let Some((engine, followed)) = stop.receiving.run_until_cancelled(first).await else {
            return Ok(None);
        };
        let replicas = Replicas::start(engine, &model_context.health.pulses().engine)?;
        for device in replicas.devices() {
            check(device, model_context.settings.watchdog).await?;
        }
        let info = replicas.info();
        tracing::info!(
            model = info.model.version,
            device = info.device,
            replicas = replicas.count(),
            "engine started"
        );
        model_context.health.set_model(info.model.clone());
        model_context.health.set_model_error(None);
        model_context.metrics.model(info);

        let ModelContext { settings, metrics, health } = model_context.clone();
        let slots = Slots::new(&settings.capacity);
        let of_lanes = |total| LaneSemaphore::new(total, settings.routine_patience);
        let (decoded, to_dispatch) = mpsc::channel(slots.total());
        let (finished, to_finish) = mpsc::channel(slots.total());
        let context = Arc::new(Context {
            jobs: ports.jobs,
            store: ports.store,
            objects: ports.objects,
            signal: ports.signal,
            shadow: ShadowQueue::new(metrics.clone()),
            metrics,
            health,
            slots,
            fetches: of_lanes(settings.capacity.fetches()),
            file_memory: of_lanes(work::kib(settings.file_memory)),
            decoders: of_lanes(settings.capacity.decoders()),
            suspect_permits: Arc::new(Semaphore::new(suspect::MAX_CONCURRENT_SUSPECTS as usize)),
            waiting_suspects: AtomicUsize::new(0),
            in_flight: InFlight::default(),
            claims: Claims::default(),
            services: Services::new(settings.backoff),
            rejected_claims: Rejections::default(),
            rejected_results: Rejections::default(),
            rejected_fetches: Rejections::default(),
            failing_fetches: FailingFetches::default(),
            decoded,
            finished,
            work: TaskTracker::new(),
            service_tasks: tasks,
            stopping: stop.receiving.child_token(),
            give_up: CancellationToken::new(),
            kill,
            settings,
        });
        let inlets = Inlets { decoded: to_dispatch, finished: to_finish };
        Ok(Some(Self::start(context, model_context, replicas, followed, inlets)))
    }

    /// Starts the stages from the last to the first, so that nothing comes to one that is not there.
    fn start(
        context: Arc<Context>,
        model_context: ModelContext,
        replicas: Replicas,
        followed: Option<Followed>,
        inlets: Inlets,
    ) -> Self {
        let finisher = Finisher::new(context.clone());
        let finisher = Stage::start(&context, |no_more| finisher.run(inlets.finished, no_more));
        let (swaps, to_swap) = mpsc::channel(1);
        let dispatcher = Dispatcher::new(context.clone(), replicas, to_swap);
        let dispatcher = Stage::start(&context, |no_more| dispatcher.run(inlets.decoded, no_more));
        let shadow = followed.map(|followed| follow(&context, model_context, followed, swaps));
        for lane in Lane::ALL {
            let pulse = context.health.pulses().intake.of(lane).clone();
            context.spawn(beating(pulse, intake::receive(context.clone(), lane)));
        }
        context.health.set_ready(true);
        Self { context, dispatcher, finisher, shadow }
    }

    /// Works until told to stop, or until a stage ends before its time.
    pub(crate) async fn run(&mut self, stop: &Stop) -> Ended {
        let ended = tokio::select! {
            () = stop.receiving.cancelled() => Ended::Stopped,
            () = self.dispatcher.ended() => Ended::Early,
            () = self.finisher.ended() => Ended::Early,
            () = measure(&self.context) => Ended::Stopped,
        };
        self.context.health.set_ready(false);
        self.context.stopping.cancel();
        ended
    }

    /// Lets what is in hand finish within the drain, then gives back the rest.
    pub(crate) async fn drain(self, ended: Ended) -> Result<(), WorkerError> {
        let context = self.context.clone();
        if self.finisher.has_ended() {
            // Nothing can be given back any more.
            self.finisher.close().await?;
            return Err(DeviceFault::Lost("the finisher ended before its time".into()).into());
        }
        if ended == Ended::Early {
            context.give_up.cancel();
        }
        let closing = self.close();
        tokio::pin!(closing);
        if let Ok(closed) = tokio::time::timeout(context.settings.drain, &mut closing).await {
            return closed;
        }
        context.give_up.cancel();
        match tokio::time::timeout(RELEASE_TIMEOUT, closing).await {
            Ok(closed) => closed,
            Err(_) => {
                let seconds = RELEASE_TIMEOUT.as_secs();
                tracing::warn!(
                    "stop: not everything was given back within {seconds} s; leases lapse"
                );
                Ok(())
            }
        }
    }

    /// Closes the stages in the order in which images pass through them.
    async fn close(self) -> Result<(), WorkerError> {
        self.context.work.close();
        self.context.work.wait().await;
        let dispatched = self.dispatcher.close().await;
        let finished = self.finisher.close().await;
        if let Some(shadow) = self.shadow {
            // It has stopped, or it is a fault that is logged where it panics.
            let _ = shadow.await;
        }
        finished?;
        dispatched?.unwrap_or(Ok(())).map_err(WorkerError::from)
    }
}

/// The engine to begin with, and the registry to follow from then on, unless the engine is pinned.
async fn first_engine(
    model_context: &ModelContext,
    source: EngineSource,
    tasks: &TaskTracker,
    kill: &CancellationToken,
) -> (Box<dyn Engine + Send>, Option<Followed>) {
    let models = match source {
        EngineSource::Pinned(engine) => return (engine, None),
        EngineSource::Assigned(models) => models,
    };
    let (told, mut assigned) = watch::channel(None);
    let asking =
        follow_assignment(models.registry.clone(), model_context.settings.follow_every, told);
    let kill = kill.clone();
    tasks.spawn(async move { kill.run_until_cancelled(asking).await });
    let engine = Box::pin(model::first(model_context, &models, &mut assigned)).await;
    (engine, Some((models, assigned)))
}

/// Follows the registry: the active model by way of the dispatcher, the shadow beside it.
fn follow(
    context: &Arc<Context>,
    model_context: ModelContext,
    (models, assigned): Followed,
    swaps: mpsc::Sender<Swap>,
) -> JoinHandle<Option<()>> {
    let active =
        model::follow_active(model_context.clone(), models.clone(), assigned.clone(), swaps);
    let stopping = context.stopping.clone();
    context.spawn_service_task(async move { stopping.run_until_cancelled(active).await });
    context.spawn_service_task(model::follow_shadow(
        model_context,
        models,
        assigned,
        context.clone(),
    ))
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
        let load = context.health.close_period(last.elapsed());
        last = Instant::now();
        context.metrics.busy_ratio.set(load.busy);
        context.metrics.in_flight.set(i64::try_from(in_flight).unwrap_or(i64::MAX));
    }
}
