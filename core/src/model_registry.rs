//! Port of the model registry: which models there are, which one is active (its findings are shown)
//! and which is the shadow.
//!
//! A model is its weights file, named by version and SHA-256 and kept in the object store; the registry
//! keeps its card and its stage. What it promises, each sentence a test of the contract suite:
//!
//! - A model is registered once however often the same file is registered.
//! - A version that is taken by other weights is refused.
//! - A new model is a candidate and changes nothing that is served.
//! - Activating a model retires the one that was active.
//! - Activating the active model changes nothing.
//! - An unknown model cannot be activated.
//! - A first activation happens only where no model was ever active.
//! - Rolling back activates the model that was active before.
//! - Rolling back twice goes back two activations.
//! - Without an earlier model there is nothing to roll back to.
//! - The active model cannot be retired.
//! - A shadow is a model that is not active.
//! - Activating the shadow ends its shadowing.
//! - Ending a model's shadowing leaves another shadow alone.
//! - Every change gives the assignment a new revision.
//! - Every change is kept with its time and who made it.
//! - Concurrent activations leave one model active.
//! - A shadow finding is kept once an image and model.
//! - A comparison counts the images that both models answered.
//! - A comparison counts on whose side the newest verdicts are.
//! - A model that cannot be read in full says what is unreadable and hides no other.
//! - A model whose card cannot be read still answers.
//! - A model whose stage cannot be read is neither activated nor shadowed.
//! - Everything survives closing and opening the registry.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::failure::PortError;
use crate::object::ImageId;
use crate::time::Stamp;

/// Where a model stands in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stage {
    /// Registered, never active.
    Candidate,
    /// Answers patients' images. At most one model is.
    Active,
    /// Was active, or was set aside.
    Retired,
}

impl Stage {
    /// All, in the order of a life.
    pub const ALL: [Stage; 3] = [Stage::Candidate, Stage::Active, Stage::Retired];

    /// The word used in storage and HTTP.
    pub fn as_str(self) -> &'static str {
        match self {
            Stage::Candidate => "candidate",
            Stage::Active => "active",
            Stage::Retired => "retired",
        }
    }

    /// The stage of a word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|stage| stage.as_str() == word)
    }
}

/// A model to register. The card was checked by whoever registers: one without its own threshold,
/// calibration and evaluation never comes here.
#[derive(Clone, Debug, PartialEq)]
pub struct NewModel {
    /// The version named in its card, unique among models.
    pub version: String,
    /// SHA-256 of the weights file, lower-case hexadecimal.
    pub sha256: String,
    /// Key of the weights file in the object store.
    pub key: String,
    /// Size of the weights file.
    pub bytes: u64,
    /// The card as JSON.
    pub card: Value,
}

/// A registered model.
#[derive(Clone, Debug, PartialEq)]
pub struct RegisteredModel {
    /// What was registered.
    pub model: NewModel,
    /// Where it stands.
    pub stage: Stage,
    /// Whether it runs beside the active model, unseen.
    pub shadow: bool,
    /// When it was registered.
    pub registered_at: Stamp,
    /// When stage or shadow last changed.
    pub changed_at: Stamp,
    /// What of its row this release cannot read: `card`, which is null then, and `stage`, which is told as
    /// [`Stage::Retired`]. A newer release may have written it.
    pub unreadable: Vec<&'static str>,
}

/// What workers should run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Assignment {
    /// Grows with every change; 0 while nothing was registered.
    pub revision: i64,
    /// Answers patients' images; none before the first activation.
    pub active: Option<RegisteredModel>,
    /// Runs beside it, unseen.
    pub shadow: Option<RegisteredModel>,
}

/// One change, as the history keeps it.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelChange {
    /// The assignment's revision since.
    pub revision: i64,
    /// What was done: `register`, `activate`, `rollback`, `retire`, `shadow`, `unshadow`.
    pub action: String,
    /// The model that it was done to.
    pub version: String,
    /// Who did it: a user's or a machine account's name, or `lobar` itself.
    pub by: String,
    /// When.
    pub at: Stamp,
}

