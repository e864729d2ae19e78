//! `lobar audit`: the record of who saw and did what, read directly in the configured store, whether or not anything
//! runs, or in an export of it.

mod export;
mod fhir;
pub mod instant;
mod verify;

use std::sync::Arc;

use lobar_console::outln;
use lobar_core::audit::{Audit as Port, Checkpoint};
use lobar_core::failure::PortError;
use lobar_core::time::SystemClock;
use serde_json::json;

use crate::cli::Audit;
use crate::failure::{Failure, chain};
use crate::registry::refuse_nowhere;
use crate::service::{failed, opener};
use crate::settings::Settings;

/// Entries read at once.
const PAGE: usize = 1_000;

/// Runs one command.
pub async fn run(command: Audit) -> Result<(), Failure> {
    if let Audit::Verify { from, file: Some(file), audit } = &command {
        let checkpoint = from.as_deref().map(verify::checkpoint).transpose()?;
        return verify::tell(verify::file(file, checkpoint)?, audit.json);
    }
    let service = &command.args().service;
    let settings = Settings::load(service.given.clone(), service.config.clone())?;
    refuse_nowhere(&settings.store)?;
    let opener = opener(&settings, Arc::new(SystemClock));
    let opened = opener.database("store", &settings.store).await.map_err(failed);
    let done = match opened {
        Ok(database) => {
            let audit: Arc<dyn Port> = database;
            carry_out(&command, &*audit).await
        }
        Err(failure) => Err(failure),
    };
    opener.close().await;
    done
}

async fn carry_out(command: &Audit, audit: &dyn Port) -> Result<(), Failure> {
    match command {
        Audit::Verify { from, audit: args, .. } => {
            let checkpoint = from.as_deref().map(verify::checkpoint).transpose()?;
            verify::tell(verify::store(audit, checkpoint).await?, args.json)
        }
        Audit::Export { since, until, format, by, .. } => {
            export::run(audit, (*since, *until), *format, by).await
        }
        Audit::Checkpoint { audit: args } => {
            let newest = audit.newest().await.map_err(port)?;
            let Checkpoint { number, hash } = newest;
            match args.json {
                true => outln!("{}", json!(newest)),
                false => outln!("{number} {hash}"),
            }
            Ok(())
        }
    }
}

fn port(error: PortError) -> Failure {
    Failure::failed(chain(&error))
}
