//! The command line of the model registry.

#[cfg(feature = "torch")]
use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::Service;

#[derive(Subcommand)]
pub enum Model {
    /// List the registered models.
    List {
        #[command(flatten)]
        registry: RegistryArgs,
    },
    /// Print one model with its card.
    Show {
        /// The model's version.
        version: String,
        #[command(flatten)]
        registry: RegistryArgs,
    },
    /// Store a weights file and register it as a candidate, which changes nothing that is served. One
    /// whose card has no threshold, calibration and evaluation of its own is refused.
    #[cfg(feature = "torch")]
    Register {
        /// Weights with their card (safetensors), as `lobar train` makes them.
        file: PathBuf,
        #[command(flatten)]
        registry: RegistryArgs,
    },
    /// Make a model the active one. Workers change to it between two batches, without a restart.
    Activate {
        /// The model's version.
        version: String,
        #[command(flatten)]
        registry: RegistryArgs,
    },
    /// Make the model active again that was before the present one.
    Rollback {
        #[command(flatten)]
        registry: RegistryArgs,
    },
    /// Set a model aside that is not active.
    Retire {
        /// The model's version.
        version: String,
        #[command(flatten)]
        registry: RegistryArgs,
    },
    /// Let a model run on live images beside the active one, without being shown.
    Shadow {
        /// The model's version.
        version: String,
        #[command(flatten)]
        registry: RegistryArgs,
    },
    /// End shadowing.
    Unshadow {
        #[command(flatten)]
        registry: RegistryArgs,
    },
    /// Print what a shadow saw otherwise than the models that were shown.
    Compare {
        /// The shadow's version.
        version: String,
        #[command(flatten)]
        registry: RegistryArgs,
    },
    /// Print who changed what, newest first.
    History {
        /// How many changes.
        #[arg(long, value_name = "N", default_value_t = 50)]
        limit: usize,
        #[command(flatten)]
        registry: RegistryArgs,
    },
}

/// Which registry, and how to answer.
#[derive(Args)]
pub struct RegistryArgs {
    /// Print one JSON object, as the HTTP API does.
    #[arg(long)]
    pub json: bool,
    /// Who makes a change, for the history.
    #[arg(long, env = "USER", hide_env = true, value_name = "NAME", default_value = "cli")]
    pub by: String,
    #[command(flatten)]
    pub service: Service,
}

impl Model {
    /// Which registry is meant, and how to answer.
    pub fn registry(&self) -> &RegistryArgs {
        match self {
            #[cfg(feature = "torch")]
            Model::Register { registry, .. } => registry,
            Model::List { registry }
            | Model::Show { registry, .. }
            | Model::Activate { registry, .. }
            | Model::Rollback { registry }
            | Model::Retire { registry, .. }
            | Model::Shadow { registry, .. }
            | Model::Unshadow { registry }
            | Model::Compare { registry, .. }
            | Model::History { registry, .. } => registry,
        }
    }
}
