//! The path of queues and store alone: notification, admission, job, claim, result, with an object
//! store and a network that take no time. On the services that the settings name.

use std::sync::Arc;
use std::time::{Duration, Instant};

use lobar_core::image::{Lane, Lanes, State};
use lobar_core::object_store::ObjectStore;
use lobar_core::queue::Outgoing;
use lobar_core::store::Store;
use lobar_worker::model::EngineSource;
use lobar_worker::{Capacity, Worker, WorkerMetrics, WorkerPorts, WorkerSettings};
use prometheus::Registry;
use serde_json::{Value, json};

use super::null::{NullEngine, OnePicture, notification};
use super::print;
use crate::cli;
use crate::failure::{Failure, chain};
use crate::service::{Ports, Running, roles};
use crate::settings::{LocalPath, PartialSettings, Roles, Settings};

/// How often the store is asked how far things are.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// How long nothing may be finished before the run counts as stuck.
const STUCK: Duration = Duration::from_secs(60);
/// Notifications sent at once.
const AT_ONCE: usize = 500;

/// Prints [`figures`] for each number of workers that was asked for.
pub async fn run(args: cli::Pipeline) -> Result<(), Failure> {
    for &workers in &args.workers {
        let figures = Box::pin(figures(args.images, workers, args.service.clone()));
        print(&figures.await?, args.json);
    }
    Ok(())
}

/// One run on the services that the settings name, or on embedded ones in a temporary folder.
pub async fn figures(
    images: usize,
    workers: usize,
    service: cli::Service,
) -> Result<Value, Failure> {
    let folder = tempfile::tempdir().map_err(Failure::failed)?;
    let data = service.given.data.clone().unwrap_or_else(|| LocalPath::at(folder.path()));
    let given = PartialSettings { data: Some(data), ..service.given };
    measure(&Settings::load(given, service.config)?, workers, images).await
}

/// Measures from the start of ingest, with every notification sent, to the last result committed.
async fn measure(settings: &Settings, workers: usize, images: usize) -> Result<Value, Failure> {
    let parts = Ports::open(settings, &Roles::all()).await?;
    let before = finished(&*parts.store).await?;
    notify(settings, &parts, images).await?;

    let objects: Arc<dyn ObjectStore> = Arc::new(OnePicture::draw()?);
    let mut running = Running::default();
    let mut theirs = Vec::new();
    for _ in 0..workers.max(1) {
        // Connections of its own, as a process has them.
        let own = Ports::open(settings, &Roles::all()).await?;
        work(settings, &own, objects.clone(), &mut running)?;
        theirs.push(own);
    }
    let cpu = Cpu::now();
    let began = Instant::now();
    roles::ingest(settings, &parts, (objects, None), None, &mut running)?;
    let (mut done, mut moved) = (0, Instant::now());
    while done < images as u64 {
        tokio::time::sleep(LOOK_EVERY).await;
        let now = finished(&*parts.store).await?.saturating_sub(before);
        if now > done {
            (done, moved) = (now, Instant::now());
        } else if moved.elapsed() > STUCK {
            return Err(Failure::failed(format!("{done} of {images} images, and no more come")));
        }
    }
    let seconds = began.elapsed().as_secs_f64();
    let used = Cpu::now().since(cpu);
    running.stop(Duration::from_secs(30), Duration::from_secs(5)).await?;
    for own in theirs {
        own.close().await;
    }
    parts.close().await;
    Ok(json!({
        "workers": workers,
        "images": images,
        "images_per_second": images as f64 / seconds,
        "own_core_ms_per_image": used.as_secs_f64() * 1e3 / images as f64,
    }))
}

async fn notify(settings: &Settings, parts: &Ports, images: usize) -> Result<(), Failure> {
    // Keys that no run before had: an image is admitted once.
    let run = uuid::Uuid::new_v4();
    let body = |n: usize| {
        let key = format!("incoming/bench/{run}/{n}");
        Outgoing::now(notification(settings.bucket.as_str(), &key, n))
    };
    for first in (0..images).step_by(AT_ONCE) {
        let batch = (first..images.min(first + AT_ONCE)).map(body).collect();
        for sent in parts.uploads()?.send(batch).await {
            sent.map_err(|e| Failure::failed(chain(&e)))?;
        }
    }
    Ok(())
}

fn work(
    settings: &Settings,
    parts: &Ports,
    objects: Arc<dyn ObjectStore>,
    running: &mut Running,
) -> Result<(), Failure> {
    let worker = Worker::new(
        WorkerPorts {
            jobs: Lanes {
                stat: parts.jobs.of(Lane::Stat).clone(),
                routine: parts.jobs.of(Lane::Routine).clone(),
            },
            store: parts.store.clone(),
            objects,
            signal: parts.signal.clone(),
            engine: EngineSource::Pinned(Box::new(NullEngine::new(settings.batch.count()))),
            metrics: WorkerMetrics::register(&Registry::new()).map_err(Failure::failed)?,
        },
        WorkerSettings::new(Capacity::for_batch(settings.batch.count()).map_err(Failure::usage)?),
    );
    let stop =
        lobar_worker::Stop { receiving: running.receiving.clone(), abort: running.abort.clone() };
    running.start("worker", async move { worker.run(stop).await.map_err(Failure::failed) });
    Ok(())
}

async fn finished(store: &dyn Store) -> Result<u64, Failure> {
    let overview = store.overview().await.map_err(|e| Failure::failed(chain(&e)))?;
    Ok(overview.by_state.iter().filter(|(state, _)| *state == State::Ready).map(|(_, n)| n).sum())
}

/// Processor time that this process has used, in all its threads.
#[derive(Clone, Copy)]
struct Cpu(Duration);

impl Cpu {
    fn now() -> Self {
        // The 14th and 15th field of proc_pid_stat(5), in ticks of a hundredth of a second; the name
        // in the second one may hold spaces.
        let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
        let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
        let ticks: u64 = fields.skip(11).take(2).filter_map(|n| n.parse::<u64>().ok()).sum();
        Self(Duration::from_millis(ticks * 10))
    }

    fn since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}
