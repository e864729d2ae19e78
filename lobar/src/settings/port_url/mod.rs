//! Which adapter is behind each port, as one URL: its scheme picks the adapter.
//!
//! A URL is read once, here. What it shows (`Display`, `Debug`) never holds a password and reads again as a
//! URL of the same kind; the whole text is for the adapter alone ([`StoreUrl::reveal`] and so on).

mod server;
mod sqs;

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

pub use server::ServerUrl;
pub use sqs::SqsUrl;

/// Why a text is no URL of a port. Never repeats more than its scheme: the rest may hold a password.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// No adapter of this port has this scheme.
    #[error("no adapter for `{scheme}:`; known: {known}")]
    UnknownScheme {
        /// What the text begins with.
        scheme: String,
        /// What it may begin with.
        known: &'static str,
    },
    /// It does not begin with a scheme.
    #[error("not a URL; known: {known}")]
    NoScheme {
        /// What it may begin with.
        known: &'static str,
    },
    /// The rest does not say what the adapter needs.
    #[error("{scheme}: {why}")]
    Malformed {
        /// What the text begins with.
        scheme: &'static str,
        /// What is missing or wrong.
        why: &'static str,
    },
}

/// Where images, results and events are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreUrl {
    /// A file of this machine.
    Sqlite(SqliteFile),
    /// A PostgreSQL server.
    Postgres(ServerUrl),
}

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

impl StoreUrl {
    /// What may be set.
    pub const KNOWN: &str = "sqlite:FILE, postgres://…";

    /// The whole text, for the adapter.
    pub fn reveal(&self) -> String {
        match self {
            Self::Sqlite(file) => file.to_string(),
            Self::Postgres(server) => server.reveal().to_owned(),
        }
    }
}

impl QueueUrl {
    /// What may be set.
    pub const KNOWN: &str = "sqlite:FILE, postgres://…, amqp[s]://…, sqs://QUEUE";

    /// The whole text, for the adapter.
    pub fn reveal(&self) -> String {
        match self {
            Self::Sqlite(file) => file.to_string(),
            Self::Postgres(server) | Self::RabbitMq(server) => server.reveal().to_owned(),
            Self::Sqs(queue) => queue.to_string(),
        }
    }
}

impl SignalUrl {
    /// What may be set.
    pub const KNOWN: &str = "memory:, poll:, redis[s]://HOST[:PORT][/DATABASE]";

    /// The whole text, for the adapter.
    pub fn reveal(&self) -> String {
        match self {
            Self::Memory | Self::Poll => self.to_string(),
            Self::Redis(server) => server.reveal().to_owned(),
        }
    }
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

impl fmt::Display for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(file) => file.fmt(f),
            Self::Postgres(server) => server.fmt(f),
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

impl fmt::Display for SignalUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Memory => f.write_str("memory:"),
            Self::Poll => f.write_str("poll:"),
            Self::Redis(server) => server.fmt(f),
        }
    }
}

/// A database in one file: `sqlite:FILE`, `sqlite://FILE`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SqliteFile(PathBuf);

impl SqliteFile {
    /// The database at `path`.
    pub fn at(path: PathBuf) -> Self {
        Self(path)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }

    fn parse(path: &str) -> Result<Self, UrlError> {
        match path.strip_prefix("//").unwrap_or(path) {
            "" => Err(UrlError::Malformed { scheme: "sqlite", why: "it names no file" }),
            path => Ok(Self(path.into())),
        }
    }
}

impl fmt::Display for SqliteFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A path that itself begins with two slashes would lose them when it is read.
        let slashes =
            if self.0.as_os_str().as_encoded_bytes().starts_with(b"//") { "//" } else { "" };
        write!(f, "sqlite:{slashes}{}", self.0.display())
    }
}

fn split<'a>(text: &'a str, known: &'static str) -> Result<(&'a str, &'a str), UrlError> {
    let scheme = |text: &str| {
        !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
    };
    match text.split_once(':') {
        Some((first, rest)) if scheme(first) => Ok((first, rest)),
        _ => Err(UrlError::NoScheme { known }),
    }
}

fn unknown(scheme: &str, known: &'static str) -> UrlError {
    UrlError::UnknownScheme { scheme: scheme.to_owned(), known }
}

fn surplus(scheme: &'static str) -> UrlError {
    UrlError::Malformed { scheme, why: "nothing may follow the colon" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scheme_picks_the_adapter_and_an_unknown_one_is_named() {
        let store: StoreUrl = "sqlite:///var/lobar.db".parse().expect("a file");
        assert_eq!(store, StoreUrl::Sqlite(SqliteFile::at("/var/lobar.db".into())));
        assert!(matches!("postgresql://db/x".parse(), Ok(StoreUrl::Postgres(_))));
        assert!(matches!("amqps://mq/x".parse(), Ok(QueueUrl::RabbitMq(_))));
        assert!(matches!("sqs://q".parse(), Ok(QueueUrl::Sqs(_))));
        assert_eq!("poll:".parse(), Ok(SignalUrl::Poll));
        let error = "mysql://me:pass@db/x".parse::<StoreUrl>().expect_err("refused").to_string();
        assert!(error.contains("mysql:") && error.contains("postgres://"), "{error}");
        assert!(!error.contains("pass"), "{error}");
    }

    #[test]
    fn each_port_refuses_the_urls_of_the_others() {
        for text in ["", "lobar.db", "amqp://mq/x", "sqs://q", "redis://h", "memory:", "sqlite:"] {
            assert!(text.parse::<StoreUrl>().is_err(), "{text:?} was read");
        }
        for text in ["", "queue", "redis://h", "memory:", "sqs://", "sqlite://", "pa ss:x"] {
            assert!(text.parse::<QueueUrl>().is_err(), "{text:?} was read");
        }
        for text in ["", "memory", "memory:x", "poll:x", "sqlite:x", "postgres://h/x"] {
            assert!(text.parse::<SignalUrl>().is_err(), "{text:?} was read");
        }
    }

    #[test]
    fn a_url_is_shown_as_it_reads_again() {
        for text in ["sqlite:data/lobar.db", "sqlite:////odd", "postgres://me@db:5432/lobar"] {
            let url: StoreUrl = text.parse().expect("a URL");
            assert_eq!(url.to_string().parse(), Ok(url), "{text}");
        }
        for text in ["amqp://broker/%2f", "sqs://q?endpoint=http://127.0.0.1:1&region=eu-west-1"] {
            let url: QueueUrl = text.parse().expect("a URL");
            assert_eq!((url.to_string(), url.reveal()), (text.into(), text.into()));
        }
    }
}
