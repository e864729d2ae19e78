//! `lobar retrain`: from doctors' labels to a candidate, in one command that a scheduler gives again and again.
//!
//! 1. Exports the labelled images.
//! 2. With too few new labels, says so and ends.
//! 3. Fixes what the run learns and begins with (`OUT/run`), so that a killed one goes on as it was, whatever
//!    was labelled or activated meanwhile.
//! 4. Trains on the base and the new images; measures on the base's validation and test images.
//! 5. Registers the result as a candidate, and keeps the run in `OUT/runs/VERSION`.
//!
//! Each step that was done is left as it is the next time. Nothing is activated.

mod comparison;
mod course;
mod place;

use std::sync::Arc;

use lobar_core::registry::Registry;
use lobar_core::time::SystemClock;
use lobar_opener::Opener;

use crate::cli;
use crate::failure::{Failure, chain};
use crate::labelled::{Folder, Source, export};
use crate::model_file;
use crate::registry::{candidate, refuse_nowhere, weights};
use crate::service::{failed, opener};
use crate::settings::Settings;
use crate::training_data::bring_from;

use place::{Begun, Labels, Place, Run};

/// Runs the command.
pub async fn run(mut args: cli::Retrain) -> Result<(), Failure> {
    let settings = Settings::load(args.service.given.clone(), args.service.config.clone())?;
    refuse_nowhere(&settings.store)?;
    let cache = args.data_cache.clone();
    args.base = bring_from(&args.base, cache, || Ok(settings.clone())).await?.folder;
    course::check_base(&args.base)?;
    let place = Place::open(&args.out)?;
    let opener = opener(&settings, Arc::new(SystemClock));
    let done = retrain(&args, &settings, &opener, &place).await;
    opener.close().await;
    done
}

async fn retrain(
    args: &cli::Retrain,
    settings: &Settings,
    opener: &Opener,
    place: &Place,
) -> Result<(), Failure> {
    let registry = opener.registry("store", &settings.store.reveal()).await.map_err(failed)?;
    let run = match place.run()? {
        Some(run) => {
            eprintln!("going on with the run in {}", run.path().display());
            run
        }
        None => match begin(args, settings, opener, &*registry, place).await? {
            Some(run) => run,
            None => return Ok(()),
        },
    };
    // Hours: the runtime's other threads go on meanwhile.
    let (model, compared) = tokio::task::block_in_place(|| {
        let model = course::train(args, settings, &run)?;
        Ok::<_, Failure>((model, comparison::compare(args, settings, &run)))
    })?;
    let registered = candidate(&model, &args.by, &*registry, settings).await?;
    match compared {
        Ok(compared) => print(&compared),
        Err(failure) => eprintln!("lobar: the candidate is not compared: {failure}"),
    }
    let kept = place.finish(&run, &model)?;
    print(&registered);
    print(&format!("Its report and its weights are in {}.", kept.display()));
    Ok(())
}

/// Begins a run; `None` while there is too little to learn.
async fn begin(
    args: &cli::Retrain,
    settings: &Settings,
    opener: &Opener,
    registry: &dyn Registry,
    place: &Place,
) -> Result<Option<Run>, Failure> {
    let source = Source::open(settings, opener).await?;
    let mut folder = Folder::open(&place.labelled())?;
    let exported = export(&source, &mut folder).await?;
    exported.name_unreadable();
    eprintln!("{exported}");
    exported.refuse_absence()?;
    let labels: Labels = folder
        .pictures
        .iter()
        .map(|(id, picture)| (id.to_string(), picture.class.folder().to_owned()))
        .collect();
    let learned = place.learned()?;
    let new = labels.iter().filter(|(id, label)| learned.get(*id) != Some(*label)).count();
    if new < args.at_least || labels.is_empty() {
        print(&format!(
            "{new} new labels since the last candidate, fewer than {}: nothing was done.",
            args.at_least.max(1)
        ));
        return Ok(None);
    }
    let draft = place.draft()?;
    folder.link_to(&draft.data())?;
    let active = registry.assignment().await.map_err(|e| Failure::failed(chain(&e)))?.active;
    let version = match active {
        Some(model) => {
            let fetched = weights::fetch(settings, &model.model, &draft.active()).await;
            fetched.map_err(|error| {
                let (version, why) = (&model.model.version, chain(&error));
                Failure::failed(format!("the weights of {version}, which is active: {why}"))
            })?;
            Some(model.model.version)
        }
        None => {
            let shipped = model_file::find(None)?;
            std::fs::copy(&shipped, draft.active())
                .map_err(|e| Failure::failed(format!("{}: {e}", shipped.display())))?;
            None
        }
    };
    place.begin(draft, &Begun { active: version, new, labels }).map(Some)
}

#[allow(clippy::print_stdout)] // what came of it is this command's output
fn print(text: &str) {
    println!("{}", text.trim_end());
}
