//! URLs of servers, which may hold a password.

use std::fmt;

use url::Url;

use super::{UrlError, built_in};

/// What stands in the place of a password. Reads again as one.
const HIDDEN: &str = "(secret)";

/// A server's URL. Shown without its password, whether that stands before the host or in a parameter.
#[derive(Clone, PartialEq, Eq)]
pub struct ServerUrl {
    whole: String,
    shown: String,
}

impl ServerUrl {
    /// The whole text, with the password.
    pub fn reveal(&self) -> &str {
        &self.whole
    }

    fn new(text: &str, url: Url) -> Self {
        Self { whole: text.to_owned(), shown: shown(text, url) }
    }
}

impl fmt::Display for ServerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

impl fmt::Debug for ServerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

/// `postgres://[USER[:PASSWORD]@]HOST[:PORT]/DATABASE`; a socket's folder may be named with `?host=`.
pub(super) fn postgres(text: &str) -> Result<ServerUrl, UrlError> {
    built_in(scheme(text), "postgres", cfg!(feature = "postgres"))?;
    let why = "the form is postgres://USER:PASSWORD@HOST:PORT/DATABASE, odd signs percent-encoded";
    let refused = || UrlError::malformed("postgres", why);
    let url = read(text).ok_or_else(refused)?;
    let socket = url.query_pairs().any(|(key, value)| key == "host" && !value.is_empty());
    if !socket && !has_host(&url) {
        return Err(refused());
    }
    #[cfg(feature = "postgres")]
    lobar_sql::postgres::check_url(text).map_err(|why| UrlError::malformed("postgres", why))?;
    Ok(ServerUrl::new(text, url))
}

/// `amqp://[USER:PASSWORD@]HOST[:PORT]/VHOST[?…]`, `amqps://…`.
pub(super) fn amqp(text: &str) -> Result<ServerUrl, UrlError> {
    built_in(scheme(text), "rabbitmq", cfg!(feature = "rabbitmq"))?;
    let why = "the form is amqp[s]://USER:PASSWORD@HOST:PORT/VHOST, odd signs percent-encoded";
    let refused = || UrlError::malformed("amqp", why);
    let url = read(text).filter(has_host).ok_or_else(refused)?;
    #[cfg(feature = "rabbitmq")]
    lobar_rabbitmq::check_url(text).map_err(|why| UrlError::malformed("amqp", why))?;
    Ok(ServerUrl::new(text, url))
}

/// `redis://[[USER]:PASSWORD@]HOST[:PORT][/DATABASE]`, `rediss://…` with TLS.
pub(super) fn redis(text: &str) -> Result<ServerUrl, UrlError> {
    built_in(scheme(text), "redis", cfg!(feature = "redis"))?;
    let why = "the form is redis[s]://:PASSWORD@HOST:PORT/DATABASE, the database a number, odd signs \
               percent-encoded";
    let is_database = |url: &Url| {
        let path = url.path().trim_matches('/');
        path.is_empty() || path.parse::<u32>().is_ok()
    };
    match read(text) {
        Some(url) if has_host(&url) && is_database(&url) => Ok(ServerUrl::new(text, url)),
        _ => Err(UrlError::malformed("redis", why)),
    }
}

/// What stands before the first colon.
fn scheme(text: &str) -> &str {
    text.split_once(':').map_or("", |(scheme, _)| scheme)
}

/// With `//` after the scheme; without, what looks like a host would be a path.
fn read(text: &str) -> Option<Url> {
    let (_, rest) = text.split_once(':')?;
    rest.starts_with("//").then(|| Url::parse(text).ok())?
}

fn has_host(url: &Url) -> bool {
    url.host_str().is_some_and(|host| !host.is_empty())
}

fn shown(text: &str, mut url: Url) -> String {
    let secret = |key: &str| key.to_ascii_lowercase().contains("password");
    let in_query = url.query_pairs().any(|(key, _)| secret(&key));
    if url.password().is_none() && !in_query {
        return text.to_owned();
    }
    if url.password().is_some() {
        // It has a host, or it could not have had a password.
        let _ = url.set_password(Some(HIDDEN));
    }
    if in_query {
        let pairs: Vec<(String, String)> = url.query_pairs().into_owned().collect();
        let mut query = url.query_pairs_mut();
        query.clear();
        for (key, value) in pairs {
            query.append_pair(&key, if secret(&key) { HIDDEN } else { &value });
        }
    }
    url.into()
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
    fn a_password_is_not_shown_wherever_it_stands() {
        for (whole, shown) in [
            ("postgres://me:pass@db:5432/lobar", "postgres://me:(secret)@db:5432/lobar"),
            ("postgres://me@db/lobar", "postgres://me@db/lobar"),
            ("postgres://db/lobar?password=pass", "postgres://db/lobar?password=%28secret%29"),
        ] {
            let url = postgres(whole).expect("a URL");
            assert_eq!((url.to_string().as_str(), url.reveal()), (shown, whole));
            assert!(!format!("{url:?}").contains("pass@") && postgres(shown).is_ok());
        }
        let url = redis("redis://:p%40ss@host/3").expect("a URL");
        assert_eq!(url.to_string(), "redis://:(secret)@host/3");
        let url = amqp("amqp://me:pass@broker:5672/%2f?prefix=x").expect("a URL");
        assert_eq!(url.to_string(), "amqp://me:(secret)@broker:5672/%2f?prefix=x");
        assert_eq!(amqp("amqp://broker/%2f").expect("a URL").to_string(), "amqp://broker/%2f");
    }

    #[test]
    fn what_names_no_server_is_refused_without_being_repeated() {
        for text in ["postgres:", "postgres://", "postgres:///lobar", "postgres:db/lobar"] {
            assert!(postgres(text).is_err(), "{text}");
        }
        assert!(postgres("postgres:///lobar?host=/var/run/postgresql").is_ok());
        for text in ["redis://", "redis://host/first", "redis://:a/b@host"] {
            assert!(redis(text).is_err(), "{text}");
        }
        let error = amqp("amqp://me:pa/ss@broker:x/").expect_err("refused").to_string();
        assert!(!error.contains("pa/ss"), "{error}");
    }
}
