//! The command line of the audit record.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use lobar_core::time::Stamp;

use super::Service;
use crate::audit::instant;

#[derive(Subcommand)]
pub enum Audit {
    /// Follow the chain of the record, and find what was changed, removed or inserted.
    Verify {
        /// A checkpoint that was noted earlier, as `lobar audit checkpoint` prints it: only what follows it is
        /// followed, and an end that was cut off is found.
        #[arg(long, value_name = "CHECKPOINT_FILE")]
        from: Option<PathBuf>,
        /// An export to follow, instead of what the store has; nothing else is opened.
        #[arg(long, value_name = "NDJSON")]
        file: Option<PathBuf>,
        #[command(flatten)]
        audit: AuditArgs,
    },
    /// Print the record, an entry a line. That it was exported is recorded.
    Export {
        /// From this time on: `2026-03-01`, `2026-03-01T09:05:00Z`. Times are UTC.
        #[arg(long, value_name = "TIME", value_parser = instant::read)]
        since: Option<Stamp>,
        /// Up to this time.
        #[arg(long, value_name = "TIME", value_parser = instant::read)]
        until: Option<Stamp>,
        /// The form of a line.
        #[arg(long, value_enum, default_value = "ndjson")]
        format: Format,
        /// Who exports; kept in the record.
        #[arg(long, env = "USER", hide_env = true, value_name = "NAME", default_value = "cli")]
        by: String,
        #[command(flatten)]
        audit: AuditArgs,
    },
    /// Print the newest entry's number and hash: to be kept where nobody can change it who can change the store.
    Checkpoint {
        #[command(flatten)]
        audit: AuditArgs,
    },
}

/// The form of an exported entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// The record's own form, which `lobar audit verify --file` follows.
    Ndjson,
    /// A FHIR R4 AuditEvent.
    Fhir,
}

/// Whose record, and how to answer.
#[derive(Args)]
pub struct AuditArgs {
    /// Print one JSON object. An export is JSON already.
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub service: Service,
}

impl Audit {
    /// Whose record is meant, and how to answer.
    pub fn args(&self) -> &AuditArgs {
        match self {
            Self::Verify { audit, .. }
            | Self::Export { audit, .. }
            | Self::Checkpoint { audit } => audit,
        }
    }
}
