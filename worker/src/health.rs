//! Readiness and load of a running worker.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use lobar_core::finding::ModelRef;
use lobar_core::image::Lanes;
use lobar_core::liveness::{LOOP_SILENCE, Pulse};
use lobar_core::presence::WorkerLoad;
use lobar_core::time::Stamp;

/// Beyond the time that a batch may take: how long the engine may be silent.
const ENGINE_MARGIN: Duration = Duration::from_secs(60);

/// The loops of a worker that must go round.
#[derive(Clone, Debug)]
pub struct WorkerPulses {
    /// The engine answered: on a batch, or, while none comes, on a known good input.
    pub engine: Pulse,
    /// Jobs of each lane are being received.
    pub intake: Lanes<Pulse>,
}

impl WorkerPulses {
    /// `batch`: how long a batch may take before the engine counts as hung.
    fn new(batch: Duration) -> Self {
        let intake = || Pulse::new(LOOP_SILENCE);
        Self {
            engine: Pulse::new(batch + ENGINE_MARGIN),
            intake: Lanes { stat: intake(), routine: intake() },
        }
    }
}

/// Written by the running worker, read by whoever answers for it.
#[derive(Debug)]
pub struct WorkerHealth {
    pulses: WorkerPulses,
    ready: AtomicBool,
    last_batch: AtomicU64,
    busy_micros: AtomicU64,
    images: AtomicU64,
    in_flight: AtomicUsize,
    load: Mutex<WorkerLoad>,
    model: Mutex<Option<ModelRef>>,
    model_error: Mutex<Option<String>>,
}

impl WorkerHealth {
    /// Of a worker whose batches may take this long.
    pub(crate) fn new(batch: Duration) -> Self {
        Self {
            pulses: WorkerPulses::new(batch),
            ready: AtomicBool::default(),
            last_batch: AtomicU64::default(),
            busy_micros: AtomicU64::default(),
            images: AtomicU64::default(),
            in_flight: AtomicUsize::default(),
            load: Mutex::default(),
            model: Mutex::default(),
            model_error: Mutex::default(),
        }
    }

    /// What beats while it is alive.
    pub fn pulses(&self) -> &WorkerPulses {
        &self.pulses
    }

    /// Whether the engine answered on the golden image and jobs are being received.
    pub fn is_ready(&self) -> bool {
        self.ready.load(Ordering::Relaxed)
    }

    /// When the last batch left the engine.
    pub fn last_batch(&self) -> Option<Stamp> {
        let micros = self.last_batch.load(Ordering::Relaxed);
        (micros > 0).then(|| Stamp(i64::try_from(micros).unwrap_or(i64::MAX)))
    }

    /// The figures of the last seconds.
    pub fn load(&self) -> WorkerLoad {
        *self.load.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The weights that answer images; `None` until there are some.
    pub fn model(&self) -> Option<ModelRef> {
        self.model.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Why the model that is wanted here could not be had the last time; `None` once it is.
    pub fn model_error(&self) -> Option<String> {
        self.model_error.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn set_model(&self, model: ModelRef) {
        *self.model.lock().unwrap_or_else(PoisonError::into_inner) = Some(model);
    }

    pub(crate) fn set_model_error(&self, model_error: Option<String>) {
        *self.model_error.lock().unwrap_or_else(PoisonError::into_inner) = model_error;
    }

    pub(crate) fn set_ready(&self, ready: bool) {
        self.ready.store(ready, Ordering::Relaxed);
    }

    pub(crate) fn set_in_flight(&self, in_flight: usize) {
        self.in_flight.store(in_flight, Ordering::Relaxed);
    }

    pub(crate) fn batch_done(&self, images: usize, busy: Duration, at: Stamp) {
        self.busy_micros.fetch_add(micros(busy), Ordering::Relaxed);
        self.images.fetch_add(images as u64, Ordering::Relaxed);
        self.last_batch.store(u64::try_from(at.0).unwrap_or(0), Ordering::Relaxed);
    }

    /// Closes a period of `elapsed`: the figures become what happened in it.
    pub(crate) fn close_period(&self, elapsed: Duration) -> WorkerLoad {
        let busy = self.busy_micros.swap(0, Ordering::Relaxed) as f64 / 1e6;
        let images = self.images.swap(0, Ordering::Relaxed) as f64;
        let elapsed = elapsed.as_secs_f64().max(1e-6);
        let before = self.load();
        let load = WorkerLoad {
            busy: (busy / elapsed).clamp(0.0, 1.0),
            images_per_second: images / elapsed,
            seconds_per_image: if images > 0.0 {
                Some(busy / images)
            } else {
                before.seconds_per_image
            },
            in_flight: self.in_flight.load(Ordering::Relaxed),
        };
        *self.load.lock().unwrap_or_else(PoisonError::into_inner) = load;
        load
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_figures_are_those_of_the_last_period() {
        let health = WorkerHealth::new(Duration::from_secs(1));
        assert_eq!(health.last_batch(), None);
        health.batch_done(20, Duration::from_secs(1), Stamp(5));
        let load = health.close_period(Duration::from_secs(2));
        assert_eq!(load.busy, 0.5);
        assert_eq!(load.images_per_second, 10.0);
        assert_eq!(load.seconds_per_image, Some(0.05));
        assert_eq!(health.last_batch(), Some(Stamp(5)));
        let idle = health.close_period(Duration::from_secs(2));
        assert_eq!((idle.busy, idle.images_per_second), (0.0, 0.0));
        assert_eq!(idle.seconds_per_image, Some(0.05), "what it could do is still known");
    }
}
