//! `lobar model`: the life of models, worked on directly in the configured store, whether or not anything
//! runs. Workers that run notice a change within seconds.

mod examine;
#[cfg(feature = "torch")]
mod register;
mod table;
pub mod weights;

#[cfg(feature = "torch")]
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use lobar_api::models::{Assigned, Comparisons, History, ModelItem, ModelList};
use lobar_console::outln;
use lobar_core::audit::{Action, NewEntry};
use lobar_core::failure::PortError;
use lobar_core::model_registry::{Assignment, ModelRegistry, RegistryError};
use lobar_core::time::SystemClock;
use lobar_opener::Opener;
use serde::Serialize;
use serde_json::json;

use crate::cli::Model;
use crate::failure::{Failure, chain};
use crate::on_record::{Record, entry};
use crate::service::{failed, opener};
use crate::settings::Settings;
use lobar_opener::url::StoreUrl;

pub use examine::examine;
#[cfg(feature = "torch")]
pub use register::is_version;

/// How long workers are told of a change before they are left to notice it.
const TELL: Duration = Duration::from_secs(2);

/// What a command answers: the same for programs and for people.
struct Answer {
    json: serde_json::Value,
    text: String,
}

/// Runs one command.
pub async fn run(command: Model) -> Result<(), Failure> {
    let asked = command.registry();
    let (as_json, service) = (asked.json, &asked.service);
    let settings = Settings::load(service.given.clone(), service.config.clone())?;
    refuse_nowhere(&settings.store)?;
    let opener = opener(&settings, Arc::new(SystemClock));
    let database = opener.database("store", &settings.store).await.map_err(failed)?;
    let record = Record::new(database.clone());
    let done = answered(&command, &*database, &settings, &record).await;
    if done.is_ok() && change(&command).is_some() {
        tell(&opener, &settings).await;
    }
    opener.close().await;
    let answer = done?;
    print(&if as_json { answer.json.to_string() } else { answer.text });
    Ok(())
}

/// Stores a weights file and registers it as a candidate, as `lobar model register` does; what to tell of it.
#[cfg(feature = "torch")]
pub async fn candidate(
    file: &Path,
    by: &str,
    registry: &dyn ModelRegistry,
    settings: &Settings,
) -> Result<String, Failure> {
    Ok(register::register(file, by, registry, settings).await?.text)
}

/// Does what was asked for; what changes something is on record.
async fn answered(
    command: &Model,
    registry: &dyn ModelRegistry,
    settings: &Settings,
    record: &Record,
) -> Result<Answer, Failure> {
    let does = Box::pin(answer(command, registry, settings));
    match change(command) {
        Some((change, model)) => record.change(changed(change, model), does).await,
        None => does.await,
    }
}

/// An entry about a change of the registry.
pub fn changed(change: &str, model: Option<&str>) -> NewEntry {
    entry(Action::ModelChanged, json!({ "change": change, "model": model }))
}

