//! Models whose engines do what the test says.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use lobar_core::engine::Engine;
use lobar_core::model_registry::NewModel;
use lobar_worker::model::{Engines, LoadStage, ModelLoadError, ModelUse};

type Maker = Box<dyn FnMut() -> Result<Box<dyn Engine + Send>, ModelLoadError> + Send>;

/// A model as it would be registered; the same version gives the same weights.
pub fn model(version: &str) -> NewModel {
    let sha256 = sha256(version);
    let key = format!("{version}/{sha256}.safetensors");
    NewModel { version: version.into(), sha256, key, bytes: 1, card: serde_json::json!({}) }
}

/// What stands for the SHA-256 of a version's weights.
pub(super) fn sha256(version: &str) -> String {
    version.bytes().map(|byte| format!("{byte:02x}")).chain(["0".repeat(64)]).collect::<String>()
        [..64]
        .to_owned()
}

/// See the module's documentation. A version without a maker has no weights; one whose maker is held
/// takes until the test lets it go.
#[derive(Default)]
pub struct ScriptedEngines {
    makers: Mutex<HashMap<String, Maker>>,
    asked: Mutex<Vec<(String, ModelUse)>>,
    held: super::Switch,
}

impl ScriptedEngines {
    /// From now on engines of `version` are made like that.
    pub fn on(
        &self,
        version: &str,
        maker: impl FnMut() -> Result<Box<dyn Engine + Send>, ModelLoadError> + Send + 'static,
    ) {
        self.makers().insert(version.into(), Box::new(maker));
    }

    /// From now on no engine is made until [`Self::go_on`]: each try waits.
    pub fn hold(&self) {
        self.held.off();
    }

    /// Lets what waits be made.
    pub fn go_on(&self) {
        self.held.on();
    }

    /// How often an engine of `version` was asked for.
    pub fn asked(&self, version: &str) -> usize {
        let asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        asked.iter().filter(|(one, _)| one == version).count()
    }

    fn makers(&self) -> MutexGuard<'_, HashMap<String, Maker>> {
        self.makers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Engines for ScriptedEngines {
    async fn shipped(&self) -> Result<NewModel, ModelLoadError> {
        let there = self.makers().contains_key("shipped");
        there
            .then(|| model("shipped"))
            .ok_or_else(|| ModelLoadError::new(LoadStage::Fetch, "none was shipped"))
    }

    async fn make(
        &self,
        model: &NewModel,
        wanted_for: ModelUse,
    ) -> Result<Box<dyn Engine + Send>, ModelLoadError> {
        let asked = (model.version.clone(), wanted_for);
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).push(asked);
        while self.held.is_off() {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        match self.makers().get_mut(&model.version) {
            Some(maker) => maker(),
            None => Err(ModelLoadError::new(LoadStage::Fetch, "there are no such weights")),
        }
    }
}
