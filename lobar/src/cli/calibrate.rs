//! The command line of calibration to a site.

use std::path::PathBuf;

use clap::Args;
use lobar_core::access::SiteName;

use super::Service;
use crate::settings::read;

/// What to calibrate, on what, and where to put it.
#[derive(Args)]
pub struct Calibrate {
    /// The site.
    #[arg(long, value_name = "NAME", value_parser = read::<SiteName>())]
    pub site: SiteName,
    /// Labelled images of the site, in place of what doctors said of its images: a folder with `NORMAL` and `PNEUMONIA`, or
    /// with `train` or `val` of these, or `s3://BUCKET[/PREFIX]` with the latter. File names, or a `manifest.csv` in the folder,
    /// name the patients; an image of nobody known is taken for a patient of its own.
    #[arg(long, value_name = "DIR|URL")]
    pub labels: Option<PathBuf>,
    /// Folder for the copy of labelled images in a bucket; below the user's cache folder when left out.
    #[arg(long, value_name = "DIR", requires = "labels")]
    pub data_cache: Option<PathBuf>,
    /// Take what doctors said of the site's images; so it is without `--labels`.
    #[arg(long, conflicts_with = "labels")]
    pub from_verdicts: bool,
    /// Calibrate this registered model; without it the file of `--model`, or else the active one.
    #[arg(long, value_name = "VERSION")]
    pub of: Option<String>,
    /// Share of pneumonia that the threshold is to flag.
    #[arg(long, value_name = "SHARE", default_value_t = 0.95, value_parser = sensitivity)]
    pub sensitivity: f64,
    /// Version of the calibrated model; the model's own and `-SITE` when left out.
    #[arg(long, value_name = "VERSION")]
    pub name: Option<String>,
    /// Register the calibrated model as a candidate. Without this and `--out` nothing is kept.
    #[arg(long, conflicts_with = "out")]
    pub register: bool,
    /// Write the calibrated model to this file.
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Print one JSON object.
    #[arg(long)]
    pub json: bool,
    /// Who registers the candidate, for the history.
    #[arg(long, env = "USER", hide_env = true, value_name = "NAME", default_value = "cli")]
    pub by: String,
    /// Which store, bucket and registry, and where to compute.
    #[command(flatten)]
    pub service: Service,
}

fn sensitivity(text: &str) -> Result<f64, String> {
    let share: f64 = text.parse().map_err(|_| format!("{text:?} is not a number"))?;
    match (0.5..1.0).contains(&share) {
        true => Ok(share),
        false => Err(format!("{text} is not a share of 0.5 to less than 1")),
    }
}
