//! Engines of registered models: their weights brought from the object store to a folder of this
//! machine, compared with what was registered, and loaded by libtorch.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use lobar_core::engine::{
    Engine, EngineError, EngineInfo, NetworkInput, NoveltyPolicy, Prediction,
};
use lobar_core::model_registry::NewModel;
use lobar_core::object_store::FetchError;
use lobar_core::weights::WeightFiles;
use lobar_model::engine::{EngineOptions, LoadError, TorchEngine};
use lobar_model::importance;
use lobar_model::weights::WeightsError;
use lobar_worker::model::{Engines, LoadStage, ModelLoadError, ModelUse};
use sha2::{Digest, Sha256};
use tokio::sync::oneshot;
use tokio_util::task::TaskTracker;

use crate::engine::{self, EngineChoice};
use crate::failure::{Failure, chain};
use crate::model_file;
use crate::settings::Settings;

/// Weights files that are kept: a rollback needs no transfer.
const KEPT: usize = 4;
/// How long a load may go on after the stop: the library must not go before its threads.
const LOADING_ENDS: Duration = Duration::from_secs(10);

/// See the module's documentation.
pub struct TorchEngines {
    files: Arc<dyn WeightFiles>,
    folder: PathBuf,
    options: EngineOptions,
    loading: TaskTracker,
}

impl TorchEngines {
    /// Weights from `files`, kept in the data folder.
    pub fn new(
        settings: &Settings,
        choice: &EngineChoice,
        files: Arc<dyn WeightFiles>,
    ) -> Result<Self, Failure> {
        let options = engine::options(choice);
        let folder = settings.data.join("models");
        Ok(Self { files, folder, options, loading: TaskTracker::new() })
    }

    /// Waits until nothing is being loaded any more, for a while.
    pub async fn close(&self) {
        self.loading.close();
        let _ = tokio::time::timeout(LOADING_ENDS, self.loading.wait()).await;
    }

    /// Where the weights of `model` lie on this machine: as shipped, from an earlier time, or fetched now.
    async fn bring(&self, model: &NewModel) -> Result<PathBuf, ModelLoadError> {
        let sha256 = model.sha256.clone();
        if sha256.len() != 64 || !sha256.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(ModelLoadError::new(
                LoadStage::Sha256,
                format!("{sha256:?} is no SHA-256"),
            ));
        }
        let path = self.folder.join(format!("{sha256}.safetensors"));
        for here in model_file::find(None).ok().into_iter().chain([path.clone()]) {
            if has_size(&here, model.bytes) && digest(&here).await.as_ref() == Some(&sha256) {
                return Ok(here);
            }
        }
        self.files.fetch(&model.key, &path, model.bytes).await.map_err(|error| {
            let why = match &error {
                FetchError::Missing | FetchError::Gone => {
                    "its weights are not in the object store: register it again".to_owned()
                }
                FetchError::TooLarge { .. } => {
                    return ModelLoadError::new(
                        LoadStage::Sha256,
                        "its weights are larger than was registered",
                    );
                }
                FetchError::Denied => {
                    "access to its weights is denied: see LOBAR_MODELS".to_owned()
                }
                FetchError::Port(error) => chain(error),
            };
            ModelLoadError::new(LoadStage::Fetch, why)
        })?;
        if digest(&path).await.as_ref() == Some(&sha256) {
            let (folder, newest) = (self.folder.clone(), path.clone());
            let _ = tokio::task::spawn_blocking(move || prune(&folder, &newest)).await;
            return Ok(path);
        }
        let _ = tokio::fs::remove_file(&path).await;
        let why = "the weights in the object store are others than were registered, or damaged";
        Err(ModelLoadError::new(LoadStage::Sha256, why))
    }

    /// Loads beside whatever computes now, on a thread of its own that stands back.
    async fn load(&self, path: PathBuf) -> Result<TorchEngine, ModelLoadError> {
        let options = self.options.clone();
        let (tell, told) = oneshot::channel();
        let here = self.loading.token();
        let load = move || {
            importance::let_others_go_first();
            // Nobody listens when another model is wanted by now.
            let _ = tell.send(TorchEngine::load(&path, &options));
            drop(here);
        };
        let thread = std::thread::Builder::new().name("loader".into()).spawn(load);
        thread.map_err(|e| {
            ModelLoadError::new(LoadStage::Load, format!("no thread to load it: {e}"))
        })?;
        let ended = |_| ModelLoadError::new(LoadStage::Load, "the thread that loaded it panicked");
        let loaded = told.await.map_err(ended)?;
        let engine = loaded.map_err(|error| ModelLoadError::new(stage(&error), chain(&error)))?;
        warn_of_no_check(engine.info());
        Ok(engine)
    }
}

