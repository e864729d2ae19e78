//! `lobar data export`: the images that doctors labelled, as a folder to train on.
//!
//! A picture is what the network gets: 224 × 224 grey levels, and nothing else of the file. It is named by the
//! image's opaque id. Whom it shows is not known here, so every image is taken for a patient of its own, unless
//! its bytes are those of another image.

mod export;
mod folder;
mod picture;

use std::sync::Arc;

use lobar_core::objects::Objects;
use lobar_core::time::SystemClock;
use lobar_core::verdict::Verdicts;
use lobar_opener::Opener;

use crate::cli;
use crate::failure::Failure;
use crate::registry::refuse_nowhere;
use crate::service::{failed, opener, roles};
use crate::settings::Settings;

pub use export::export;
pub use folder::{Folder, Picture, replace, unwritable};

/// Where labels and images come from.
pub struct Source {
    pub verdicts: Arc<dyn Verdicts>,
    pub objects: Arc<dyn Objects>,
}

impl Source {
    /// As the settings name them.
    pub async fn open(settings: &Settings, opener: &Opener) -> Result<Self, Failure> {
        let verdicts = opener.verdicts("store", &settings.store.reveal()).await.map_err(failed)?;
        let objects = roles::objects(settings, settings.embedded_s3()).await;
        Ok(Self { verdicts, objects })
    }
}

/// Runs the command.
#[allow(clippy::print_stdout)] // what was exported is this command's output
pub async fn run(args: cli::DataExport) -> Result<(), Failure> {
    let cli::DataExport { out, service } = args;
    let settings = Settings::load(service.given, service.config)?;
    refuse_nowhere(&settings.store)?;
    let opener = opener(&settings, Arc::new(SystemClock));
    let done = async {
        let source = Source::open(&settings, &opener).await?;
        let mut folder = Folder::open(&out)?;
        export(&source, &mut folder).await
    };
    let done = done.await;
    opener.close().await;
    let exported = done?;
    exported.name_unreadable();
    println!("{exported}");
    exported.refuse_absence()
}
