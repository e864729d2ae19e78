//! One-time links: invitations, resets, and the first admin's.

use lobar_core::access::{Grants, Right};
use lobar_core::accounts::{Account, AccountError, AccountId, NewAccount, NewLink, is_name};
use lobar_core::failure::PortError;

use super::SignIn;
use super::error::{AddError, RedeemError};
use crate::password::accept;
use crate::secret::{Kind, Secret};

/// What the first admin is called.
const FIRST_ADMIN: &str = "admin";

impl SignIn {
    /// Adds a person, with a link by which they set their password.
    ///
    /// # Errors
    /// When the name cannot be one or is taken, or the store cannot be asked.
    pub async fn invite(&self, name: &str, grants: Grants) -> Result<(Account, Secret), AddError> {
        if !is_name(name) {
            return Err(AddError::Name);
        }
        let new = NewAccount { name: name.to_owned(), grants, external: None };
        let account = self.accounts.add(&new).await?;
        let secret = self.reset(account.id).await?;
        Ok((account, secret))
    }

    /// A link by which somebody sets another password. Those before it are void; the present password and its
    /// sessions are good until it is redeemed.
    ///
    /// # Errors
    /// When there is no such account, it is disabled, or the store cannot be asked.
    pub async fn reset(&self, account: AccountId) -> Result<Secret, AccountError> {
        let secret = Secret::random(Kind::Link);
        let expires_at = self.now().plus(self.settings.link);
        self.accounts.add_link(&NewLink { account, secret: secret.hash(), expires_at }).await?;
        Ok(secret)
    }

    /// Whose password this link sets, as long as it is good.
    ///
    /// # Errors
    /// When the store cannot be asked.
    pub async fn linked(&self, text: &str) -> Result<Option<Account>, PortError> {
        match Secret::parse(Kind::Link, text) {
            Some(secret) => self.accounts.linked(&secret.hash()).await,
            None => Ok(None),
        }
    }

    /// Sets the password that a link is for. Sessions of the account end, and so does its pause. It signs nobody in:
    /// an account with codes is asked for one then.
    ///
    /// # Errors
    /// See [`RedeemError`].
    pub async fn redeem(&self, text: &str, password: &str) -> Result<Account, RedeemError> {
        let secret = Secret::parse(Kind::Link, text).ok_or(RedeemError::Gone)?.hash();
        // A link that is none costs no hash.
        let account = self.accounts.linked(&secret).await?.ok_or(RedeemError::Gone)?;
        accept(password, &account.name)?;
        let hash = self.passwords.hash(password).await?;
        let account = self.accounts.redeem(&secret, &hash).await?.ok_or(RedeemError::Gone)?;
        self.accounts.note_sign_in(account.id, true).await?;
        Ok(account)
    }

    /// While nobody who can manage people can sign in yet: the account `admin` with a link. Where nobody has an account, it is
    /// added, with every role at every site; where it has no password yet, its link is replaced. `None` once anybody can
    /// sign in and manage people, and where there is no such account. Links of others stay good.
    ///
    /// # Errors
    /// When the store cannot be asked.
    pub async fn first_admin(&self) -> Result<Option<(Account, Secret)>, AccountError> {
        if self.accounts.any().await? {
            return self.waiting_admin().await;
        }
        match self.invite(FIRST_ADMIN, Grants::everything()).await {
            Ok(invited) => Ok(Some(invited)),
            // Another process was first, and shows its link.
            Err(AddError::Name | AddError::Account(AccountError::NameTaken)) => Ok(None),
            Err(AddError::Account(error)) => Err(error),
        }
    }

    async fn waiting_admin(&self) -> Result<Option<(Account, Secret)>, AccountError> {
        let accounts = self.accounts.accounts().await?;
        let (mut manage, mut waiting) = (false, None);
        let able = |one: &&Account| !one.disabled && one.grants.allow(Right::ManagePeople);
        for one in accounts.iter().filter(able) {
            if one.password.is_some() || one.external.is_some() {
                manage = true;
            } else if one.name == FIRST_ADMIN {
                waiting = Some(one);
            }
        }
        let Some(admin) = waiting.filter(|_| !manage) else { return Ok(None) };
        let secret = self.reset(admin.id).await?;
        Ok(Some((admin.clone(), secret)))
    }
}
