//! Signing in whom another issuer names. Its people have accounts here that bear its name for them (issuer and subject, never
//! a name or an address, which may come to belong to somebody else), and no password.

use std::time::Duration;

use lobar_core::access::{Grant, Grants, SiteName, Sites};
use lobar_core::accounts::{
    Account, AccountError, AccountId, External, ExternalEnd, NewAccount, SecretHash, is_name,
};
use lobar_core::failure::PortError;
use lobar_core::time::Stamp;
use sha2::{Digest as _, Sha256};

use super::SignIn;
use super::error::ExternalError;
use super::session::Opened;

/// Somebody whom another issuer names.
#[derive(Clone, PartialEq, Eq)]
pub struct Guest {
    /// Who they are there.
    pub external: External,
    /// What they are called. It names a new account; one that is there keeps its name.
    pub name: Option<String>,
    /// What they may do from now on; nothing for whom nothing is granted.
    pub grants: Grants,
    /// The issuer's session.
    pub sid: Option<String>,
}

/// What became of a guest's account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Became {
    /// It was as it had to be.
    Same,
    /// It was added.
    Added,
    /// It was granted other things than before.
    Granted,
}

impl SignIn {
    /// The account of a guest, added or granted what it must have: less, when they have less than before. Whom nothing is
    /// granted has no session any more either. What is granted at sites that are not on the list is left out.
    ///
    /// # Errors
    /// See [`ExternalError`].
    pub async fn admit(&self, guest: &Guest) -> Result<(Account, Became), ExternalError> {
        let guest = &Guest { grants: self.at_known_sites(&guest.grants).await?, ..guest.clone() };
        let known = match self.accounts.external(&guest.external).await? {
            Some(account) => account,
            None if guest.grants.is_empty() => return Err(ExternalError::NothingGranted(None)),
            None => match self.add_guest(guest).await {
                Ok(account) => return Ok((account, Became::Added)),
                // They may be signing in twice at once.
                Err(ExternalError::NameTaken) => {
                    let found = self.accounts.external(&guest.external).await?;
                    found.ok_or(ExternalError::NameTaken)?
                }
                Err(error) => return Err(error),
            },
        };
        if known.disabled {
            return Err(ExternalError::Disabled);
        }
        if known.grants == guest.grants {
            if guest.grants.is_empty() {
                self.accounts.end_sessions(known.id, None).await?;
                return Err(ExternalError::NothingGranted(None));
            }
            return Ok((known, Became::Same));
        }
        let account = match self.accounts.grant(known.id, &guest.grants).await {
            Err(AccountError::LastAdmin) => return Err(ExternalError::LastAdmin),
            granted => granted?,
        };
        if account.grants.is_empty() {
            // They allow nothing any more; what was changed is told in either case.
            if let Err(error) = self.accounts.end_sessions(account.id, None).await {
                tracing::warn!(%error, "sessions of an account that is granted nothing were not ended");
            }
            return Err(ExternalError::NothingGranted(Some(account.id)));
        }
        Ok((account, Became::Granted))
    }

    /// Opens a session for whom another issuer signed in, for `longest` at most. `sid` is the issuer's session.
    ///
    /// # Errors
    /// [`ExternalError::Disabled`] when the account is gone or disabled; or the store cannot be asked.
    pub async fn open(
        &self,
        account: Account,
        sid: Option<String>,
        longest: Duration,
        client: &str,
    ) -> Result<Opened, ExternalError> {
        let longest = longest.min(self.settings.longest);
        Ok(self.open_for(account, None, sid, longest, client).await?)
    }

    /// Uses what another issuer made to be used once; whether it was not used before. It is remembered until `until`.
    ///
    /// # Errors
    /// When the store cannot be asked.
    pub async fn use_once(&self, what: &str, until: Stamp) -> Result<bool, PortError> {
        self.accounts.use_once(&once(what), until).await
    }

    /// Ends the sessions that another issuer says are over, and uses its word with that; whose they were. `None` when it
    /// was used before. Where it fails, neither is done, and the issuer may say it again.
    ///
    /// # Errors
    /// When the store cannot be asked.
    pub async fn end_external(
        &self,
        end: &ExternalEnd,
        word: &str,
        until: Stamp,
    ) -> Result<Option<Vec<AccountId>>, PortError> {
        self.accounts.end_external(end, &once(word), until).await
    }

    async fn add_guest(&self, guest: &Guest) -> Result<Account, ExternalError> {
        let name = guest.name.as_deref().map(str::trim).filter(|name| is_name(name));
        let name = name.ok_or(ExternalError::NoName)?.to_owned();
        let new = NewAccount {
            name,
            grants: guest.grants.clone(),
            external: Some(guest.external.clone()),
        };
        Ok(self.accounts.add(&new).await?)
    }

    /// A grant at a site that is not on the list gives nothing, or too much once another site is called so.
    async fn at_known_sites(&self, grants: &Grants) -> Result<Grants, PortError> {
        let known = self.accounts.sites().await?;
        let is_known = |name: &SiteName| {
            let is_known = known.iter().any(|site| site.name == *name);
            if !is_known {
                tracing::warn!(site = %name, "a group is granted something at what is no site: it is left out; add it with `lobar site add`");
            }
            is_known
        };
        let left = grants.iter().map(|Grant { role, sites }| match sites {
            Sites::All => Grant { role, sites },
            Sites::Only(names) => {
                Grant { role, sites: Sites::Only(names.into_iter().filter(is_known).collect()) }
            }
        });
        Ok(left.collect())
    }
}

fn once(what: &str) -> SecretHash {
    SecretHash(Sha256::digest(what).into())
}

impl From<AccountError> for ExternalError {
    fn from(error: AccountError) -> Self {
        match error {
            AccountError::NameTaken => Self::NameTaken,
            AccountError::LastAdmin => Self::LastAdmin,
            AccountError::Port(error) => Self::Port(error),
            AccountError::Disabled
            | AccountError::Unknown
            | AccountError::Replaced
            | AccountError::External => Self::Disabled,
        }
    }
}

impl From<PortError> for ExternalError {
    fn from(error: PortError) -> Self {
        Self::Port(error)
    }
}
