//! Which adapter is behind each port, as one URL: its scheme picks the adapter.
//!
//! A URL is read once, here. What it shows (`Display`, `Debug`) never holds a password and reads again as a
//! URL of the same kind; the whole text is for the adapter alone ([`ServerUrl::reveal`]).

mod queue;
mod server;
mod signal;
mod sqlite;
mod sqs;
mod store;

pub use queue::QueueUrl;
pub use server::ServerUrl;
pub use signal::SignalUrl;
pub use sqlite::SqliteFile;
pub use sqs::SqsUrl;
pub use store::StoreUrl;

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
    /// An adapter has it, which is not part of this build.
    #[error("this lobar was built without {scheme}:; build it with --features {feature}")]
    NotBuiltIn {
        /// What the text begins with.
        scheme: String,
        /// The feature to build with.
        feature: &'static str,
    },
    /// The rest does not say what the adapter needs.
    #[error("{scheme}: {why}")]
    Malformed {
        /// What the text begins with.
        scheme: &'static str,
        /// What is missing or wrong.
        why: String,
    },
}

impl UrlError {
    fn malformed(scheme: &'static str, why: impl Into<String>) -> Self {
        Self::Malformed { scheme, why: why.into() }
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

/// Refuses what this build has no adapter for.
fn built_in(scheme: &str, feature: &'static str, built_in: bool) -> Result<(), UrlError> {
    match built_in {
        true => Ok(()),
        false => Err(UrlError::NotBuiltIn { scheme: scheme.to_owned(), feature }),
    }
}

fn unknown(scheme: &str, known: &'static str) -> UrlError {
    UrlError::UnknownScheme { scheme: scheme.to_owned(), known }
}

#[cfg(all(
    test,
    feature = "postgres",
    feature = "rabbitmq",
    feature = "redis",
    feature = "sqlite",
    feature = "sqs"
))]
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
            assert_eq!(url.to_string(), text);
        }
    }
}
