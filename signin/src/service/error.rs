//! Why somebody was refused. None of these tells more than its reader may know.

use std::time::Duration;

use lobar_core::accounts::{AccountError, AccountId};
use lobar_core::failure::PortError;

use crate::password::{Busy, Weakness};

/// Why nobody was signed in.
#[derive(Debug, thiserror::Error)]
pub enum SignInError {
    /// No such name, another password or code, a disabled account, or one without a password: which, is not told.
    #[error("the name, the password or the code is wrong")]
    Wrong,
    /// The password is right, and the account is asked for a code.
    #[error("the account needs a code as well")]
    CodeNeeded,
    /// Too many failures of this name: try again after so long.
    #[error("too many failures: try again in {} s", .0.as_secs() + 1)]
    Later(Duration),
    /// Too many passwords are being checked.
    #[error(transparent)]
    Busy(#[from] Busy),
    /// The store could not be asked.
    #[error(transparent)]
    Port(#[from] PortError),
}

/// Why a password was not changed.
#[derive(Debug, thiserror::Error)]
pub enum ChangeError {
    /// The new one is not taken.
    #[error(transparent)]
    Weak(#[from] Weakness),
    /// The present one is wrong, or may not be tried now.
    #[error(transparent)]
    Refused(#[from] SignInError),
}

/// Why a link was not redeemed.
#[derive(Debug, thiserror::Error)]
pub enum RedeemError {
    /// It was used, replaced or has expired, its account is disabled, or it never was one.
    #[error("the link is not good any more: ask an admin for another one")]
    Gone,
    /// The password is not taken. The link stays good.
    #[error(transparent)]
    Weak(#[from] Weakness),
    /// Too many passwords are being checked.
    #[error(transparent)]
    Busy(#[from] Busy),
    /// The store could not be asked.
    #[error(transparent)]
    Port(#[from] PortError),
}

/// Why a person or a token was not added.
#[derive(Debug, thiserror::Error)]
pub enum AddError {
    /// It cannot be a name.
    #[error(
        "a name has 1 to 64 characters, no control characters, and no space at its beginning or end"
    )]
    Name,
    /// The store refused.
    #[error(transparent)]
    Account(#[from] AccountError),
}

/// Why somebody whom another issuer names was not admitted.
#[derive(Debug, thiserror::Error)]
pub enum ExternalError {
    /// None of their groups is granted anything. What this account had was taken away.
    #[error("none of their groups is granted anything")]
    NothingGranted(Option<AccountId>),
    /// The issuer does not say what they are called, or what cannot be a name.
    #[error("the provider gives no name of 1 to 64 characters")]
    NoName,
    /// Somebody else is called so here: they are not taken for each other.
    #[error("another account has their name")]
    NameTaken,
    /// The account is disabled.
    #[error("the account is disabled")]
    Disabled,
    /// Nobody could manage people any more.
    #[error(
        "it is the last account that can manage people, and their groups do not say so any more"
    )]
    LastAdmin,
    /// The store could not be asked.
    #[error(transparent)]
    Port(PortError),
}

/// What an account's refusal is to the one who signs in.
pub(super) fn wrong(error: AccountError) -> SignInError {
    match error {
        AccountError::Port(error) => SignInError::Port(error),
        AccountError::Unknown
        | AccountError::Disabled
        | AccountError::Replaced
        | AccountError::External
        | AccountError::NameTaken
        | AccountError::LastAdmin => SignInError::Wrong,
    }
}
