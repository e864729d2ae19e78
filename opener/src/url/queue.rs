//! Queues.

use std::fmt;
use std::str::FromStr;

use super::{ServerUrl, SqliteFile, SqsUrl, StoreUrl, UrlError, server, split, unknown};

/// Where messages wait.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum QueueUrl {
    /// A file of this machine.
    Sqlite(SqliteFile),
    /// A PostgreSQL server.
    Postgres(ServerUrl),
    /// A RabbitMQ broker.
    RabbitMq(ServerUrl),
    /// Amazon's SQS, or what speaks it.
    Sqs(SqsUrl),
}

impl QueueUrl {
    /// What may be set.
    pub const KNOWN: &str = "sqlite:FILE, postgres://…, amqp[s]://…, sqs://QUEUE";
}

/// Every database of a store may hold queues.
impl From<StoreUrl> for QueueUrl {
    fn from(store: StoreUrl) -> Self {
        match store {
            StoreUrl::Sqlite(file) => Self::Sqlite(file),
            StoreUrl::Postgres(server) => Self::Postgres(server),
        }
    }
}

impl FromStr for QueueUrl {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<Self, UrlError> {
        match split(text, Self::KNOWN)? {
            ("sqlite", path) => Ok(Self::Sqlite(SqliteFile::parse(path)?)),
            ("postgres" | "postgresql", _) => Ok(Self::Postgres(server::postgres(text)?)),
            ("amqp" | "amqps", _) => Ok(Self::RabbitMq(server::amqp(text)?)),
            ("sqs", rest) => Ok(Self::Sqs(SqsUrl::parse(rest)?)),
            (scheme, _) => Err(unknown(scheme, Self::KNOWN)),
        }
    }
}

impl fmt::Display for QueueUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(file) => file.fmt(f),
            Self::Postgres(server) | Self::RabbitMq(server) => server.fmt(f),
            Self::Sqs(queue) => queue.fmt(f),
        }
    }
}
