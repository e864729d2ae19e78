//! Settings as they are shown to people.

use serde::Serializer;

/// Serialises a URL without its password.
pub fn without_password<S: Serializer>(url: &str, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&redacted(url))
}

/// `scheme://user:(secret)@host/…`; what has no password stays as it is. Up to the last `@`, since a
/// password may hold signs that it should not.
fn redacted(url: &str) -> String {
    let parts = url.split_once("://").and_then(|(scheme, rest)| {
        let (login, host) = rest.rsplit_once('@')?;
        let (user, _) = login.split_once(':')?;
        Some((scheme, user, host))
    });
    match parts {
        Some((scheme, user, host)) => format!("{scheme}://{user}:(secret)@{host}"),
        None => url.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_not_shown_whatever_it_holds() {
        for (url, shown) in [
            ("postgres://me:pass@db:5432/lobar", "postgres://me:(secret)@db:5432/lobar"),
            ("redis://:a/b?c@d@host", "redis://:(secret)@host"),
            ("amqp://broker/%2f", "amqp://broker/%2f"),
            ("postgres://me@db/lobar", "postgres://me@db/lobar"),
            ("sqs://q?endpoint=http://127.0.0.1:1", "sqs://q?endpoint=http://127.0.0.1:1"),
            ("sqlite:/data/lobar.db", "sqlite:/data/lobar.db"),
        ] {
            assert_eq!(redacted(url), shown);
        }
    }
}
