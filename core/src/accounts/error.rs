//! Why something about an account was refused.

use crate::failure::PortError;

/// Why something about an account was refused.
#[derive(Debug, thiserror::Error)]
pub enum AccountError {
    /// Somebody or something else is called so, here or at the other issuer.
    #[error("the name is taken")]
    NameTaken,
    /// There is no such account.
    #[error("there is no such account")]
    Unknown,
    /// The password that was proven was replaced meanwhile.
    #[error("the password was replaced meanwhile")]
    Replaced,
    /// Another issuer signs the account in, so it has no password.
    #[error("another issuer signs this person in: the account has no password")]
    External,
    /// The account is disabled.
    #[error("the account is disabled")]
    Disabled,
    /// Nobody could manage people any more.
    #[error(
        "it is the last account that can sign in and manage people: grant `admin@*` to another one first, which has a password or a link that is good"
    )]
    LastAdmin,
    /// The store could not be asked.
    #[error(transparent)]
    Port(#[from] PortError),
}
