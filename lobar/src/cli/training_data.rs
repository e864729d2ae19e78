//! The command line of whatever reads labelled images.

use std::path::PathBuf;

use clap::Args;

use crate::settings::{EndpointUrl, read};

/// Where labelled images are.
#[derive(Args)]
pub struct TrainingData {
    /// Folder with `{train,val,test}/{NORMAL,PNEUMONIA}`, or `s3://BUCKET[/PREFIX]` with the same below it.
    /// File names, or a `manifest.csv` in the folder, name the patients.
    #[arg(long, value_name = "DIR|URL")]
    pub data: PathBuf,
    /// Folder for the copy of what lies at an `s3://` URL; below the user's cache folder when left out.
    #[arg(long, value_name = "DIR")]
    pub data_cache: Option<PathBuf>,
    /// Address of the S3 endpoint of an `s3://` URL; Amazon's own when left out.
    #[arg(long, env = "LOBAR_S3_ENDPOINT", value_name = "URL", value_parser = read::<EndpointUrl>())]
    pub s3_endpoint: Option<EndpointUrl>,
    /// Settings file with the S3 credentials and region, unless `AWS_*` say them; `lobar.toml` in the
    /// working directory when it exists.
    #[arg(long, env = "LOBAR_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
}
