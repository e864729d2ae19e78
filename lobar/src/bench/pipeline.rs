//! The whole journey on embedded parts: stored objects, their events, ingest, worker, results.
//!
//! Measured against the sum of its parts: what decoding and the forward pass take alone, on the
//! cores there are.

use std::time::{Duration, Instant};

use bytes::Bytes;
use lobar_core::engine::Engine as _;
use lobar_core::image::{Lane, State};
use lobar_core::object_store::{ObjectStore as _, Upload};
use lobar_imaging::{Limits, prepare};
use lobar_model::engine::cores::Split;
use serde_json::{Value, json};

use super::{median, print, sample};
use crate::cli;
use crate::engine::{self, EngineChoice};
use crate::failure::{Failure, chain};
use crate::service::{Ports, Running, roles, s3, worker};
use crate::settings::{LocalPath, PartialSettings, Roles, Settings, Threads};
use crate::startup_message::StartupMessage;

/// Rounds in which each part is measured alone.
const ROUNDS: usize = 5;

/// Seconds an image takes in each part alone, on one core.
struct Alone {
    decode: f64,
    forward: f64,
}

/// Prints [`figures`] of what was asked for.
pub async fn run(args: cli::Pipeline) -> Result<(), Failure> {
    let pictures = sample::pictures(&args.files)?;
    let figures = Box::pin(figures(&pictures, args.images, args.service));
    print(&figures.await?, args.json);
    Ok(())
}

/// Puts `images` objects, then measures from the first event taken to the last result committed.
pub async fn figures(
    pictures: &[Vec<u8>],
    images: usize,
    service: cli::Service,
) -> Result<Value, Failure> {
    let folder = tempfile::tempdir().map_err(Failure::failed)?;
    let given = PartialSettings {
        data: Some(LocalPath::at(folder.path())),
        s3_listen: Some(([127, 0, 0, 1], 0).into()),
        ..service.given
    };
    let settings = Settings::load(given, service.config)?;
    let alone = alone(&settings, pictures)?;
    let parts = Ports::open(&settings, &Roles::all()).await?;
    let mut running = Running::default();
    let mut ready = StartupMessage::new(&settings);
    let start = parts.readiness.check("start");
    let (address, _) = s3::start(&settings, &parts, &start, &mut running, &mut ready).await?;
    let objects = roles::objects(&settings, Some(address)).await?;
    for n in 0..images {
        let body = Bytes::from(pictures[n % pictures.len()].clone());
        let key = format!("incoming/bench/{n}");
        let upload = Upload { key, body, lane: Lane::Routine, metadata: Default::default() };
        objects.put(upload).await.map_err(|e| Failure::failed(chain(&e)))?;
    }
    worker::start(&settings, &parts, objects.clone(), Some(address), &mut running).await?;

    let began = Instant::now();
    roles::ingest(&settings, &parts, (objects, None), None, &mut running)?;
    while finished(&parts).await? < images as u64 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let seconds = began.elapsed().as_secs_f64();
    running.stop(Duration::from_secs(30), Duration::from_secs(5)).await?;
    parts.close().await;

    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let rate = images as f64 / seconds;
    // An engine of one thread answers no more than it does alone; decoding takes what is left of the cores.
    let Split { replicas, threads } = engine::split(&EngineChoice::of_worker(&settings));
    let engines = (replicas * threads).min(cores) as f64;
    let bound = (engines / alone.forward).min(cores as f64 / (alone.decode + alone.forward));
    Ok(json!({
        "images": images,
        "cores": cores,
        "replicas": replicas,
        "threads": threads,
        "decode_alone_ms": alone.decode * 1e3,
        "forward_alone_ms": alone.forward * 1e3,
        "images_per_second": rate,
        "bound_images_per_second": bound,
        "share_of_bound": rate / bound,
    }))
}

async fn finished(parts: &Ports) -> Result<u64, Failure> {
    let overview = parts.store.overview().await.map_err(|e| Failure::failed(chain(&e)))?;
    let ended = overview.by_state.iter().filter(|(state, _)| state.is_terminal());
    let stuck = overview.by_state.iter().find(|(state, n)| *state == State::Failed && *n > 0);
    match stuck {
        Some((_, n)) => Err(Failure::failed(format!("{n} images failed; see the log"))),
        None => Ok(ended.map(|(_, n)| n).sum()),
    }
}

/// The engine has one thread here, so that its core time is its wall time.
fn alone(settings: &Settings, pictures: &[Vec<u8>]) -> Result<Alone, Failure> {
    let mut engine = engine::load(&EngineChoice {
        threads: Some(Threads::of::<1>()),
        ..EngineChoice::from(settings)
    })?;
    let (mut decodes, mut forwards) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let began = Instant::now();
        let mut inputs = Vec::new();
        for picture in pictures {
            let prepared = prepare(picture, &Limits::default());
            inputs.push(prepared.map_err(|e| Failure::failed(e.to_string()))?.input);
        }
        decodes.push(began.elapsed().as_secs_f64() / pictures.len() as f64);
        let batch: Vec<_> = inputs.iter().cycle().take(settings.batch.count()).cloned().collect();
        let began = Instant::now();
        engine.infer(&batch).map_err(|e| Failure::failed(chain(&e)))?;
        forwards.push(began.elapsed().as_secs_f64() / batch.len() as f64);
    }
    Ok(Alone { decode: median(&mut decodes), forward: median(&mut forwards) })
}
