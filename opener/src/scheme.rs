//! What a URL's scheme says: which adapter, and whether this build has it.

use crate::OpenError;

/// A technology that a URL may name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scheme {
    /// `sqlite:`
    Sqlite,
    /// `postgres:` or `postgresql:`
    Postgres,
    /// `amqp:` or `amqps:`
    RabbitMq,
    /// `sqs:`
    Sqs,
    /// `memory:`
    Memory,
    /// `poll:`
    Poll,
    /// `redis:` or `rediss:`
    Redis,
}

impl Scheme {
    /// The technology and what follows the colon; `None` where no adapter is known for it.
    pub(crate) fn split(url: &str) -> Option<(Self, &str)> {
        let (scheme, rest) = url.split_once(':')?;
        let scheme = match scheme {
            "sqlite" => Self::Sqlite,
            "postgres" | "postgresql" => Self::Postgres,
            "amqp" | "amqps" => Self::RabbitMq,
            "sqs" => Self::Sqs,
            "memory" => Self::Memory,
            "poll" => Self::Poll,
            "redis" | "rediss" => Self::Redis,
            _ => return None,
        };
        Some((scheme, rest))
    }

    /// The feature that a build needs for it, where this one was built without.
    fn missing_feature(self) -> Option<&'static str> {
        let (feature, built_in) = match self {
            Self::Sqlite => ("sqlite", cfg!(feature = "sqlite")),
            Self::Postgres => ("postgres", cfg!(feature = "postgres")),
            Self::RabbitMq => ("rabbitmq", cfg!(feature = "rabbitmq")),
            Self::Sqs => ("sqs", cfg!(feature = "sqs")),
            Self::Redis => ("redis", cfg!(feature = "redis")),
            Self::Memory | Self::Poll => return None,
        };
        (!built_in).then_some(feature)
    }
}

/// A URL's first word, which alone may be told: the rest may hold a password.
pub(crate) fn word(url: &str) -> &str {
    url.split_once(':').map_or("", |(scheme, _)| scheme)
}

/// Why no port of a kind is opened on `url`: `known` are the URLs of that kind, `kinds` their schemes.
pub(crate) fn refused(
    setting: &'static str,
    url: &str,
    known: &'static str,
    kinds: &[Scheme],
) -> OpenError {
    let scheme = word(url).to_owned();
    let named = Scheme::split(url).filter(|(named, _)| kinds.contains(named));
    match named.and_then(|(named, _)| named.missing_feature()) {
        Some(feature) => OpenError::NotBuiltIn { setting, scheme, feature },
        None => OpenError::UnknownScheme { setting, scheme, known },
    }
}