async fn answer(
    command: &Model,
    registry: &dyn ModelRegistry,
    settings: &Settings,
) -> Result<Answer, Failure> {
    let by = command.registry().by.as_str();
    match command {
        Model::List { .. } => {
            let last = registry.history(1).await.map_err(port)?.into_iter().next();
            let models = registry.models().await.map_err(port)?;
            let list = ModelList::new(models, last, settings.model.is_some());
            Answer::new(&list, table::models(&list))
        }
        Model::Show { version, .. } => {
            let model = ModelItem::from(known(registry, version).await?);
            Answer::new(&model, table::model(&model))
        }
        #[cfg(feature = "torch")]
        Model::Register { file, .. } => register::register(file, by, registry, settings).await,
        Model::Activate { version, .. } => {
            let before = registry.assignment().await.map_err(port)?.revision;
            let assignment = registry.activate(version, by).await.map_err(refused)?;
            let text = match assignment.revision > before {
                true => format!(
                    "{version} is active; workers change to it within seconds. `lobar model \
                     rollback` goes back."
                ),
                false => format!("{version} was active already."),
            };
            assigned(assignment, text)
        }
        Model::Rollback { .. } => {
            let assignment = registry.roll_back(by).await.map_err(refused)?;
            let active = assignment.active.as_ref().map_or("none", |model| &model.model.version);
            let text = format!("{active} is active again; workers change to it within seconds.");
            assigned(assignment, text)
        }
        Model::Retire { version, .. } => {
            let model = registry.retire(version, by).await.map_err(refused)?;
            Answer::new(&ModelItem::from(model), format!("{version} is retired."))
        }
        Model::Shadow { version, .. } => {
            let assignment = registry.shadow(Some(version), by).await.map_err(refused)?;
            let text = format!(
                "{version} shadows; nobody is shown what it sees. `lobar model compare {version}` \
                 tells how it differs."
            );
            assigned(assignment, text)
        }
        Model::Unshadow { .. } => {
            let assignment = registry.shadow(None, by).await.map_err(refused)?;
            assigned(assignment, "No model shadows.".into())
        }
        Model::Compare { version, .. } => {
            known(registry, version).await?;
            let comparisons = registry.compare(version).await.map_err(port)?;
            let comparisons = Comparisons::new(version.clone(), comparisons);
            Answer::new(&comparisons, table::comparisons(&comparisons))
        }
        Model::History { limit, .. } => {
            let history = History::new(registry.history(*limit).await.map_err(port)?);
            Answer::new(&history, table::history(&history))
        }
    }
}

impl Answer {
    fn new(json: &impl Serialize, text: String) -> Result<Self, Failure> {
        Ok(Self { json: serde_json::to_value(json).map_err(Failure::failed)?, text })
    }
}

fn assigned(assignment: Assignment, text: String) -> Result<Answer, Failure> {
    Answer::new(&Assigned::from(assignment), text)
}

async fn known(
    registry: &dyn ModelRegistry,
    version: &str,
) -> Result<lobar_core::model_registry::RegisteredModel, Failure> {
    let model = registry.model(version).await.map_err(port)?;
    model.ok_or_else(|| refused(RegistryError::Unknown(version.to_owned())))
}

/// What a command changes, and of which model; the words are those of the HTTP API.
fn change(command: &Model) -> Option<(&'static str, Option<&str>)> {
    Some(match command {
        Model::List { .. } | Model::Show { .. } | Model::Compare { .. } | Model::History { .. } => {
            return None;
        }
        // Which one is in the file, which nobody has read yet: the registry's history has it.
        #[cfg(feature = "torch")]
        Model::Register { .. } => ("register", None),
        Model::Activate { version, .. } => ("activate", Some(version)),
        Model::Rollback { .. } => ("rollback", None),
        Model::Retire { version, .. } => ("retire", Some(version)),
        Model::Shadow { version, .. } => ("shadow", Some(version)),
        Model::Unshadow { .. } => ("unshadow", None),
    })
}

/// Has workers look at once, where the signal reaches them. They look by themselves every few seconds.
async fn tell(opener: &Opener, settings: &Settings) {
    if let Ok(signal) = opener.signal("signal", &settings.signal) {
        let _ = tokio::time::timeout(TELL, signal.publish()).await;
    }
}

/// A database file that is not there is a slip in a name: these commands are about what there is.
pub fn refuse_nowhere(store: &StoreUrl) -> Result<(), Failure> {
    match store {
        StoreUrl::Sqlite(file) if !file.path().exists() => Err(Failure::failed(format!(
            "there is no database {}: name the data folder that `lobar up` uses with --data, or make \
             one with `lobar migrate`",
            file.path().display()
        ))),
        _ => Ok(()),
    }
}

fn refused(error: RegistryError) -> Failure {
    match error {
        RegistryError::Unknown(_) => {
            Failure::failed(format!("{error}; `lobar model list` shows those that are"))
        }
        RegistryError::Port(error) => port(error),
        error => Failure::failed(error),
    }
}

fn port(error: PortError) -> Failure {
    Failure::failed(chain(&error))
}

fn print(text: &str) {
    outln!("{}", text.trim_end());
}
