//! Which model the worker runs: follows the model registry and swaps engines without a restart.
//!
//! ```text
//! registry ──assignment──▶ follow ─┬─ active: fetch, check, load, prove ──▶ dispatcher: change between two batches
//!                                  └─ shadow: the same ──▶ a thread of its own ◀── images that were answered
//! ```
//!
//! - A model is made ready beside the one that serves, and proven before it is offered. One that cannot
//!   be had, is not what the registry says, or fails its proof changes nothing: the one before goes on,
//!   the log and `lobar_worker_model_failures_total` say so, and it is tried again after growing pauses.
//! - It takes over between two batches. What was handed over before is answered by the one before, and
//!   every finding names the weights that made it.
//! - A worker that starts takes the active model or none: it is not ready until it has it.
//! - The shadow sees what was answered already, and only while the device has nothing else to do. It
//!   delays nobody; what it is too slow for is dropped and counted.

mod assignment;
mod follow;
mod proof;
pub(crate) mod shadow;
mod shadow_queue;

use std::sync::Arc;

use async_trait::async_trait;
use lobar_core::engine::Engine;
use lobar_core::model_registry::{ModelRegistry, NewModel};

pub(crate) use assignment::Assigned;
pub(crate) use assignment::follow_assignment;
pub(crate) use follow::{Swap, first, follow_active};
pub(crate) use shadow::follow_shadow;
pub(crate) use shadow_queue::ShadowQueue;

/// Where the worker's engine comes from.
pub enum EngineSource {
    /// This one, whatever the registry says; loaded, proven and warm.
    Pinned(Box<dyn Engine + Send>),
    /// The active model of the registry, followed for as long as the worker runs.
    Assigned(Models),
}

/// What a worker needs to follow the registry.
#[derive(Clone)]
pub struct Models {
    /// Says which model is active and which is the shadow, and keeps what the shadow saw.
    pub registry: Arc<dyn ModelRegistry>,
    /// Makes engines of them.
    pub engines: Arc<dyn Engines>,
}

/// What an engine is made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ModelUse {
    /// To answer images.
    Active,
    /// To look on unseen; others go before it wherever both want to compute.
    Shadow,
}

/// Makes engines of registered models. Given by whoever knows the network's library and where weights lie.
#[async_trait]
pub trait Engines: Send + Sync {
    /// The model that came with this program, its weights stored where the others lie: what is registered
    /// and activated when nothing ever was.
    async fn shipped(&self) -> Result<NewModel, ModelLoadError>;

    /// An engine of this model: its weights fetched and their SHA-256 compared, its card checked, loaded,
    /// proven on golden pictures and warm. It may take minutes, and must not slow down another engine that
    /// computes meanwhile. Dropping the future gives the engine up.
    async fn make(
        &self,
        model: &NewModel,
        wanted_for: ModelUse,
    ) -> Result<Box<dyn Engine + Send>, ModelLoadError>;
}

/// What was wrong with a model that could not be taken into use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LoadStage {
    /// Its weights could not be had.
    Fetch,
    /// They are other weights than were registered.
    Sha256,
    /// Its card does not allow serving, or names another model.
    Card,
    /// It does not compute what it should on known pictures.
    Golden,
    /// It could not be loaded for another reason.
    Load,
}

impl LoadStage {
    /// All of them.
    pub const ALL: [LoadStage; 5] =
        [LoadStage::Fetch, LoadStage::Sha256, LoadStage::Card, LoadStage::Golden, LoadStage::Load];

    /// Its word in the metric's label `stage`.
    pub fn as_str(self) -> &'static str {
        match self {
            LoadStage::Fetch => "fetch",
            LoadStage::Sha256 => "sha256",
            LoadStage::Card => "card",
            LoadStage::Golden => "golden",
            LoadStage::Load => "load",
        }
    }
}

/// A model cannot be taken into use.
#[derive(Debug, thiserror::Error)]
#[error("{why}")]
pub struct ModelLoadError {
    /// What is wrong with it.
    pub stage: LoadStage,
    /// In words, with what to do about it.
    pub why: String,
}

impl ModelLoadError {
    /// A flaw, in words.
    pub fn new(stage: LoadStage, why: impl Into<String>) -> Self {
        Self { stage, why: why.into() }
    }
}
