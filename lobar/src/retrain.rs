//! `lobar retrain`.

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use lobar_console::outln;
use lobar_core::audit::Action;
use lobar_core::model_registry::ModelRegistry;
use lobar_core::time::SystemClock;
use lobar_lab::LabError;
use lobar_lab::retrain::{Models, RetrainFolder, RetrainOptions, check_base, retrain};
use lobar_model::engine::resolve_device;
use lobar_opener::Opener;
use serde_json::json;

use crate::engine::{self, EngineChoice};
use crate::failure::{Failure, chain};
use crate::on_record::Record;
use crate::registry::{candidate, changed, refuse_nowhere, weights};
use crate::service::{failed, opener};
use crate::settings::{Settings, Threads};
use crate::training_data::bring_from;
use crate::{cli, labelled, model_file, train};

/// Runs the command.
pub async fn run(args: cli::Retrain) -> Result<(), Failure> {
    let settings = Settings::load(args.service.given.clone(), args.service.config.clone())?;
    refuse_nowhere(&settings.store)?;
    let cache = args.data_cache.clone();
    let base = bring_from(&args.base, cache, || Ok(settings.clone())).await?.folder;
    check_base(&base)?;
    let place = RetrainFolder::open(&args.out)?;
    let opener = opener(&settings, Arc::new(SystemClock));
    let done = with_ports(&args, &base, &settings, &opener, &place).await;
    opener.close().await;
    done
}

async fn with_ports(
    args: &cli::Retrain,
    base: &Path,
    settings: &Settings,
    opener: &Opener,
    place: &RetrainFolder,
) -> Result<(), Failure> {
    let registry = opener.database("store", &settings.store).await.map_err(failed)?;
    let source = labelled::source(settings, opener).await?;
    let record = labelled::record(settings, opener).await?;
    record.read(Action::Exported, json!({ "what": "labels" })).await?;
    let models = Registered { registry: &*registry, settings, by: &args.by, record };
    Ok(retrain(&options(args, base, settings)?, &source, &models, place, &print).await?)
}

fn options(
    args: &cli::Retrain,
    base: &Path,
    settings: &Settings,
) -> Result<RetrainOptions, Failure> {
    let engine = engine::options(&EngineChoice::from(settings));
    let device = resolve_device(engine.device, engine.cuda_library.as_deref());
    Ok(RetrainOptions {
        base: base.to_owned(),
        at_least: args.at_least,
        init: args.init.clone(),
        stages: args.stages.clone(),
        batch: args.images_a_step,
        rate: args.rate,
        seed: args.seed,
        split_seed: args.split_seed,
        population: args.population.clone(),
        bf16: !args.fp32,
        loaders: args.loaders,
        threads: settings.threads.map(Threads::count),
        device: device.map_err(|e| Failure::failed(chain(&e)))?,
        revision: train::revision(),
        engine,
    })
}

/// The registry and the weights of the settings.
struct Registered<'a> {
    registry: &'a dyn ModelRegistry,
    settings: &'a Settings,
    by: &'a str,
    record: Record,
}

#[async_trait]
impl Models for Registered<'_> {
    async fn active(&self, path: &Path) -> Result<Option<String>, LabError> {
        let assignment = self.registry.assignment().await;
        let active = assignment.map_err(|e| Failure::failed(chain(&e)))?.active;
        let Some(model) = active else {
            let shipped = model_file::find(None)?;
            std::fs::copy(&shipped, path)
                .map_err(|e| Failure::failed(format!("{}: {e}", shipped.display())))?;
            return Ok(None);
        };
        weights::fetch(self.settings, &model.model, path).await.map_err(|error| {
            let (version, why) = (&model.model.version, chain(&error));
            Failure::failed(format!("the weights of {version}, which is active: {why}"))
        })?;
        Ok(Some(model.model.version))
    }

    async fn register(&self, model: &Path) -> Result<String, LabError> {
        let registers = Box::pin(candidate(model, self.by, self.registry, self.settings));
        Ok(self.record.change(changed("register", None), registers).await?)
    }
}

fn print(text: &str) {
    outln!("{}", text.trim_end());
}
