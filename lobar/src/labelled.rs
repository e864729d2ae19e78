//! `lobar data export`.

use std::sync::Arc;

use lobar_console::outln;
use lobar_core::audit::Action;
use lobar_core::time::SystemClock;
use lobar_lab::labelled::{Folder, LabelPorts, export};
use lobar_opener::Opener;
use serde_json::json;

use crate::cli;
use crate::failure::Failure;
use crate::on_record::Record;
use crate::registry::refuse_nowhere;
use crate::service::{failed, opener, roles};
use crate::settings::Settings;

/// Labels and images as the settings name them.
pub async fn source(settings: &Settings, opener: &Opener) -> Result<LabelPorts, Failure> {
    let verdicts = opener.database("store", &settings.store).await.map_err(failed)?;
    let objects = roles::objects(settings, settings.embedded_s3()).await?;
    Ok(LabelPorts { verdicts, objects })
}

/// The audit record of the settings' store.
pub async fn record(settings: &Settings, opener: &Opener) -> Result<Record, Failure> {
    Ok(Record::new(opener.database("store", &settings.store).await.map_err(failed)?))
}

/// Brings a folder to what doctors' labels say now.
pub async fn run(args: cli::DataExport) -> Result<(), Failure> {
    let cli::DataExport { out, service } = args;
    let settings = Settings::load(service.given, service.config)?;
    refuse_nowhere(&settings.store)?;
    let opener = opener(&settings, Arc::new(SystemClock));
    let done = async {
        let source = source(&settings, &opener).await?;
        let mut folder = Folder::open(&out)?;
        record(&settings, &opener)
            .await?
            .read(Action::Exported, json!({ "what": "labels" }))
            .await?;
        Ok::<_, Failure>(export(&source, &mut folder).await?)
    };
    let done = done.await;
    opener.close().await;
    let exported = done?;
    exported.name_unreadable();
    outln!("{exported}");
    Ok(exported.refuse_absence()?)
}
