//! Changing one's own password.

use lobar_core::accounts::{AccountId, KeptSession, SessionId};

use super::SignIn;
use super::error::{ChangeError, wrong};
use crate::password::accept;
use crate::secret::{Kind, Secret};

impl SignIn {
    /// Replaces a password by another one, for who knows the present one. Every session of the account ends but `keep`,
    /// which goes on with the secret that is answered: whoever has read the one before is out.
    ///
    /// # Errors
    /// See [`ChangeError`]. A wrong present password counts as a failure to sign in, and so does one that was replaced
    /// meanwhile.
    pub async fn change_password(
        &self,
        account: AccountId,
        current: &str,
        new: &str,
        keep: Option<SessionId>,
    ) -> Result<Secret, ChangeError> {
        let (account, turn) = self.confirm(account, current).await?;
        accept(new, &account.name)?;
        let hash = turn.hash(new).await;
        let secret = Secret::random(Kind::Session);
        let keep = keep.map(|id| KeptSession { id, secret: secret.hash() });
        let proven = account.password.as_ref();
        let set = self.accounts.set_password(account.id, proven, &hash, keep.as_ref());
        set.await.map_err(wrong)?;
        Ok(secret)
    }
}
