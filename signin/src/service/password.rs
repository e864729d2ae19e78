//! Changing one's own password.

use lobar_core::accounts::{AccountId, SessionId};
use lobar_core::failure::PortError;

use super::SignIn;
use super::error::{ChangeError, SignInError, wrong};
use crate::password::accept;

impl SignIn {
    /// Replaces a password by another one, for who knows the present one: a session that was left open is not enough.
    /// Every session of the account ends but `keep`.
    ///
    /// # Errors
    /// See [`ChangeError`]. A wrong present password counts as a failure to sign in.
    pub async fn change_password(
        &self,
        account: AccountId,
        current: &str,
        new: &str,
        keep: Option<SessionId>,
    ) -> Result<(), ChangeError> {
        let turn = self.passwords.turn().await.map_err(SignInError::from)?;
        let found = self.accounts.account(account).await.map_err(port)?;
        let account = found.filter(|account| !account.disabled).ok_or(SignInError::Wrong)?;
        self.may_try(&account.name, Some(&account))?;
        let (turn, right) = turn.verify(current, account.password.as_ref()).await;
        if !right {
            self.accounts.note_sign_in(account.id, false).await.map_err(port)?;
            return Err(SignInError::Wrong.into());
        }
        accept(new, &account.name)?;
        let hash = turn.hash(new).await;
        self.accounts.set_password(account.id, &hash, keep).await.map_err(wrong)?;
        self.accounts.note_sign_in(account.id, true).await.map_err(port)?;
        Ok(())
    }
}

fn port(error: PortError) -> SignInError {
    SignInError::Port(error)
}
