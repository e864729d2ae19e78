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
        self.confirm(account, password).await?;
        let step = totp::step_of(secret, code, self.now()).ok_or(SignInError::Wrong)?;
        self.accounts.set_totp(account, Some(secret)).await.map_err(wrong)?;
        // Whoever looked over a shoulder cannot sign in with the same code.
        self.accounts.use_code(account, step).await?;
        Ok(())
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
        self.confirm(account, password).await?;
        self.accounts.set_totp(account, None).await.map_err(wrong)
    }

    /// Whether it is the account's own person who asks: a session that was left open is not enough.
    async fn confirm(&self, account: AccountId, password: &str) -> Result<(), SignInError> {
        let turn = self.passwords.turn().await?;
        let found = self.accounts.account(account).await?;
        let account = found.filter(|account| !account.disabled).ok_or(SignInError::Wrong)?;
        self.may_try(&account.name, Some(&account))?;
        let (_turn, right) = turn.verify(password, account.password.as_ref()).await;
        self.accounts.note_sign_in(account.id, right).await?;
        if right { Ok(()) } else { Err(SignInError::Wrong) }
    }
}
