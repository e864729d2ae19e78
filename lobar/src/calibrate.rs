//! `lobar calibrate`: threshold and calibration of a model, fitted on labelled images of one site.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use lobar_console::{noteln, outln};
use lobar_core::audit::Action;
use lobar_core::model_registry::ModelRegistry;
use lobar_core::time::SystemClock;
use lobar_lab::dataset::{DatasetError, Sample, read_cases};
use lobar_lab::labelled::of_site;
use lobar_lab::site_calibration::{CalibrateOptions, Outcome, calibrate, default_version};
use lobar_model::card::site::CaseSource;
use lobar_model::weights::Weights;
use lobar_opener::{Database, Opener};
use serde_json::json;

use crate::engine::{self, EngineChoice};
use crate::failure::{Failure, chain};
use crate::registry::{candidate, changed, is_version, refuse_nowhere, weights};
use crate::service::{failed, opener};
use crate::settings::Settings;
use crate::training_data::bring_from;
use crate::{cli, labelled, model_file};

/// Runs the command.
pub async fn run(args: cli::Calibrate) -> Result<(), Failure> {
    let settings = Settings::load(args.service.given.clone(), args.service.config.clone())?;
    refuse_folder(args.out.as_deref())?;
    let has_model = settings.model.is_some() && args.of.is_none();
    if args.labels.is_some() && has_model && !args.register {
        // Files alone: nobody needs a store for them.
        let model = model_file::find(settings.model.as_ref())?;
        let samples = from_folder(&args, &settings).await?;
        let outcome = fitted(&args, &settings, &model, samples, args.out.as_deref())?;
        return tell(&args, &outcome, None);
    }
    refuse_nowhere(&settings.store).map_err(|failure| match (&args.labels, args.register) {
        (Some(_), false) => {
            Failure::failed(format!("{failure}; or name a model's file with --model"))
        }
        _ => failure,
    })?;
    let opener = opener(&settings, Arc::new(SystemClock));
    let done = with_store(&args, &settings, &opener).await;
    opener.close().await;
    done
}

/// Refuses a file that could not be written in the end, before anything is computed.
fn refuse_folder(out: Option<&Path>) -> Result<(), Failure> {
    let folder = out.and_then(Path::parent).filter(|folder| !folder.as_os_str().is_empty());
    match folder.filter(|folder| !folder.is_dir()) {
        Some(folder) => {
            Err(Failure::usage(format!("--out: there is no folder {}", folder.display())))
        }
        None => Ok(()),
    }
}

async fn with_store(
    args: &cli::Calibrate,
    settings: &Settings,
    opener: &Opener,
) -> Result<(), Failure> {
    let database = opener.database("store", &settings.store).await.map_err(failed)?;
    let scratch = tempfile::tempdir().map_err(|e| {
        Failure::failed(format!("no folder for model files: {e}; TMPDIR names another place"))
    })?;
    let model = model(args, settings, &*database, scratch.path()).await?;
    if args.register {
        refuse_version(args, &model, &*database).await?;
    }
    let samples = match args.labels {
        Some(_) => from_folder(args, settings).await?,
        None => from_verdicts(args, settings, opener, &*database).await?,
    };
    let own = scratch.path().join("calibrated.safetensors");
    let out = args.register.then_some(own.as_path()).or(args.out.as_deref());
    // Minutes: the runtime's other threads go on meanwhile.
    let outcome = tokio::task::block_in_place(|| fitted(args, settings, &model, samples, out))?;
    let registered = match args.register {
        true => {
            let registers = Box::pin(candidate(&own, &args.by, &*database, settings));
            let record = labelled::record(settings, opener).await?;
            Some(record.change(changed("register", None), registers).await?)
        }
        false => None,
    };
    tell(args, &outcome, registered.as_deref())
}

/// The file of the model to calibrate: a registered one is fetched.
async fn model(
    args: &cli::Calibrate,
    settings: &Settings,
    registry: &dyn ModelRegistry,
    scratch: &Path,
) -> Result<PathBuf, Failure> {
    let port = |error| Failure::failed(chain(&error));
    let registered = match (&args.of, &settings.model) {
        (Some(version), _) => Some(registry.model(version).await.map_err(port)?.ok_or_else(|| {
            Failure::failed(format!(
                "no model of version {version:?} is registered; `lobar model list` shows those that are"
            ))
        })?),
        (None, Some(_)) => None,
        (None, None) => registry.assignment().await.map_err(port)?.active,
    };
    let Some(registered) = registered else { return model_file::find(settings.model.as_ref()) };
    let path = scratch.join("model.safetensors");
    weights::fetch(settings, &registered.model, &path).await.map_err(|error| {
        let (version, why) = (&registered.model.version, chain(&error));
        Failure::failed(format!("the weights of {version}: {why}"))
    })?;
    Ok(path)
}

