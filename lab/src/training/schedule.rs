//! Where a step lies in the run, and how fast it learns. All of it follows from the step's number,
//! so a run that was killed goes on exactly where its last checkpoint was.

use serde::{Deserialize, Serialize};

/// Epochs at one resolution. Small pictures first: they teach most of what large ones would, in a
/// fraction of the time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResolutionStage {
    /// Side of the pictures, pixels.
    pub side: usize,
    /// Passes over the training set.
    pub epochs: usize,
    /// How many of the last layers learn, see [`super::frozen`]; all of them if not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_layers: Option<usize>,
}

impl ResolutionStage {
    /// A stage in which every layer learns.
    #[must_use]
    pub const fn new(side: usize, epochs: usize) -> Self {
        Self { side, epochs, last_layers: None }
    }
}

impl std::str::FromStr for ResolutionStage {
    type Err = String;

    /// `SIDE:EPOCHS`, as in `128:12`, or `SIDE:EPOCHS:LAST`, as in `224:5:20`.
    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!(
                "{text:?} is not SIDE:EPOCHS or SIDE:EPOCHS:LAST with SIDE from 32 to 1024, EPOCHS and \
                 LAST (how many of the last layers learn) at least 1, as in 128:12 or 224:5:20"
            )
        };
        let numbers: Vec<usize> =
            text.split(':').map(str::parse).collect::<Result<_, _>>().map_err(|_| wrong())?;
        let (side, epochs, last_layers) = match numbers[..] {
            [side, epochs] => (side, epochs, None),
            [side, epochs, last] => (side, epochs, Some(last)),
            _ => return Err(wrong()),
        };
        if !(32..=1024).contains(&side) || epochs == 0 || last_layers == Some(0) {
            return Err(wrong());
        }
        Ok(Self { side, epochs, last_layers })
    }
}

/// How the learning rate falls after its warm-up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Decay {
    /// Half a cosine over the whole run (Loshchilov and Hutter 2016, <https://arxiv.org/abs/1608.03983>).
    #[default]
    Cosine,
    /// A third of what it was, whenever validation has not become better for [`PLATEAU`] epochs of a stage.
    Plateau,
}

impl std::str::FromStr for Decay {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "cosine" => Ok(Self::Cosine),
            "plateau" => Ok(Self::Plateau),
            _ => Err(format!("{text:?} is neither cosine nor plateau")),
        }
    }
}

/// Epochs without a better validation after which [`Decay::Plateau`] lowers the rate.
pub const PLATEAU: usize = 3;
/// What it then takes of the rate.
const DROP: f64 = 1.0 / 3.0;

/// How often the rate was lowered in a run whose epochs so far were the best of their stage or not.
fn drops(best: impl IntoIterator<Item = bool>) -> i32 {
    let (mut drops, mut since) = (0, 0);
    for best in best {
        since = if best { 0 } else { since + 1 };
        if since == PLATEAU {
            (drops, since) = (drops + 1, 0);
        }
    }
    drops
}

/// Share of all steps over which the learning rate rises from nothing.
const WARM_UP: f64 = 0.03;
/// What the learning rate falls to, as a share of its peak.
const FLOOR: f64 = 0.005;

/// The whole run, step by step.
#[derive(Clone, Debug)]
pub(crate) struct Schedule {
    pub(crate) stages: Vec<ResolutionStage>,
    pub(crate) steps_per_epoch: usize,
    pub(crate) peak_rate: f64,
    pub(crate) decay: Decay,
}

/// A step's place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Position {
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
    pub(crate) fn place(&self, step: usize) -> Option<Position> {
        let epoch = step / self.steps_per_epoch;
        let stage = (0..self.stages.len()).find(|&stage| step < self.stage_start(stage + 1))?;
        Some(Position { stage, epoch, batch: step % self.steps_per_epoch })
    }

    /// Linear warm-up, then the decay. `best` tells of each finished epoch whether it was the best of its
    /// stage so far.
    pub(crate) fn rate(&self, step: usize, best: impl IntoIterator<Item = bool>) -> f64 {
        let (at, all) = (step as f64 + 1.0, self.steps() as f64);
        let warm_up = (WARM_UP * all).max(1.0);
        if at < warm_up {
            return self.peak_rate * at / warm_up;
        }
        let share = match self.decay {
            Decay::Cosine => {
                let share = ((at - warm_up) / (all - warm_up).max(1.0)).min(1.0);
                (1.0 + (std::f64::consts::PI * share).cos()) / 2.0
            }
            Decay::Plateau => DROP.powi(drops(best)),
        };
        self.peak_rate * (FLOOR + (1.0 - FLOOR) * share)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schedule() -> Schedule {
        let stages = vec![ResolutionStage::new(128, 3), ResolutionStage::new(224, 1)];
        Schedule { stages, steps_per_epoch: 10, peak_rate: 1e-3, decay: Decay::Cosine }
    }

    #[test]
    fn every_step_has_its_stage_epoch_and_batch() {
        let schedule = schedule();
        assert_eq!(schedule.place(0), Some(Position { stage: 0, epoch: 0, batch: 0 }));
        assert_eq!(schedule.place(29), Some(Position { stage: 0, epoch: 2, batch: 9 }));
        assert_eq!(schedule.place(30), Some(Position { stage: 1, epoch: 3, batch: 0 }));
        assert_eq!(schedule.place(40), None);
        assert_eq!(schedule.stage_start(1), 30);
    }

    #[test]
    fn the_rate_rises_to_its_peak_and_falls_to_its_floor() {
        let schedule = Schedule { steps_per_epoch: 1000, ..schedule() };
        let rates: Vec<f64> = (0..4000).map(|step| schedule.rate(step, [])).collect();
        let peak = rates.iter().copied().fold(0.0, f64::max);
        assert!((peak - 1e-3).abs() < 1e-6);
        assert!(rates[0] < 1e-5 && (rates[3999] - 5e-6).abs() < 1e-7);
        assert!(rates[120..].is_sorted_by(|a, b| a >= b));
    }

    #[test]
    fn on_a_plateau_the_rate_falls_each_time_validation_has_not_become_better_for_some_epochs() {
        let schedule = Schedule { decay: Decay::Plateau, ..schedule() };
        let relative = |best: &[bool]| schedule.rate(39, best.iter().copied()) / 1e-3;
        assert!((relative(&[true, false, false]) - 1.0).abs() < 1e-9);
        assert!((relative(&[true, false, false, false]) - 0.3367).abs() < 1e-4);
        assert!(
            (relative(&[false, false, false, true, false, false, false]) - 0.1156).abs() < 1e-4
        );
    }

    #[test]
    fn stages_are_written_as_side_epochs_and_the_last_layers_that_learn() {
        assert_eq!("128:12".parse(), Ok(ResolutionStage::new(128, 12)));
        assert_eq!(
            "224:5:20".parse(),
            Ok(ResolutionStage { last_layers: Some(20), ..ResolutionStage::new(224, 5) })
        );
        for wrong in ["128", "128:0", "8:1", "a:1", "128:", "9999:1", "224:5:0", "224:5:1:1"] {
            assert!(wrong.parse::<ResolutionStage>().is_err(), "{wrong}");
        }
    }
}
