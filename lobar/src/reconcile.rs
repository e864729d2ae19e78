//! `lobar reconcile`: compares the bucket with the store and mends what differs, on the configured services, whether or
//! not anything runs. What is admitted goes through the ingest that runs, or will.

use std::sync::Arc;
use std::time::Duration;

use lobar_console::outln;
use lobar_core::audit::Action;
use lobar_core::time::SystemClock;
use lobar_ingest::{ReconcileOptions, ReconcilePorts, Reconciled, reconcile};
use lobar_opener::Opener;
use serde_json::json;

use crate::cli::Reconcile;
use crate::failure::{Failure, chain};
use crate::on_record::{Record, entry};
use crate::service::{failed, opener, roles};
use crate::settings::Settings;

/// Runs the command.
pub async fn run(command: Reconcile) -> Result<(), Failure> {
    let Reconcile { dry_run, force, prefix, grace, json: as_json, service } = command;
    let settings = Settings::load(service.given, service.config)?;
    let opener = opener(&settings, Arc::new(SystemClock));
    let results_kept = settings.results_retention.time();
    let grace = Duration::from_secs(grace);
    let junk = settings.junk_names.clone();
    let options =
        ReconcileOptions { prefix, grace, dry_run, mark: true, force, junk, results_kept };
    let done = compare(&settings, &opener, &options).await;
    opener.close().await;
    let done = done?;
    print(&done, dry_run, as_json);
    match done.spared {
        0 => Ok(()),
        images => Err(Failure::failed(format!(
            "{images} of {} images have no object in the bucket, and none was marked: see that LOBAR_BUCKET and \
             LOBAR_S3_ENDPOINT name the right one; --force marks them",
            done.images
        ))),
    }
}

async fn compare(
    settings: &Settings,
    opener: &Opener,
    options: &ReconcileOptions,
) -> Result<Reconciled, Failure> {
    let objects = roles::objects(settings, settings.embedded_s3()).await?;
    let database = opener.database("store", &settings.store).await.map_err(failed)?;
    let ports = ReconcilePorts {
        uploads: opener.queue("uploads", &settings.uploads, "uploads").await.map_err(failed)?,
        store: database.clone(),
        objects: objects.clone(),
        listing: objects,
        clock: Arc::new(SystemClock),
    };
    let does =
        async { reconcile(&ports, options).await.map_err(|error| Failure::failed(chain(&error))) };
    if options.dry_run {
        return does.await;
    }
    let detail = json!({ "change": "reconcile", "force": options.force });
    Record::new(database).change(entry(Action::Reconciled, detail), does).await
}

fn print(done: &Reconciled, dry_run: bool, as_json: bool) {
    let Reconciled { objects, admitted, restored, images, removed, spared, .. } = *done;
    if as_json {
        let all = json!({ "dry_run": dry_run, "objects": objects, "admitted": admitted, "restored": restored,
            "images": images, "removed": removed, "spared": spared });
        outln!("{all}");
        return;
    }
    let (notified, queued, marked) = match dry_run {
        true => ("would be notified of", "would be queued again", "would be marked as removed"),
        false => ("notified of: ingest admits them", "queued again", "marked as removed"),
    };
    outln!("{objects} objects, {admitted} without an image {notified}");
    outln!("{restored} objects whose image said that it was removed or replaced {queued}");
    outln!("{images} images, {removed} without their object {marked}");
}
