//! How long urgent images take while routine ones keep the worker full: open loop, from the answer to the upload to the
//! committed result.

use std::time::Duration;

use lobar_core::image::{Image, Lane};
use lobar_core::object::ImageId;
use lobar_core::time::{Clock as _, Stamp, SystemClock};
use rand::Rng as _;
use serde_json::{Value, json};

use super::system::System;
use super::times::{percentile, seconds, sorted, until_finished};
use super::{print, sample};
use crate::cli;
use crate::failure::Failure;

/// Where all of them come from.
const SITE: &str = "bench";
/// Routine images that wait or are in work, at least.
const BACKLOG: u64 = 200;
/// Routine images that are uploaded at once.
const AT_ONCE: usize = 50;
/// Between two urgent images, in ms; by chance, so that they meet batches at any moment.
const BETWEEN: std::ops::Range<u64> = 150..350;

/// Prints [`figures`] of what was asked for.
pub async fn run(args: cli::BenchStat) -> Result<(), Failure> {
    let pictures = sample::pictures(&args.files)?;
    let images = usize::try_from(args.images).unwrap_or(usize::MAX);
    let figures = Box::pin(figures(&pictures, images, args.service));
    print(&figures.await?, args.json);
    Ok(())
}

/// Uploads `images` urgent images one after the other, however long they take, and as many routine ones as it needs.
pub async fn figures(
    pictures: &[Vec<u8>],
    images: usize,
    service: cli::Service,
) -> Result<Value, Failure> {
    let mut system = Box::pin(System::open(service)).await?;
    system.work().await?;
    system.ingest()?;
    let (mut routine, mut urgent) = (Vec::new(), Vec::new());
    // The first of them meet a worker that has nothing to do.
    while system.finished().await? < BACKLOG {
        fill(&system, pictures, &mut routine, 0).await?;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let (began, before) = (SystemClock.now(), system.finished().await?);
    let first = routine.len();
    let mut next = tokio::time::Instant::now();
    while urgent.len() < images {
        fill(&system, pictures, &mut routine, urgent.len()).await?;
        tokio::time::sleep_until(next).await;
        next += Duration::from_millis(rand::rng().random_range(BETWEEN));
        let n = urgent.len();
        let picture = &pictures[n % pictures.len()];
        let id = system.put(SITE, &format!("urgent/{n}"), picture, Lane::Stat).await?;
        urgent.push((id, SystemClock.now()));
    }
    let rate = (system.finished().await? - before) as f64 / seconds(began, SystemClock.now());
    let (mut ended, mut beside) = (Vec::new(), Vec::new());
    for &(id, uploaded) in &urgent {
        ended.push((uploaded, until_finished(&system, id).await?));
    }
    for &id in routine[..first].iter().rev().take(images) {
        beside.push(until_finished(&system, id).await?);
    }
    system.close().await?;
    Ok(of(&ended, &beside, rate))
}

/// Keeps a backlog of routine images.
async fn fill(
    system: &System,
    pictures: &[Vec<u8>],
    routine: &mut Vec<ImageId>,
    urgent: usize,
) -> Result<(), Failure> {
    let unfinished = (routine.len() + urgent) as u64 - system.finished().await?;
    let more = if unfinished < BACKLOG { AT_ONCE } else { 0 };
    for n in routine.len()..routine.len() + more {
        let picture = &pictures[n % pictures.len()];
        routine.push(system.put(SITE, &n.to_string(), picture, Lane::Routine).await?);
    }
    Ok(())
}

/// Percentiles of the times from upload to result, and the medians of their parts; of the routine images `beside` them how
/// long a batch takes.
fn of(ended: &[(Stamp, Image)], beside: &[Image], rate: f64) -> Value {
    let finished = |image: &Image| image.finished_at.unwrap_or_default();
    let took = ended.iter().map(|(uploaded, image)| seconds(*uploaded, finished(image)) * 1e3);
    let took = sorted(took);
    let median = |images: &[&Image], name: &str| {
        let findings = images.iter().filter_map(|image| image.finding.as_ref());
        percentile(&sorted(findings.filter_map(|f| f.timings_ms.get(name).copied())), 50)
    };
    let urgent: Vec<&Image> = ended.iter().map(|(_, image)| image).collect();
    let part = |name| median(&urgent, name);
    let (fetch, decode) = (part("fetch"), part("decode"));
    let batch = median(&beside.iter().collect::<Vec<_>>(), "infer");
    let limit = fetch + decode + 2.0 * batch;
    json!({
        "urgent_images": took.len(),
        "images_per_second": rate,
        "p50_ms": percentile(&took, 50),
        "p99_ms": percentile(&took, 99),
        "fetch_p50_ms": fetch,
        "decode_p50_ms": decode,
        "wait_for_the_engine_p50_ms": part("wait"),
        "batch_p50_ms": part("infer"),
        "routine_batch_p50_ms": batch,
        "fetch_decode_and_two_batches_ms": limit,
        "p99_over_that": percentile(&took, 99) / limit,
    })
}
