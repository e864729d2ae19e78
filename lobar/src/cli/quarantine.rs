//! The command line of the quarantine.

use clap::{Args, Subcommand};

use super::Service;

#[derive(Subcommand)]
pub enum Quarantine {
    /// List the messages that wait, newest first, without what is in them.
    List {
        /// Also those that were replayed or discarded.
        #[arg(long)]
        all: bool,
        /// At most so many.
        #[arg(long, value_name = "N", default_value_t = 100)]
        limit: usize,
        #[command(flatten)]
        quarantine: QuarantineArgs,
    },
    /// Print one entry with its message, which names object keys.
    Show {
        /// The entry's id.
        id: i64,
        #[command(flatten)]
        quarantine: QuarantineArgs,
    },
    /// Put messages back onto the uploads queue, once what was at fault is mended. May be repeated.
    Replay {
        #[command(flatten)]
        which: Which,
        #[command(flatten)]
        quarantine: QuarantineArgs,
    },
    /// Say that messages are nothing of ours. The entries stay, the messages go for good.
    Discard {
        #[command(flatten)]
        which: Which,
        #[command(flatten)]
        quarantine: QuarantineArgs,
    },
}

/// Which entries a change is about.
#[derive(Args)]
#[group(required = true, multiple = false)]
pub struct Which {
    /// The entries' ids.
    #[arg(value_name = "ID")]
    pub ids: Vec<i64>,
    /// Every entry that waits for this reason, such as `wrong_source`.
    #[arg(long, value_name = "REASON")]
    pub reason: Option<String>,
    /// Every entry that waits.
    #[arg(long)]
    pub all: bool,
}

/// Whose quarantine, and how to answer.
#[derive(Args)]
pub struct QuarantineArgs {
    /// Print one JSON object, as the HTTP API does.
    #[arg(long)]
    pub json: bool,
    /// Who makes a change; kept with the entry.
    #[arg(long, env = "USER", hide_env = true, value_name = "NAME", default_value = "cli")]
    pub by: String,
    #[command(flatten)]
    pub service: Service,
}

impl Quarantine {
    /// Whose quarantine is meant, and how to answer.
    pub fn args(&self) -> &QuarantineArgs {
        match self {
            Self::List { quarantine, .. }
            | Self::Show { quarantine, .. }
            | Self::Replay { quarantine, .. }
            | Self::Discard { quarantine, .. } => quarantine,
        }
    }
}