/// Says in the log when a model cannot tell what it was not trained for.
pub fn warn_of_no_check(info: &EngineInfo) {
    if info.novelty_policy == NoveltyPolicy::NoDetector {
        tracing::warn!(
            model = info.model.version,
            "no novelty check: this model cannot tell images that it was not trained for; `lobar novelty fit` adds it"
        );
    }
}

#[async_trait]
impl Engines for TorchEngines {
    async fn shipped(&self) -> Result<NewModel, ModelLoadError> {
        let unfit = |failure: Failure| ModelLoadError::new(LoadStage::Load, failure.to_string());
        let path = model_file::find(None).map_err(unfit)?;
        let read = path.clone();
        let model = tokio::task::spawn_blocking(move || model_file::describe(&read)).await;
        let model = model
            .map_err(|e| ModelLoadError::new(LoadStage::Load, e.to_string()))?
            .map_err(unfit)?;
        let stored = self.files.put(&model.key, &path).await;
        stored.map_err(|e| {
            let why = format!("its weights cannot be stored (see LOBAR_MODELS): {}", chain(&e));
            ModelLoadError::new(LoadStage::Fetch, why)
        })?;
        Ok(model)
    }

    async fn make(
        &self,
        model: &NewModel,
        wanted_for: ModelUse,
    ) -> Result<Box<dyn Engine + Send>, ModelLoadError> {
        let path = self.bring(model).await?;
        let engine = self.load(path).await?;
        Ok(match wanted_for {
            ModelUse::Active => Box::new(engine),
            ModelUse::Shadow => Box::new(LowPriority(engine)),
        })
    }
}

/// An engine whose thread stands back behind all others.
struct LowPriority(TorchEngine);

impl Engine for LowPriority {
    fn info(&self) -> &EngineInfo {
        self.0.info()
    }

    fn infer(
        &mut self,
        batch: &[NetworkInput],
    ) -> Result<Vec<Result<Prediction, String>>, EngineError> {
        // Said before each batch: it is one call of the system, and the thread may be another.
        importance::let_others_go_first();
        self.0.infer(batch)
    }
}

/// What a failed load says of the model.
fn stage(error: &LoadError) -> LoadStage {
    match error {
        LoadError::Weights(WeightsError::Card { .. }) => LoadStage::Card,
        LoadError::Unequal { .. } | LoadError::Device { .. } | LoadError::Engine(_) => {
            LoadStage::Golden
        }
        _ => LoadStage::Load,
    }
}

fn has_size(path: &Path, bytes: u64) -> bool {
    std::fs::metadata(path).is_ok_and(|found| found.is_file() && found.len() == bytes)
}

/// SHA-256 of a file, lower-case hexadecimal; `None` when it cannot be read.
async fn digest(path: &Path) -> Option<String> {
    let path = path.to_owned();
    let digest = move || {
        let mut hash = Sha256::new();
        std::io::copy(&mut std::fs::File::open(path).ok()?, &mut hash).ok()?;
        Some(hex::encode(hash.finalize()))
    };
    tokio::task::spawn_blocking(digest).await.ok()?
}

/// Leaves the newest files of the folder, `newest` among them. What cannot be removed stays.
fn prune(folder: &Path, newest: &Path) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    let mut files: Vec<_> = entries
        .filter_map(|entry| {
            let path = entry.ok()?.path();
            let ours = path.extension().is_some_and(|kind| kind == "safetensors");
            let written = std::fs::metadata(&path).and_then(|found| found.modified()).ok()?;
            (ours && path != newest).then_some((written, path))
        })
        .collect();
    files.sort();
    for (_, path) in files.iter().rev().skip(KEPT - 1) {
        let _ = std::fs::remove_file(path);
    }
}
