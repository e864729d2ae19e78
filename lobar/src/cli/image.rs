//! The command line of one image.

use clap::Args;
use lobar_core::object::ImageId;

use super::Service;

#[derive(Args)]
pub struct ImageStory {
    /// The image's id, as pages, logs and traces show it.
    #[arg(value_name = "ID")]
    pub id: ImageId,
    /// Print one JSON object.
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub service: Service,
}
