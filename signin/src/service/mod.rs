//! Signing in and staying so, over the port of accounts.

mod codes;
mod confirm;
mod error;
mod external;
mod grants;
mod link;
mod password;
mod session;
mod settings;
mod strangers;

use std::fmt;
use std::sync::Arc;

use lobar_core::access::Grants;
use lobar_core::accounts::{Account, Accounts, NewToken, StrangerKey, Token, is_name};
use lobar_core::failure::PortError;
use lobar_core::time::{Clock, Stamp};
use tokio::sync::OnceCell;

pub use error::{AddError, ChangeError, ExternalError, RedeemError, SignInError};
pub use external::{Became, Guest};
pub use grants::GrantError;
pub use session::Opened;
pub use settings::SignInSettings;

use crate::lockout;
use crate::password::Passwords;
use crate::secret::{Kind, Secret};

/// Signs people in, finds their sessions and machines' tokens, and makes links. Clones share everything.
#[derive(Clone)]
pub struct SignIn {
    accounts: Arc<dyn Accounts>,
    clock: Arc<dyn Clock>,
    settings: SignInSettings,
    passwords: Passwords,
    stranger_key: Arc<OnceCell<StrangerKey>>,
}

impl fmt::Debug for SignIn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignIn").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl SignIn {
    /// Over these accounts.
    pub fn new(
        accounts: Arc<dyn Accounts>,
        clock: Arc<dyn Clock>,
        settings: SignInSettings,
    ) -> Self {
        let passwords = Passwords::new(settings.hashes);
        Self { accounts, clock, settings, passwords, stranger_key: Arc::default() }
    }

    /// The port behind it, for what needs nothing of this crate.
    pub fn accounts(&self) -> &Arc<dyn Accounts> {
        &self.accounts
    }

    /// How long sessions and links last.
    pub fn settings(&self) -> &SignInSettings {
        &self.settings
    }

    /// The machine's token that this text is. Its use is noted.
    ///
    /// # Errors
    /// When the store cannot be asked.
    pub async fn token(&self, text: &str) -> Result<Option<Token>, PortError> {
        match Secret::parse(Kind::Token, text) {
            Some(secret) => self.accounts.token(&secret.hash()).await,
            None => Ok(None),
        }
    }

    /// Adds a machine's token, and shows its secret this once.
    ///
    /// # Errors
    /// When the name cannot be one or is taken, or the store cannot be asked.
    pub async fn add_token(
        &self,
        name: &str,
        grants: Grants,
        expires_at: Option<Stamp>,
    ) -> Result<(Token, Secret), AddError> {
        if !is_name(name) {
            return Err(AddError::Name);
        }
        let secret = Secret::random(Kind::Token);
        let new = NewToken { name: name.to_owned(), grants, secret: secret.hash(), expires_at };
        Ok((self.accounts.add_token(&new).await?, secret))
    }

    fn now(&self) -> Stamp {
        self.clock.now()
    }

    /// The account of a name that can be one; others are not asked for.
    async fn named(&self, name: &str) -> Result<Option<Account>, PortError> {
        if is_name(name) { self.accounts.named(name).await } else { Ok(None) }
    }

    /// The bucket of a name that nobody has.
    async fn bucket(&self, name: &str) -> Result<u32, PortError> {
        let kept = self.stranger_key.get_or_try_init(|| async {
            self.accounts.stranger_key(&StrangerKey(rand::random())).await
        });
        Ok(strangers::bucket(kept.await?, name))
    }

    /// Names without an account are paused like those with one, so that a pause does not tell which is which.
    async fn may_try(&self, name: &str, account: Option<&Account>) -> Result<(), SignInError> {
        // Asked for in either case: it takes as long.
        let stranger = self.accounts.stranger(self.bucket(name).await?).await?;
        let now = self.now();
        let may = match (account, stranger) {
            (Some(account), _) => lockout::may_try(account, now),
            (None, Some((failures, at))) => lockout::may_try_after(failures, Some(at), now),
            (None, None) => Ok(()),
        };
        may.map_err(SignInError::Later)
    }

    async fn note_failure(&self, name: &str, account: Option<&Account>) -> Result<(), PortError> {
        match account {
            Some(account) => self.accounts.note_sign_in(account.id, false).await,
            None => self.accounts.note_stranger(self.bucket(name).await?).await,
        }
    }
}
