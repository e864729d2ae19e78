//! `lobar upload`.

use lobar_upload::UploadOptions;

use crate::cli;
use crate::failure::Failure;

/// Uploads what the arguments name; fails when any file could not be uploaded.
pub async fn run(args: cli::Upload) -> Result<(), Failure> {
    let cli::Upload { paths, to, site, stat, watch, again, parallel } = args;
    let options = UploadOptions { paths, to, site, stat, watch, again, parallel };
    Ok(lobar_upload::run(options).await?)
}
