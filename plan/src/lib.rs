//! Capacity planning: so many images arrive, each worker does so many a second; how many workers does each way of sizing
//! the fleet run, how long do images wait, and what does it cost?
//!
//! A discrete-event simulation, image by image: [`arrivals`] come, wait in two lanes, are taken by workers that
//! take a while to start and may be lost ([`WorkerModel`]), while a way of [`sizing`] looks once a second and says how many
//! workers there should be. One of them is [`lobar_core::scaling::decide`] itself, the function that runs in production.
//! What is modelled and what is not: docs/adr/0050.
//!
//! No I/O and no clock: the same [`Plan`] always has the same [`Comparison`]. Time is counted from the beginning of the plan.

pub mod arrivals;
mod comparison;
mod fleet;
mod plot;
mod report;
mod simulation;
pub mod sizing;
mod table;

use std::time::Duration;

use lobar_core::scaling::Policy;

use crate::arrivals::Arrival;
pub use comparison::{Comparison, Outcome};
pub use plot::plot;
pub use report::{Report, Waits};
pub use simulation::{Run, Sample, simulate};
pub use table::table;

/// What a worker does.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct WorkerModel {
    /// Images a second.
    pub rate: f64,
    /// Images a second that all workers together do at most: where they share a machine, a store or a GPU.
    pub together: Option<f64>,
    /// From the decision to start it until it takes its first image: the machine, the container, the network's weights.
    pub start_up: Duration,
    /// How many images it holds at most: the one that it computes and those that it has taken ahead.
    pub in_hand: usize,
    /// How long what a lost worker held stays hidden from the others.
    pub lease: Duration,
    /// How often a worker is lost without notice, an hour.
    pub losses: f64,
}

/// What is to be achieved. What is `None` is not asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Goal {
    /// Everything is finished so long after the beginning.
    pub finished_by: Option<Duration>,
    /// 95 of 100 images wait no longer, in either lane.
    pub wait: Option<Duration>,
}

impl Goal {
    /// Whether anything is asked for.
    pub fn is_any(&self) -> bool {
        self.finished_by.is_some() || self.wait.is_some()
    }
}

/// A question.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// What arrives, in order.
    pub arrivals: Vec<Arrival>,
    /// What a worker does.
    pub worker: WorkerModel,
    /// The policy as it is set, with the fewest and most workers of every way of sizing.
    pub policy: Policy,
    /// What is to be achieved.
    pub goal: Goal,
    /// Of a worker for an hour.
    pub price: Option<f64>,
    /// The size to compare as fixed; the fewest that achieve the goal when left out.
    pub fixed: Option<u32>,
    /// Messages a worker for which KEDA is set.
    pub queue_length: u32,
    /// Of what is random: when images arrive, and which workers are lost.
    pub seed: u64,
}
