//! Engines and decoders as a worker has them, for a second or two: what they answer together.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use lobar_core::engine::{Engine as _, NetworkInput};
use lobar_imaging::{Limits, prepare};
use lobar_model::engine::TorchEngine;
use lobar_model::engine::cores::{self, Split};

use super::Measured;
use crate::failure::Failure;

/// Images of a batch: an image takes an engine as long as in a full one, and so many batches end within the window that the last
/// ones, cut off by its end, do not matter.
const BATCH: usize = 4;
/// How long is counted.
const WINDOW: Duration = Duration::from_millis(1_500);
/// How long the first batches may take.
const FIRST: Duration = Duration::from_secs(20);

/// Each split in turn, on the same weights, with a decoder for every core that decodes `picture` again and again.
pub(super) fn all(
    engine: &TorchEngine,
    splits: &[Split],
    picture: &[u8],
) -> Result<Vec<Measured>, Failure> {
    prepare(picture, &Limits::default()).map_err(|e| Failure::failed(e.to_string()))?;
    splits.iter().map(|split| one(engine, *split, picture)).collect()
}

fn one(engine: &TorchEngine, split: Split, picture: &[u8]) -> Result<Measured, Failure> {
    let (decoded, inputs) = sync_channel(2 * BATCH * split.replicas);
    let inputs = Mutex::new(inputs);
    let (answered, stop) = (AtomicUsize::new(0), AtomicBool::new(false));
    let rate = std::thread::scope(|scope| {
        for _ in 0..cores::count() {
            let decoded = decoded.clone();
            scope.spawn(|| decode(picture, decoded, &stop));
        }
        drop(decoded);
        for _ in 0..split.replicas {
            let engine = engine.with_threads(split.threads);
            scope.spawn(|| compute(engine, &inputs, &answered, &stop));
        }
        let rate = count(&answered, split.replicas * BATCH);
        stop.store(true, Ordering::Relaxed);
        // Decoders that wait for a place go on and see it; engines end when no decoder is left.
        while next(&inputs).is_some() {}
        rate
    });
    let why =
        || Failure::failed("an engine did not answer while the split of the cores was measured");
    let Split { replicas, threads } = split;
    Ok(Measured { replicas, threads, images_per_second: rate.ok_or_else(why)? })
}

/// Images a second, from the moment when as many are answered as the `first` batches have.
fn count(answered: &AtomicUsize, first: usize) -> Option<f64> {
    let deadline = Instant::now() + FIRST;
    while answered.load(Ordering::Relaxed) < first {
        if Instant::now() > deadline {
            return None;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    let (began, before) = (Instant::now(), answered.load(Ordering::Relaxed));
    std::thread::sleep(WINDOW);
    let images = answered.load(Ordering::Relaxed) - before;
    Some(images as f64 / began.elapsed().as_secs_f64())
}

fn decode(picture: &[u8], decoded: SyncSender<NetworkInput>, stop: &AtomicBool) {
    while !stop.load(Ordering::Relaxed) {
        let Ok(prepared) = prepare(picture, &Limits::default()) else { return };
        if decoded.send(prepared.input).is_err() {
            return;
        }
    }
}

fn compute(
    mut engine: TorchEngine,
    inputs: &Mutex<Receiver<NetworkInput>>,
    answered: &AtomicUsize,
    stop: &AtomicBool,
) {
    while !stop.load(Ordering::Relaxed) {
        let batch: Option<Vec<_>> = (0..BATCH).map(|_| next(inputs)).collect();
        let Some(Ok(answers)) = batch.map(|batch| engine.infer(&batch)) else { return };
        answered.fetch_add(answers.len(), Ordering::Relaxed);
    }
}

fn next(inputs: &Mutex<Receiver<NetworkInput>>) -> Option<NetworkInput> {
    inputs.lock().unwrap_or_else(PoisonError::into_inner).recv().ok()
}

#[cfg(test)]
mod tests {
    use lobar_model::engine::EngineOptions;
    use lobar_model::network::Layout;
    use lobar_model::weights;

    use super::*;
    use crate::bench::sample;

    #[test]
    fn every_split_answers_images_and_ends() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("model.safetensors");
        weights::random(&path, Layout { blocks: [1, 1, 1, 1], width: 8 }, 3).expect("written");
        let options = EngineOptions { threads: 1, max_batch: BATCH, ..EngineOptions::default() };
        let engine = TorchEngine::load(&path, &options).expect("loads");
        let splits = cores::candidates(2, 2);
        let measured = all(&engine, &splits, &sample::jpeg().expect("drawn")).expect("measured");
        assert_eq!(measured.iter().map(Measured::split).collect::<Vec<_>>(), splits);
        assert!(measured.iter().all(|one| one.images_per_second > 0.0), "{measured:?}");
    }

    #[test]
    fn a_picture_that_cannot_be_decoded_is_an_error_and_no_endless_wait() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("model.safetensors");
        weights::random(&path, Layout { blocks: [1, 1, 1, 1], width: 8 }, 3).expect("written");
        let engine = TorchEngine::load(&path, &EngineOptions::default()).expect("loads");
        assert!(all(&engine, &cores::candidates(1, 1), b"no picture").is_err());
    }
}
