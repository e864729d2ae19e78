//! Sessions of people.

use uuid::Uuid;

use super::{AccountId, PasswordHash, SecretHash};
use crate::time::Stamp;

/// Names a session; it is no secret, and opens nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(pub Uuid);

/// A session to open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewSession {
    /// Whose.
    pub account: AccountId,
    /// What a browser keeps in its cookie.
    pub secret: SecretHash,
    /// The password that was proven, where one was: a session is not opened with one that was replaced meanwhile.
    pub proven: Option<PasswordHash>,
    /// The session at the other issuer that signs its person in, where that names one (OpenID Connect: `sid`).
    pub sid: Option<String>,
    /// When it ends however much it is used.
    pub expires_at: Stamp,
    /// What it was opened with, in a word or two for its own person: `Firefox on Linux`.
    pub client: String,
}

/// The session that a new password is set from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptSession {
    /// Which.
    pub id: SessionId,
    /// What its browser keeps from now on: whoever has read the one before is out.
    pub secret: SecretHash,
}

/// A session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// Its id.
    pub id: SessionId,
    /// Whose.
    pub account: AccountId,
    /// When it was opened.
    pub opened_at: Stamp,
    /// When a person last used it.
    pub used_at: Stamp,
    /// When it ends however much it is used.
    pub expires_at: Stamp,
    /// What it was opened with.
    pub client: String,
}