/// Refuses a version that could not be registered in the end, before anything is computed.
async fn refuse_version(
    args: &cli::Calibrate,
    model: &Path,
    registry: &dyn ModelRegistry,
) -> Result<(), Failure> {
    let version = match &args.name {
        Some(name) => name.clone(),
        None => {
            let weights = Weights::open(model).map_err(|e| Failure::failed(chain(&e)))?;
            let (card, _) = weights.approve().map_err(|e| Failure::failed(chain(&e)))?;
            default_version(&card.version, args.site.as_str())
        }
    };
    if !is_version(&version) {
        return Err(Failure::usage(format!(
            "--name: {version:?} is no version; it must be up to 100 letters, digits, `.`, `_` or `-`"
        )));
    }
    let known = registry.model(&version).await.map_err(|e| Failure::failed(chain(&e)))?;
    match known {
        Some(_) => Err(Failure::failed(format!(
            "version {version:?} is registered already: give this one another with --name"
        ))),
        None => Ok(()),
    }
}

async fn from_folder(args: &cli::Calibrate, settings: &Settings) -> Result<Vec<Sample>, Failure> {
    let labels = args.labels.as_deref().unwrap_or(Path::new(""));
    let data = bring_from(labels, args.data_cache.clone(), || Ok(settings.clone())).await?;
    read_cases(&data.folder).map_err(|error| match error {
        DatasetError::Empty { path, .. } => Failure::usage(format!(
            "--labels: {} holds no pictures; name a folder with NORMAL and PNEUMONIA, or with train or val of these",
            path.display()
        )),
        error => Failure::failed(chain(&error)),
    })
}

/// What doctors said of the site's images, which goes on record.
async fn from_verdicts(
    args: &cli::Calibrate,
    settings: &Settings,
    opener: &Opener,
    database: &dyn Database,
) -> Result<Vec<Sample>, Failure> {
    let source = labelled::source(settings, opener).await?;
    let record = labelled::record(settings, opener).await?;
    let what = json!({ "what": "labels", "for": "calibration", "of": args.site.as_str() });
    record.read(Action::Exported, what).await?;
    let images = of_site(&source, database, &args.site).await?;
    images.name_missing();
    noteln!("site {}: {images}", args.site);
    Ok(images.samples)
}

fn fitted(
    args: &cli::Calibrate,
    settings: &Settings,
    model: &Path,
    samples: Vec<Sample>,
    out: Option<&Path>,
) -> Result<Outcome, Failure> {
    let source = if args.labels.is_some() { CaseSource::Labels } else { CaseSource::Verdicts };
    let options = CalibrateOptions {
        site: args.site.to_string(),
        source,
        sensitivity: args.sensitivity,
        name: args.name.clone(),
        engine: engine::options(&EngineChoice::from(settings)),
    };
    calibrate(model, samples, out, &options).map_err(|e| Failure::failed(chain(&e)))
}

fn tell(args: &cli::Calibrate, outcome: &Outcome, registered: Option<&str>) -> Result<(), Failure> {
    if args.json {
        let mut answer = serde_json::to_value(outcome).map_err(Failure::failed)?;
        answer["registered"] = registered.is_some().into();
        answer["out"] = args.out.as_ref().map(|out| out.display().to_string()).into();
        outln!("{answer}");
        return Ok(());
    }
    outln!("{outcome}");
    match (registered, &args.out) {
        (Some(told), _) => outln!("{}", told.trim_end()),
        (None, Some(out)) => outln!("{} is model {}.", out.display(), outcome.version),
        (None, None) => {
            outln!("Nothing was kept: --register makes it a candidate, --out FILE writes it.");
            return Ok(());
        }
    }
    outln!(
        "Once active, it answers for every site, not for {} alone. Its card's figures on validation and test are those of {}.",
        args.site,
        outcome.calibration.parent.version
    );
    Ok(())
}
