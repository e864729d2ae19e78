//! What a run was asked for and how far it is, as a checkpoint keeps it.

use lobar_model::network::Architecture;
use serde::{Deserialize, Serialize};

use super::{Decay, Epoch, ResolutionStage, TrainOptions};
use crate::augmentation::Augmentation;
use crate::dataset::Joined;

/// What a checkpoint keeps beside tensors.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct State {
    /// What the run was asked for, as far as a change would make it another run.
    pub(super) plan: Plan,
    /// Steps taken.
    pub(super) step: usize,
    /// Sum of the losses of the running epoch.
    pub(super) loss_sum: f64,
    /// Steps in that sum.
    pub(super) loss_count: usize,
    /// The finished epochs.
    pub(super) epochs: Vec<Epoch>,
}

impl State {
    /// Before the first step.
    pub(super) fn new(plan: Plan) -> Self {
        Self { plan, step: 0, loss_sum: 0.0, loss_count: 0, epochs: Vec::new() }
    }
}

/// What a change of makes another run. Fields that came later have the values that they had before.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Plan {
    stages: Vec<ResolutionStage>,
    batch: usize,
    rate: f64,
    #[serde(default)]
    decay: Decay,
    weight_decay: f64,
    smoothing: f64,
    subtype_weight: f64,
    average_decay: f64,
    seed: u64,
    #[serde(default = "first_seed")]
    split_seed: u64,
    bf16: bool,
    pub(super) data_digest: String,
    #[serde(default)]
    augmentation: Augmentation,
    /// Whether classes weigh alike within each unit's films.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    balance_groups: bool,
    /// The network where it is not the one that is served.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    architecture: Option<String>,
    /// SHA-256 of the teachers, none without any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) teacher_sha256: Option<String>,
    /// Share of the teachers' word in what is learnt from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    teacher_share: Option<f64>,
    /// Views of each picture in a batch.
    #[serde(default = "one_view")]
    views: usize,
    /// Weight of the loss between them.
    #[serde(default)]
    consistency: f64,
    /// The weights that it started from, none if from scratch.
    #[serde(default)]
    pub(super) init_sha256: Option<String>,
    /// The pictures of further folders that are trained on, none without such folders. They are part of
    /// `data_digest` too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    added_digest: Option<String>,
    #[serde(default, skip_serializing_if = "is_none_added")]
    added: usize,
}

fn is_none_added(added: &usize) -> bool {
    *added == 0
}

fn one_view() -> usize {
    1
}

fn first_seed() -> u64 {
    1
}

impl Plan {
    /// The plan of a run on data of this digest, from scratch.
    pub(super) fn new(options: &TrainOptions, data_digest: String, joined: &Joined) -> Self {
        Self {
            stages: options.stages.clone(),
            batch: options.batch,
            rate: options.rate,
            decay: options.decay,
            weight_decay: options.weight_decay,
            smoothing: options.smoothing,
            subtype_weight: options.subtype_weight,
            average_decay: options.average_decay,
            seed: options.seed,
            split_seed: options.split_seed,
            bf16: options.bf16,
            data_digest,
            augmentation: options.augmentation.clone(),
            balance_groups: options.balance_groups,
            architecture: match options.architecture {
                Architecture::ResNet(_) => None,
                other => Some(other.to_string()),
            },
            teacher_sha256: None,
            teacher_share: options
                .distillation
                .has_teachers()
                .then_some(options.distillation.share),
            views: options.distillation.views,
            consistency: options.distillation.consistency,
            init_sha256: None,
            added_digest: joined.sha256.clone(),
            added: joined.added,
        }
    }
}
