//! Stores.

use std::fmt;
use std::str::FromStr;

use super::{ServerUrl, SqliteFile, UrlError, server, split, unknown};

/// Where images, results and events are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreUrl {
    /// A file of this machine.
    Sqlite(SqliteFile),
    /// A PostgreSQL server.
    Postgres(ServerUrl),
}

impl StoreUrl {
    /// What may be set.
    pub const KNOWN: &str = "sqlite:FILE, postgres://…";
}

impl FromStr for StoreUrl {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<Self, UrlError> {
        match split(text, Self::KNOWN)? {
            ("sqlite", path) => Ok(Self::Sqlite(SqliteFile::parse(path)?)),
            ("postgres" | "postgresql", _) => Ok(Self::Postgres(server::postgres(text)?)),
            (scheme, _) => Err(unknown(scheme, Self::KNOWN)),
        }
    }
}

impl fmt::Display for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(file) => file.fmt(f),
            Self::Postgres(server) => server.fmt(f),
        }
    }
}
