//! The command line of the exposure record.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use lobar_core::time::Stamp;

use super::Service;
use crate::audit::instant;

#[derive(Subcommand)]
pub enum Exposure {
    /// How often a right first opinion turned wrong after the result was shown, and the reverse, by site. That it was
    /// asked for is recorded.
    Report(ReportArgs),
}

/// Which cases, compared with what, told how.
#[derive(Args)]
pub struct ReportArgs {
    /// Only this site.
    #[arg(long, value_name = "SITE")]
    pub site: Option<String>,
    /// Only first opinions from this time on: `2026-03-01`, `2026-03-01T09:05:00Z`. Times are UTC.
    #[arg(long, value_name = "TIME", value_parser = instant::read)]
    pub since: Option<Stamp>,
    /// Only first opinions before this time.
    #[arg(long, value_name = "TIME", value_parser = instant::read)]
    pub until: Option<Stamp>,
    /// What is right: a file of lines `IMAGE,LABEL`, the label PNEUMONIA or NORMAL.
    #[arg(long, value_name = "FILE", conflicts_with = "adjudicator")]
    pub truth: Option<PathBuf>,
    /// What is right: the newest labels of the reader of this name, whose own cases are left out.
    #[arg(long, value_name = "NAME")]
    pub adjudicator: Option<String>,
    /// Tell numbers below five too, and sites where fewer than three people read.
    #[arg(long)]
    pub small: bool,
    /// A row for each person at each site, for an auditor.
    #[arg(long)]
    pub by_person: bool,
    /// Print one JSON object.
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub service: Service,
}
