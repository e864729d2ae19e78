//! Signals.

use std::fmt;
use std::str::FromStr;

use super::{ServerUrl, UrlError, server, split, unknown};

/// How changes are announced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SignalUrl {
    /// Within one process.
    Memory,
    /// Not at all: each process asks the store.
    Poll,
    /// A Redis server, which also caches answers and knows the workers.
    Redis(ServerUrl),
}

impl SignalUrl {
    /// What may be set.
    pub const KNOWN: &str = "memory:, poll:, redis[s]://HOST[:PORT][/DATABASE]";
}

impl FromStr for SignalUrl {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<Self, UrlError> {
        match split(text, Self::KNOWN)? {
            ("memory", "") => Ok(Self::Memory),
            ("poll", "") => Ok(Self::Poll),
            ("memory", _) => Err(surplus("memory")),
            ("poll", _) => Err(surplus("poll")),
            ("redis" | "rediss", _) => Ok(Self::Redis(server::redis(text)?)),
            (scheme, _) => Err(unknown(scheme, Self::KNOWN)),
        }
    }
}

impl fmt::Display for SignalUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Memory => f.write_str("memory:"),
            Self::Poll => f.write_str("poll:"),
            Self::Redis(server) => server.fmt(f),
        }
    }
}

fn surplus(scheme: &'static str) -> UrlError {
    UrlError::malformed(scheme, "nothing may follow the colon")
}
