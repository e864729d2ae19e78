//! Liveness of the process: each loop that must go round beats a pulse, and whoever answers for the process sees which
//! have fallen silent. Nothing here runs by itself, so that a runtime that stands still is seen from outside of it.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The longest silence of a loop that goes round every second or so: many times that, for machines that are busy.
pub const LOOP_SILENCE: Duration = Duration::from_secs(30);

/// The sign of life of one loop. Clones share it.
#[derive(Clone, Debug)]
pub struct Pulse(Arc<Beats>);

#[derive(Debug)]
struct Beats {
    began: Instant,
    /// The longest silence of a loop that is well.
    most: Duration,
    /// Milliseconds after `began` of the last beat, plus one; 0 while it rests.
    last: AtomicU64,
}

impl Pulse {
    /// A pulse that rests. A loop that is well is never silent for longer than `most`.
    pub fn new(most: Duration) -> Self {
        Self(Arc::new(Beats { began: Instant::now(), most, last: AtomicU64::new(0) }))
    }

    /// The loop went round.
    pub fn beat(&self) {
        self.0.last.store(self.now() + 1, Ordering::Relaxed);
    }

    /// The loop has not begun, or has come to its end: silence is well.
    pub fn rest(&self) {
        self.0.last.store(0, Ordering::Relaxed);
    }

    /// How long it has been silent, where that is longer than is well.
    pub fn stopped_for(&self) -> Option<Duration> {
        let last = self.0.last.load(Ordering::Relaxed).checked_sub(1)?;
        let silent = Duration::from_millis(self.now().saturating_sub(last));
        (silent > self.0.most).then_some(silent)
    }

    fn now(&self) -> u64 {
        u64::try_from(self.0.began.elapsed().as_millis()).unwrap_or(u64::MAX - 1)
    }
}

/// All pulses of a process by name. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Liveness(Arc<Mutex<Vec<(&'static str, Pulse)>>>);

impl Liveness {
    /// Watches a pulse under a name from a closed set. Several may share one.
    pub fn watch(&self, name: &'static str, pulse: Pulse) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push((name, pulse));
    }

    /// The loops that stand still, and for how long; empty while the process is alive.
    pub fn stopped(&self) -> BTreeMap<&'static str, Duration> {
        let pulses = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        pulses.iter().filter_map(|(name, pulse)| Some((*name, pulse.stopped_for()?))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loop_is_told_of_once_it_has_been_silent_for_too_long_and_not_before_it_begins() {
        let liveness = Liveness::default();
        let (quick, calm) = (Pulse::new(Duration::ZERO), Pulse::new(Duration::from_secs(3600)));
        liveness.watch("quick", quick.clone());
        liveness.watch("calm", calm.clone());
        assert!(liveness.stopped().is_empty(), "neither has begun");
        quick.beat();
        calm.beat();
        let began = Instant::now();
        while liveness.stopped().is_empty() {
            assert!(began.elapsed() < Duration::from_secs(60), "the silence is told of");
            std::thread::yield_now();
        }
        assert!(liveness.stopped().keys().eq(["quick"].iter()));
        quick.rest();
        assert!(liveness.stopped().is_empty(), "it has come to its end");
    }
}
