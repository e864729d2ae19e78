//! The command line of the queues.

use clap::{Args, Subcommand, ValueEnum};

use super::Service;

#[derive(Subcommand)]
pub enum Queue {
    /// Print how many messages each queue has: ready, in flight, delayed, dead.
    List {
        #[command(flatten)]
        queue: QueueArgs,
    },
    /// List the dead letters of a queue with their reasons.
    Dead {
        /// Which queue.
        #[arg(value_name = "QUEUE")]
        which: QueueName,
        /// At most so many.
        #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=10_000))]
        limit: u32,
        /// Print the messages too: those of uploads name object keys.
        #[arg(long)]
        bodies: bool,
        #[command(flatten)]
        queue: QueueArgs,
    },
    /// Put dead letters back onto their queue, once what was at fault is mended. Those that nobody understands come back.
    Redrive {
        /// Which queue.
        #[arg(value_name = "QUEUE")]
        which: QueueName,
        /// At most so many; all that are there when left out.
        #[arg(long, value_name = "N")]
        limit: Option<u32>,
        #[command(flatten)]
        queue: QueueArgs,
    },
}

/// A queue, by the word of `GET /v1/queues`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum QueueName {
    /// Notifications of uploads.
    Uploads,
    /// Urgent jobs.
    Stat,
    /// The other jobs.
    Routine,
}

impl QueueName {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Uploads, Self::Stat, Self::Routine];

    /// The word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Uploads => "uploads",
            Self::Stat => "stat",
            Self::Routine => "routine",
        }
    }
}

/// Whose queues, and how to answer.
#[derive(Args)]
pub struct QueueArgs {
    /// Print one JSON object.
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub service: Service,
}

impl Queue {
    /// Whose queues are meant, and how to answer.
    pub fn args(&self) -> &QueueArgs {
        match self {
            Self::List { queue } | Self::Dead { queue, .. } | Self::Redrive { queue, .. } => queue,
        }
    }
}
