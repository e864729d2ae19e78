//! Secrets that are made here and shown once: of sessions, links and tokens.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use lobar_core::accounts::SecretHash;
use rand::TryRngCore as _;
use rand::rngs::OsRng;
use sha2::{Digest, Sha256};

/// What a secret opens. The prefix lets scanners of code and logs recognise one that leaked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A person's session, in a browser's cookie.
    Session,
    /// A one-time link that sets a password.
    Link,
    /// A machine's token.
    Token,
}

impl Kind {
    /// What its text begins with.
    pub fn prefix(self) -> &'static str {
        match self {
            Self::Session => "lobar_s_",
            Self::Link => "lobar_l_",
            Self::Token => "lobar_t_",
        }
    }
}

/// 256 random bits. Neither `Debug` nor an error shows them; only [`Secret::expose`] does.
///
/// It is looked up by its SHA-256, so it is never compared with another one, and how long that took says nothing
/// of it: who guesses cannot choose the hash of a guess bit by bit.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret {
    kind: Kind,
    bits: [u8; 32],
}

impl Secret {
    /// A new one, from the operating system.
    ///
    /// # Panics
    /// When the operating system has no random bytes to give: nothing that is secret can be made then.
    pub fn random(kind: Kind) -> Self {
        let mut bits = [0; 32];
        OsRng.try_fill_bytes(&mut bits).expect("the operating system gives random bytes");
        Self { kind, bits }
    }

    /// Reads what [`Secret::expose`] wrote; `None` for anything else.
    pub fn parse(kind: Kind, text: &str) -> Option<Self> {
        let mut bits = [0; 32];
        let encoded = text.strip_prefix(kind.prefix())?;
        // Longer texts do not fit, shorter ones leave bytes over.
        let written = URL_SAFE_NO_PAD.decode_slice(encoded, &mut bits).ok()?;
        (written == bits.len()).then_some(Self { kind, bits })
    }

    /// The secret itself, for the one who is to hold it: prefix and URL-safe base64 without padding (RFC 4648,
    /// section 5), 51 characters.
    pub fn expose(&self) -> String {
        format!("{}{}", self.kind.prefix(), URL_SAFE_NO_PAD.encode(self.bits))
    }

    /// What the store keeps of it.
    pub fn hash(&self) -> SecretHash {
        SecretHash(Sha256::digest(self.bits).into())
    }

    /// What it opens.
    pub fn kind(&self) -> Kind {
        self.kind
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secret({:?})", self.kind)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_read_as_it_was_shown() {
        for kind in [Kind::Session, Kind::Link, Kind::Token] {
            let secret = Secret::random(kind);
            let text = secret.expose();
            assert!(text.starts_with(kind.prefix()) && text.len() == 51, "{}", text.len());
            let read = Secret::parse(kind, &text).expect("a secret");
            assert_eq!(read, secret);
            assert_eq!(read.hash(), secret.hash());
        }
    }

    #[test]
    fn a_secret_opens_only_what_it_is_for() {
        let link = Secret::random(Kind::Link).expose();
        assert_eq!(Secret::parse(Kind::Session, &link), None);
        assert_eq!(Secret::parse(Kind::Token, &link), None);
    }

    #[test]
    fn what_is_no_secret_is_none() {
        let good = Secret::random(Kind::Token).expose();
        let long = "A".repeat(1_000_000);
        let bad =
            ["", "lobar_t_", &good[..50], &format!("{good}A"), &format!("{good}="), &good[8..]];
        for bad in bad.into_iter().chain([long.as_str(), &format!("lobar_t_{long}"), "lobar_t_é"])
        {
            assert_eq!(Secret::parse(Kind::Token, bad), None);
        }
    }

    #[test]
    fn no_two_secrets_are_the_same_and_none_is_shown_by_debug() {
        let (one, other) = (Secret::random(Kind::Session), Secret::random(Kind::Session));
        assert_ne!(one, other);
        assert_ne!(one.hash(), other.hash());
        assert_eq!(format!("{one:?}"), "Secret(Session)");
    }
}
