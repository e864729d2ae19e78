//! The command line of erasure.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use lobar_core::erasure::ErasureReason;
use uuid::Uuid;

use super::Service;

#[derive(Subcommand)]
pub enum Erase {
    /// Images by their ids, each with every version of its object.
    Image {
        /// Ids, as the page and the API show them.
        #[arg(required = true, value_name = "ID")]
        ids: Vec<Uuid>,
        #[command(flatten)]
        erase: EraseArgs,
    },
    /// Everything of one patient of a site: by the id that their images name, or all keys that begin so, `stat/` or not.
    #[command(group = clap::ArgGroup::new("whom").required(true).args(["patient_id", "key_prefix"]))]
    Patient {
        /// The site.
        #[arg(long, value_name = "NAME")]
        site: String,
        /// The patient's id, to the letter. Of one that was merged into another's, the images of both are meant.
        #[arg(long, value_name = "ID")]
        patient_id: Option<String>,
        /// Who gave out the id; left out where that is the site.
        #[arg(
            long,
            value_name = "ISSUER",
            requires = "patient_id",
            default_value = "",
            hide_default_value = true
        )]
        issuer: String,
        /// How the keys begin after `incoming/SITE/` and `incoming/SITE/stat/`. It is taken to the letter: `7` is the
        /// beginning of `71/` too, so end it with what ends the patient's name there, such as `7/`.
        #[arg(long, value_name = "PREFIX")]
        key_prefix: Option<String>,
        #[command(flatten)]
        erase: EraseArgs,
    },
    /// Objects by their whole keys, one a line of a file.
    Keys {
        /// The file; `-` for standard input.
        #[arg(value_name = "FILE")]
        file: PathBuf,
        #[command(flatten)]
        erase: EraseArgs,
    },
    /// Go on with what was interrupted, or what the bucket refused. An ingest that runs does it every minute.
    Resume {
        /// Print one JSON object.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        service: Service,
    },
}

#[derive(Args)]
pub struct EraseArgs {
    /// Why: `request` of the patient, `consent` withdrawn, `mistake` in uploading, legal `obligation`, `retention` over.
    #[arg(long, value_name = "WHY")]
    pub reason: ErasureReason,
    /// Only count.
    #[arg(long)]
    pub dry_run: bool,
    /// Do not ask.
    #[arg(long)]
    pub yes: bool,
    /// Who erases; the audit record has it as `by`, beside the number of the operating system's user.
    #[arg(long, env = "USER", hide_env = true, value_name = "NAME", default_value = "cli")]
    pub by: String,
    /// Print one JSON object.
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub service: Service,
}
