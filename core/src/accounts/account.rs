//! People.

use std::fmt;

use uuid::Uuid;

use super::SecretHash;
use crate::access::Grants;
use crate::time::Stamp;

/// Names an account; opaque, and fit for logs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AccountId(pub Uuid);

impl fmt::Display for AccountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A password as argon2id in the PHC string form: `$argon2id$v=19$m=…`. Never in logs.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash(pub String);

/// The secret that one-time codes are made of (RFC 6238): 20 random bytes. Never in logs.
#[derive(Clone, PartialEq, Eq)]
pub struct TotpSecret(pub Vec<u8>);

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHash")
    }
}

impl fmt::Debug for TotpSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TotpSecret")
    }
}

/// Who somebody is at another issuer (OpenID Connect Core 1.0, 5.7: issuer and subject together).
#[derive(Clone, PartialEq, Eq)]
pub struct External {
    /// The issuer's URL.
    pub issuer: String,
    /// The subject there.
    pub subject: String,
}

impl fmt::Debug for External {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("External")
    }
}

/// Whose sessions another issuer says are over (OpenID Connect Back-Channel Logout 1.0, 2.4: one of the two at least).
#[derive(Clone, PartialEq, Eq)]
pub struct ExternalEnd {
    /// The issuer's URL.
    pub issuer: String,
    /// The subject there.
    pub subject: Option<String>,
    /// The session there. With a subject, sessions of theirs of which no such name is known end too.
    pub sid: Option<String>,
}

impl fmt::Debug for ExternalEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ExternalEnd")
    }
}

/// A person to add.
#[derive(Clone, PartialEq, Eq)]
pub struct NewAccount {
    /// The name to sign in with: 1 to 64 characters, no control characters, no space at either end.
    pub name: String,
    /// What they may do.
    pub grants: Grants,
    /// Who they are at another issuer, which then signs them in.
    pub external: Option<External>,
}

/// A person. `Debug` leaves the name out.
#[derive(Clone, PartialEq, Eq)]
pub struct Account {
    /// Its id.
    pub id: AccountId,
    /// The name to sign in with.
    pub name: String,
    /// What they may do; nothing where it cannot be read.
    pub grants: Grants,
    /// `None` until they have set one, and for those whom another issuer signs in.
    pub password: Option<PasswordHash>,
    /// Asked for a code at sign-in when there is one.
    pub totp: Option<TotpSecret>,
    /// Who they are at another issuer.
    pub external: Option<External>,
    /// Whether they are kept out.
    pub disabled: bool,
    /// When they were added.
    pub added_at: Stamp,
    /// Failures to sign in since the last success.
    pub failures: u32,
    /// The last of them.
    pub failed_at: Option<Stamp>,
}

impl fmt::Debug for NewAccount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewAccount").field("grants", &self.grants).finish_non_exhaustive()
    }
}

impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Account");
        debug.field("id", &self.id).field("grants", &self.grants).field("disabled", &self.disabled);
        debug.finish_non_exhaustive()
    }
}

/// Longest name of a person or a machine, in characters.
const NAME_MAX: usize = 64;

/// Whether a text can name a person or a machine: 1 to 64 characters, no control characters, no space at either end.
pub fn is_name(text: &str) -> bool {
    !text.is_empty()
        && text.trim() == text
        && text.chars().count() <= NAME_MAX
        && !text.chars().any(char::is_control)
}

/// A one-time link to add: an invitation, a reset, or the first admin's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewLink {
    /// Whose password it sets.
    pub account: AccountId,
    /// What is asked for.
    pub secret: SecretHash,
    /// Until when.
    pub expires_at: Stamp,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_short_and_printable() {
        for good in ["a", "Dr. Müller", "jane.doe@hospital.example"] {
            assert!(is_name(good), "{good}");
        }
        for bad in ["", " a", "a ", "a\nb", "a\u{0}", &"ä".repeat(65)] {
            assert!(!is_name(bad), "{bad:?}");
        }
    }
}
