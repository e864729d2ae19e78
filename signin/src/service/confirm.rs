//! Proof that it is the account's own person who asks for a change of it: a session that was left open is not enough.

use lobar_core::accounts::{Account, AccountId};

use super::SignIn;
use super::error::SignInError;
use crate::lockout;
use crate::password::Turn;

impl SignIn {
    /// The account, for who knows its password. The turn goes on, so that what follows is done before the next try.
    pub(super) async fn confirm(
        &self,
        account: AccountId,
        password: &str,
    ) -> Result<(Account, Turn), SignInError> {
        let turn = self.passwords.turn().await?;
        let found = self.accounts.account(account).await?;
        let account = found.filter(|account| !account.disabled).ok_or(SignInError::Wrong)?;
        lockout::may_try(&account, self.now()).map_err(SignInError::Later)?;
        let (turn, right) = turn.verify(password, account.password.as_ref()).await;
        self.accounts.note_sign_in(account.id, right).await?;
        if right { Ok((account, turn)) } else { Err(SignInError::Wrong) }
    }
}
