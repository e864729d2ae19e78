//! The images that doctors labelled, as a folder to train on (`lobar data export`).
//!
//! A picture is what the network gets: 224 × 224 grey levels, and nothing else of the file. It is named by the
//! image's opaque id. Whom it shows is not known here, so every image is taken for a patient of its own, unless
//! its bytes are those of another image.

mod export;
mod folder;
mod picture;
mod site;

use std::sync::Arc;

use lobar_core::object_store::ObjectStore;
use lobar_core::verdict::Verdicts;

pub use export::{Exported, export};
pub use folder::{Folder, Picture};
pub(crate) use folder::{replace, unwritable};
pub use site::{SiteImages, of_site};

/// Where labels and images come from.
pub struct LabelPorts {
    /// The labels.
    pub verdicts: Arc<dyn Verdicts>,
    /// The images.
    pub objects: Arc<dyn ObjectStore>,
}
