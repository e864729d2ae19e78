//! Tokens of machines, and secrets as they are kept.

use std::fmt;

use uuid::Uuid;

use crate::access::Grants;
use crate::time::Stamp;

/// SHA-256 of a secret of 256 random bits: nobody can guess what it is of, so it needs no salt and no slowness.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct SecretHash(pub [u8; 32]);

impl fmt::Debug for SecretHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretHash")
    }
}

/// The key of HMAC-SHA256 over names that nobody has: 256 random bits, other ones in every store.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct StrangerKey(pub [u8; 32]);

impl fmt::Debug for StrangerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StrangerKey")
    }
}

/// Names a token; it is no secret, and opens nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TokenId(pub Uuid);

/// A machine's token to add.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewToken {
    /// What it is for; unique among tokens.
    pub name: String,
    /// What it allows.
    pub grants: Grants,
    /// What the machine sends.
    pub secret: SecretHash,
    /// Until when.
    pub expires_at: Option<Stamp>,
}

/// A machine's token, without its secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// Its id.
    pub id: TokenId,
    /// What it is for.
    pub name: String,
    /// What it allows; nothing where it cannot be read.
    pub grants: Grants,
    /// When it was added.
    pub added_at: Stamp,
    /// Until when.
    pub expires_at: Option<Stamp>,
    /// When it was revoked.
    pub revoked_at: Option<Stamp>,
    /// When it was last used, to the minute.
    pub used_at: Option<Stamp>,
}
