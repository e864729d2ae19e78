//! `lobar upload`.

use std::path::Path;

use lobar_upload::UploadOptions;

use crate::cli;
use crate::failure::Failure;
use crate::settings::environment;

/// Uploads what the arguments name; fails when any file could not be uploaded.
pub async fn run(args: cli::Upload) -> Result<(), Failure> {
    let cli::Upload { paths, to, site, stat, watch, again, parallel, whose, token_file } = args;
    let token = token(token_file.as_deref())?;
    let identity = whose.into();
    let options = UploadOptions { paths, to, site, stat, watch, again, parallel, identity, token };
    Ok(lobar_upload::run(options).await?)
}

/// What signs in. It is no argument, since others see those.
fn token(file: Option<&Path>) -> Result<Option<String>, Failure> {
    let Some(file) = file else { return Ok(environment::value("LOBAR_TOKEN")) };
    let text = std::fs::read_to_string(file).map_err(|error| {
        Failure::usage(format!(
            "--token-file {}: {error}; name a file with a token",
            file.display()
        ))
    })?;
    Ok(Some(text.trim().to_owned()))
}