/// Why the registry refused.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// Nobody knows this version.
    #[error("no model of version {0:?} is registered")]
    Unknown(String),
    /// The version names other weights already.
    #[error("version {version:?} is registered with other weights (SHA-256 {registered})")]
    Taken {
        /// The version.
        version: String,
        /// The weights that have it.
        registered: String,
    },
    /// The change cannot be made from where the model stands.
    #[error("{0}")]
    Refused(&'static str),
    /// The store could not be asked.
    #[error(transparent)]
    Port(#[from] PortError),
}

/// What a shadow saw in an image whose shown finding another model made.
#[derive(Clone, Debug, PartialEq)]
pub struct ShadowFinding {
    /// The image.
    pub image: ImageId,
    /// The shadow's version.
    pub version: String,
    /// Its calibrated probability of pneumonia, 0..=1.
    pub probability: f64,
    /// Whether it would have flagged the image, at its own threshold.
    pub flagged: bool,
    /// Version of the model whose finding is shown.
    pub shown_version: String,
    /// That model's probability.
    pub shown_probability: f64,
    /// Whether that model flagged the image.
    pub shown_flagged: bool,
}

/// Two models on the same images.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// The shadow.
    pub version: String,
    /// The model that was shown.
    pub shown_version: String,
    /// Images that both answered.
    pub images: u64,
    /// Flagged by both.
    pub both_flagged: u64,
    /// Flagged by the shadow alone.
    pub only_shadow_flagged: u64,
    /// Flagged by the shown model alone.
    pub only_shown_flagged: u64,
    /// Mean of `probability - shown_probability`.
    pub mean_difference: f64,
    /// Mean of its absolute value.
    pub mean_absolute_difference: f64,
    /// The largest absolute value.
    pub largest_difference: f64,
    /// Of the images with a doctor's label, as the newest verdict says: those whose label is the
    /// shadow's answer.
    pub verdicts_for_shadow: u64,
    /// … and those whose label is the shown model's.
    pub verdicts_for_shown: u64,
    /// Images with a doctor's label.
    pub verdicts: u64,
}

/// See the module's documentation.
#[async_trait]
pub trait ModelRegistry: Send + Sync {
    /// Registers a model as a candidate. Answers the model as it stands, which for a file that was
    /// registered before may be further in its life.
    async fn register(&self, model: &NewModel, by: &str) -> Result<RegisteredModel, RegistryError>;

    /// All models, newest first.
    async fn models(&self) -> Result<Vec<RegisteredModel>, PortError>;

    /// One model.
    async fn model(&self, version: &str) -> Result<Option<RegisteredModel>, PortError>;

    /// What workers should run.
    async fn assignment(&self) -> Result<Assignment, PortError>;

    /// Makes a model the active one; the one before is retired.
    async fn activate(&self, version: &str, by: &str) -> Result<Assignment, RegistryError>;

    /// Makes a model the active one where none ever was, in one step with looking; says whether it did. For
    /// whoever has a model to begin with, and must not override what somebody chose at the same moment.
    async fn activate_first(&self, version: &str, by: &str) -> Result<bool, RegistryError>;

    /// Makes the model active that was before the present one.
    async fn roll_back(&self, by: &str) -> Result<Assignment, RegistryError>;

    /// Sets a model aside that is not active.
    async fn retire(&self, version: &str, by: &str) -> Result<RegisteredModel, RegistryError>;

    /// Lets a model run beside the active one, in place of the shadow before; `None` ends shadowing.
    async fn shadow(&self, version: Option<&str>, by: &str) -> Result<Assignment, RegistryError>;

    /// Ends the shadowing of this model. One that does not shadow, whether or not another one does, is no
    /// error and changes nothing.
    async fn stop_shadow(&self, version: &str, by: &str) -> Result<Assignment, RegistryError>;

    /// The newest `limit` changes, newest first.
    async fn history(&self, limit: usize) -> Result<Vec<ModelChange>, PortError>;

    /// Keeps what a shadow saw. Findings that are kept already are left as they are.
    async fn record_shadow(&self, findings: &[ShadowFinding]) -> Result<(), PortError>;

    /// A shadow against every model that was shown beside it.
    async fn compare(&self, version: &str) -> Result<Vec<Comparison>, PortError>;
}
