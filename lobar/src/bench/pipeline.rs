//! The whole journey on embedded parts: stored objects, their events, ingest, worker, results.
//!
//! Measured against the sum of its parts: what decoding and the forward pass take alone, on the
//! cores there are.

use std::time::{Duration, Instant};

use lobar_core::engine::Engine as _;
use lobar_core::image::Lane;
use lobar_imaging::{Limits, prepare};
use lobar_model::engine::cores::Split;
use serde_json::{Value, json};

use super::system::System;
use super::{median, print, sample};
use crate::cli;
use crate::engine::{self, EngineChoice};
use crate::failure::{Failure, chain};
use crate::settings::{Settings, Threads};

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
    let mut system = Box::pin(System::open(service)).await?;
    let alone = alone(&system.settings, pictures)?;
    for n in 0..images {
        system.put("bench", &n.to_string(), &pictures[n % pictures.len()], Lane::Routine).await?;
    }
    system.work().await?;

    let began = Instant::now();
    system.ingest()?;
    while system.finished().await? < images as u64 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let seconds = began.elapsed().as_secs_f64();
    let Split { replicas, threads } = engine::split(&EngineChoice::of_worker(&system.settings));
    system.close().await?;

    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let rate = images as f64 / seconds;
    // An engine of one thread answers no more than it does alone; decoding takes what is left of the cores.
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
