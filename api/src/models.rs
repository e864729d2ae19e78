//! Models of the registry as JSON, over HTTP and on the command line.

use lobar_core::model_registry::{Assignment, Comparison, ModelChange, RegisteredModel, Stage};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::timestamp::rfc3339;

/// Every model, newest first, and which one answers.
#[derive(Debug, Serialize, ToSchema)]
pub struct ModelList {
    /// Which of them answers.
    #[serde(flatten)]
    pub assigned: Assigned,
    /// Whether the process that answers was started with a model file of its own (`LOBAR_MODEL`): its
    /// worker then serves that file whatever the registry says. Of other processes nothing is known here.
    pub pinned: bool,
    /// All of them.
    pub items: Vec<ModelItem>,
    /// The newest change; null while nothing was registered. More of them: `/v1/models/history`.
    pub last_change: Option<ChangeItem>,
}

/// What workers should run.
#[derive(Debug, Serialize, ToSchema)]
pub struct Assigned {
    /// Grows with every change of the registry; 0 while nothing was registered.
    pub revision: i64,
    /// Version of the model whose findings are shown; null before the first activation.
    pub active: Option<String>,
    /// Version of the model that runs beside it, unseen; null for none.
    pub shadow: Option<String>,
}

/// A registered model.
#[derive(Debug, Serialize, ToSchema)]
pub struct ModelItem {
    /// Its name, unique among models.
    pub version: String,
    /// `candidate`, `active` or `retired`.
    #[schema(value_type = String)]
    pub stage: &'static str,
    /// Whether it runs beside the active model, unseen.
    pub shadow: bool,
    /// Of the weights file, hexadecimal.
    pub sha256: String,
    /// Size of the weights file.
    pub bytes: u64,
    /// RFC 3339, UTC.
    pub registered_at: String,
    /// When stage or shadow last changed.
    pub changed_at: String,
    /// What it is, where it came from, how good it was, and at which probability it speaks.
    #[schema(value_type = Option<Object>)]
    pub card: Value,
    /// What of it is stored and cannot be read by this release: `card`, which is null then, or `stage`, which is told as
    /// `retired`. Missing when all was read.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Vec<String>, required = false)]
    pub unreadable: Vec<&'static str>,
}

/// One change of the registry.
#[derive(Debug, Serialize, ToSchema)]
pub struct ChangeItem {
    /// The revision since.
    pub revision: i64,
    /// `register`, `activate`, `rollback`, `retire`, `shadow` or `unshadow`.
    pub action: String,
    /// The model that it was done to.
    pub version: String,
    /// A user's name, `api` for changes over HTTP, or `lobar` itself; null to who may not manage models, whom the history is
    /// not told either.
    pub by: Option<String>,
    /// RFC 3339, UTC.
    pub at: String,
}

/// The newest changes, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub struct History {
    /// The changes.
    pub items: Vec<ChangeItem>,
}

/// A shadow against each model that was shown beside it.
#[derive(Debug, Serialize, ToSchema)]
pub struct Comparisons {
    /// The shadow.
    pub version: String,
    /// The one with the most images first; empty while the model has shadowed nothing.
    pub items: Vec<ComparisonItem>,
}

/// Two models on the same images.
#[derive(Debug, Serialize, ToSchema)]
pub struct ComparisonItem {
    /// The model whose findings were shown.
    pub shown_version: String,
    /// Images that both answered.
    pub images: u64,
    /// Flagged by both.
    pub both_flagged: u64,
    /// Flagged by the shadow alone.
    pub only_shadow_flagged: u64,
    /// Flagged by the other alone.
    pub only_shown_flagged: u64,
    /// Mean of the shadow's probability less that of the other.
    pub mean_difference: f64,
    /// Mean of its absolute value.
    pub mean_absolute_difference: f64,
    /// The largest absolute value.
    pub largest_difference: f64,
    /// Images with a doctor's label.
    pub verdicts: u64,
    /// Of those, answered rightly by the shadow.
    pub verdicts_for_shadow: u64,
    /// And by the model that was shown.
    pub verdicts_for_shown: u64,
}

impl ModelList {
    /// `models` newest first, read after `last_change`; `pinned` where the process that answers has a model
    /// file of its own.
    pub fn new(
        models: Vec<RegisteredModel>,
        last_change: Option<ModelChange>,
        pinned: bool,
    ) -> Self {
        let version =
            |found: Option<&RegisteredModel>| found.map(|model| model.model.version.clone());
        Self {
            assigned: Assigned {
                revision: last_change.as_ref().map_or(0, |change| change.revision),
                active: version(models.iter().find(|model| model.stage == Stage::Active)),
                shadow: version(models.iter().find(|model| model.shadow)),
            },
            pinned,
            items: models.into_iter().map(ModelItem::from).collect(),
            last_change: last_change.map(ChangeItem::from),
        }
    }
}

impl History {
    /// Changes, newest first.
    pub fn new(changes: Vec<ModelChange>) -> Self {
        Self { items: changes.into_iter().map(ChangeItem::from).collect() }
    }
}

impl Comparisons {
    /// The comparisons of the shadow `version`.
    pub fn new(version: String, comparisons: Vec<Comparison>) -> Self {
        Self { version, items: comparisons.into_iter().map(ComparisonItem::from).collect() }
    }
}

impl From<Assignment> for Assigned {
    fn from(assignment: Assignment) -> Self {
        let version = |model: Option<RegisteredModel>| model.map(|model| model.model.version);
        Self {
            revision: assignment.revision,
            active: version(assignment.active),
            shadow: version(assignment.shadow),
        }
    }
}

impl From<RegisteredModel> for ModelItem {
    fn from(model: RegisteredModel) -> Self {
        Self {
            version: model.model.version,
            stage: model.stage.as_str(),
            shadow: model.shadow,
            sha256: model.model.sha256,
            bytes: model.model.bytes,
            registered_at: rfc3339(model.registered_at),
            changed_at: rfc3339(model.changed_at),
            card: model.model.card,
            unreadable: model.unreadable,
        }
    }
}

impl From<ModelChange> for ChangeItem {
    fn from(change: ModelChange) -> Self {
        let ModelChange { revision, action, version, by, at } = change;
        Self { revision, action, version, by: Some(by), at: rfc3339(at) }
    }
}

impl From<Comparison> for ComparisonItem {
    fn from(comparison: Comparison) -> Self {
        Self {
            shown_version: comparison.shown_version,
            images: comparison.images,
            both_flagged: comparison.both_flagged,
            only_shadow_flagged: comparison.only_shadow_flagged,
            only_shown_flagged: comparison.only_shown_flagged,
            mean_difference: comparison.mean_difference,
            mean_absolute_difference: comparison.mean_absolute_difference,
            largest_difference: comparison.largest_difference,
            verdicts: comparison.verdicts,
            verdicts_for_shadow: comparison.verdicts_for_shadow,
            verdicts_for_shown: comparison.verdicts_for_shown,
        }
    }
}
