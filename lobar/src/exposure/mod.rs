//! `lobar exposure`: what readers met of the network's answers, read directly in the configured store, whether or not
//! anything runs.

mod table;
mod truth;

use std::sync::Arc;

use lobar_console::{out, outln};
use lobar_core::access::SiteName;
use lobar_core::audit::Action;
use lobar_core::exposure::{Question, Scope, Truth};
use lobar_core::failure::PortError;
use lobar_core::time::SystemClock;
use lobar_opener::Database;
use serde_json::json;

use crate::cli::{Exposure, ReportArgs};
use crate::failure::{Failure, chain};
use crate::on_record::entry;
use crate::registry::refuse_nowhere;
use crate::service::{failed, opener};
use crate::settings::Settings;

/// Runs one command.
pub async fn run(command: Exposure) -> Result<(), Failure> {
    let Exposure::Report(args) = command;
    let truth = match (&args.truth, &args.adjudicator) {
        (Some(file), _) => Truth::Labels(truth::read(file)?),
        (None, Some(name)) => Truth::Reader(name.clone()),
        (None, None) => Truth::Unknown,
    };
    let settings = Settings::load(args.service.given.clone(), args.service.config.clone())?;
    refuse_nowhere(&settings.store)?;
    let opener = opener(&settings, Arc::new(SystemClock));
    let opened = opener.database("store", &settings.store).await.map_err(failed);
    let done = match opened {
        Ok(database) => report(&args, truth, &*database).await,
        Err(failure) => Err(failure),
    };
    opener.close().await;
    done
}

async fn report(args: &ReportArgs, truth: Truth, database: &dyn Database) -> Result<(), Failure> {
    let scope = Scope { small: args.small, by_person: args.by_person };
    let (site, since, until) = (args.site.clone(), args.since, args.until);
    let question = Question { site, since, until, truth, scope };
    let mut asked = entry(Action::ExposureRead, question.detail());
    asked.site = question.site.as_deref().and_then(SiteName::parse);
    database.append(&[asked]).await.map_err(port)?;
    let report = question.ask(database).await.map_err(port)?;
    match args.json {
        true => outln!("{}", json!(report)),
        false => out!("{}", table::text(&report)),
    }
    Ok(())
}

fn port(error: PortError) -> Failure {
    Failure::failed(chain(&error))
}
