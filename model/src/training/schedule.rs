//! Where a step lies in the run, and how fast it learns. All of it follows from the step's number,
//! so a run that was killed goes on exactly where its last checkpoint was.

use serde::{Deserialize, Serialize};

/// Epochs at one resolution. Small pictures first: they teach most of what large ones would, in a
/// fraction of the time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stage {
    /// Side of the pictures, pixels.
    pub side: usize,
    /// Passes over the training set.
    pub epochs: usize,
}

impl std::str::FromStr for Stage {
    type Err = String;

    /// `SIDE:EPOCHS`, as in `128:12`.
    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!(
                "{text:?} is not SIDE:EPOCHS with SIDE from 32 to 1024 and EPOCHS at least 1, as in 128:12"
            )
        };
        let (side, epochs) = text.split_once(':').ok_or_else(wrong)?;
        let (side, epochs) =
            (side.parse().map_err(|_| wrong())?, epochs.parse().map_err(|_| wrong())?);
        if !(32..=1024).contains(&side) || epochs == 0 {
            return Err(wrong());
        }
        Ok(Self { side, epochs })
    }
}

/// Share of all steps over which the learning rate rises from nothing.
const WARM_UP: f64 = 0.03;
/// What the learning rate falls to, as a share of its peak.
const FLOOR: f64 = 0.005;

/// The whole run, step by step.
#[derive(Clone, Debug)]
pub(crate) struct Schedule {
    pub(crate) stages: Vec<Stage>,
    pub(crate) steps_per_epoch: usize,
    pub(crate) peak_rate: f64,
}

/// A step's place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) stage: usize,
    /// Counted over the whole run.
    pub(crate) epoch: usize,
    pub(crate) batch: usize,
}

impl Schedule {
    pub(crate) fn epochs(&self) -> usize {
        self.stages.iter().map(|stage| stage.epochs).sum()
    }

    pub(crate) fn steps(&self) -> usize {
        self.epochs() * self.steps_per_epoch
    }

    /// The first step of a stage; the run's end for a stage past the last.
    pub(crate) fn stage_start(&self, stage: usize) -> usize {
        self.stages.iter().take(stage).map(|stage| stage.epochs).sum::<usize>()
            * self.steps_per_epoch
    }

    /// `None` when the run is over.
    pub(crate) fn place(&self, step: usize) -> Option<Place> {
        let epoch = step / self.steps_per_epoch;
        let stage = (0..self.stages.len()).find(|&stage| step < self.stage_start(stage + 1))?;
        Some(Place { stage, epoch, batch: step % self.steps_per_epoch })
    }

    /// Linear warm-up, then half a cosine.
    pub(crate) fn rate(&self, step: usize) -> f64 {
        let (at, all) = (step as f64 + 1.0, self.steps() as f64);
        let warm_up = (WARM_UP * all).max(1.0);
        if at < warm_up {
            return self.peak_rate * at / warm_up;
        }
        let share = ((at - warm_up) / (all - warm_up).max(1.0)).min(1.0);
        let cosine = (1.0 + (std::f64::consts::PI * share).cos()) / 2.0;
        self.peak_rate * (FLOOR + (1.0 - FLOOR) * cosine)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schedule() -> Schedule {
        let stages = vec![Stage { side: 128, epochs: 3 }, Stage { side: 224, epochs: 1 }];
        Schedule { stages, steps_per_epoch: 10, peak_rate: 1e-3 }
    }

    #[test]
    fn every_step_has_its_stage_epoch_and_batch() {
        let schedule = schedule();
        assert_eq!(schedule.place(0), Some(Place { stage: 0, epoch: 0, batch: 0 }));
        assert_eq!(schedule.place(29), Some(Place { stage: 0, epoch: 2, batch: 9 }));
        assert_eq!(schedule.place(30), Some(Place { stage: 1, epoch: 3, batch: 0 }));
        assert_eq!(schedule.place(40), None);
        assert_eq!(schedule.stage_start(1), 30);
    }

    #[test]
    fn the_rate_rises_to_its_peak_and_falls_to_its_floor() {
        let schedule = Schedule { steps_per_epoch: 1000, ..schedule() };
        let rates: Vec<f64> = (0..4000).map(|step| schedule.rate(step)).collect();
        let peak = rates.iter().copied().fold(0.0, f64::max);
        assert!((peak - 1e-3).abs() < 1e-6);
        assert!(rates[0] < 1e-5 && (rates[3999] - 5e-6).abs() < 1e-7);
        assert!(rates[120..].is_sorted_by(|a, b| a >= b));
    }

    #[test]
    fn stages_are_written_as_side_and_epochs() {
        assert_eq!("128:12".parse(), Ok(Stage { side: 128, epochs: 12 }));
        for wrong in ["128", "128:0", "8:1", "a:1", "128:", "9999:1"] {
            assert!(wrong.parse::<Stage>().is_err(), "{wrong}");
        }
    }
}
