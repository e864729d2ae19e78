//! One-time codes beside the password.

use lobar_core::accounts::{AccountId, TotpSecret};

use super::SignIn;
use super::error::{SignInError, wrong};
use crate::totp;

impl SignIn {
    /// Has an account asked for codes from now on, for who knows its password and has shown a code made from this
    /// secret, which comes from [`totp::random`].
    ///
    /// # Errors
    /// See [`SignInError`]. A wrong password counts as a failure to sign in.
    pub async fn enrol_codes(
        &self,
        account: AccountId,
        password: &str,
        secret: &TotpSecret,
        code: &str,
    ) -> Result<(), SignInError> {
        let (account, _turn) = self.confirm(account, password).await?;
        let step = totp::step_of(secret, code, self.now()).ok_or(SignInError::Wrong)?;
        // The code is used up with that: whoever looked over a shoulder cannot sign in with it.
        let (codes, proven) = (Some((secret, step)), account.password.as_ref());
        self.accounts.set_totp(account.id, codes, proven).await.map_err(wrong)
    }

    /// Has an account asked for no codes any more, for who knows its password.
    ///
    /// # Errors
    /// See [`SignInError`]. A wrong password counts as a failure to sign in.
    pub async fn remove_codes(
        &self,
        account: AccountId,
        password: &str,
    ) -> Result<(), SignInError> {
        let (account, _turn) = self.confirm(account, password).await?;
        self.accounts.set_totp(account.id, None, account.password.as_ref()).await.map_err(wrong)
    }
}
