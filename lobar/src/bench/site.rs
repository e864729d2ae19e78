//! How long a quiet site waits while another one uploads in bulk: from the answer to an upload to the committed result, all
//! of it routine.

use std::time::Duration;

use lobar_core::image::{Image, Lane};
use lobar_core::time::{Clock as _, Stamp, SystemClock};
use rand::Rng as _;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::system::System;
use super::times::{percentile, seconds, sorted, until_finished};
use super::{print, sample};
use crate::cli;
use crate::failure::Failure;

const QUIET: &str = "quiet";
const BUSY: &str = "busy";
/// Between two images of the quiet site, in ms; by chance, so that they meet batches at any moment.
const BETWEEN: std::ops::Range<u64> = 300..700;

/// Prints [`figures`] of what was asked for.
pub async fn run(args: cli::BenchSite) -> Result<(), Failure> {
    let pictures = sample::pictures(&args.files)?;
    let count = |n: u64| usize::try_from(n).unwrap_or(usize::MAX);
    let figures = Box::pin(figures(&pictures, count(args.images), count(args.bulk), args.service));
    print(&figures.await?, args.json);
    Ok(())
}

/// Uploads `images` of the quiet site, then, on a system of its own, `bulk` of the busy one and `images` of the quiet one.
async fn figures(
    pictures: &[Vec<u8>],
    images: usize,
    bulk: usize,
    service: cli::Service,
) -> Result<Value, Failure> {
    let mut system = Box::pin(System::open(service.clone())).await?;
    system.work().await?;
    system.ingest()?;
    let alone = quiet(&system, pictures, images).await?;
    system.close().await?;

    let mut system = Box::pin(System::open(service)).await?;
    let mut upload = Vec::new();
    for n in 0..bulk {
        let picture = &pictures[n % pictures.len()];
        upload.push(system.put(BUSY, &n.to_string(), picture, Lane::Routine).await?);
    }
    // Whoever uploads next finds all of it in the queue of jobs.
    system.ingest()?;
    while system.known().await? < bulk as u64 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    system.work().await?;
    let began = SystemClock.now();
    let beside = quiet(&system, pictures, images).await?;
    let done = system.finished().await?;
    let waiting = (bulk + images) as u64 - done;
    let rate = done as f64 / seconds(began, SystemClock.now());
    let mut last = began;
    for id in upload {
        last = last.max(until_finished(&system, id).await?.finished_at.unwrap_or_default());
    }
    system.close().await?;
    let (alone, beside) = (took(&alone), took(&beside));
    Ok(json!({
        "images_of_the_quiet_site": images,
        "images_of_the_busy_site": bulk,
        "of_which_waited_to_the_end": waiting,
        "images_per_second": rate,
        "alone_p50_ms": percentile(&alone, 50),
        "alone_p95_ms": percentile(&alone, 95),
        "beside_p50_ms": percentile(&beside, 50),
        "beside_p95_ms": percentile(&beside, 95),
        "beside_over_alone_p95": percentile(&beside, 95) / percentile(&alone, 95),
        "last_of_the_busy_site_ms": seconds(began, last) * 1e3,
    }))
}

/// Uploads so many images, whatever becomes of them, and waits for their results.
async fn quiet(
    system: &System,
    pictures: &[Vec<u8>],
    images: usize,
) -> Result<Vec<(Stamp, Image)>, Failure> {
    let (mut uploaded, mut ended) = (Vec::new(), Vec::new());
    let mut next = Instant::now();
    for n in 0..images {
        tokio::time::sleep_until(next).await;
        next += Duration::from_millis(rand::rng().random_range(BETWEEN));
        let picture = &pictures[n % pictures.len()];
        let id = system.put(QUIET, &n.to_string(), picture, Lane::Routine).await?;
        uploaded.push((id, SystemClock.now()));
    }
    for (id, at) in uploaded {
        ended.push((at, until_finished(system, id).await?));
    }
    Ok(ended)
}

/// Milliseconds from upload to result, in order.
fn took(ended: &[(Stamp, Image)]) -> Vec<f64> {
    let took =
        |(at, image): &(Stamp, Image)| seconds(*at, image.finished_at.unwrap_or_default()) * 1e3;
    sorted(ended.iter().map(took))
}
