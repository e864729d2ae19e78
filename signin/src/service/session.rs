//! Opening sessions and finding them again.

use std::time::Duration;

use lobar_core::accounts::{Account, AccountError, NewSession, PasswordHash, Session};
use lobar_core::failure::PortError;
use tokio::time::Instant;

use super::SignIn;
use super::error::{SignInError, wrong};
use crate::password::needs_rehash;
use crate::secret::{Kind, Secret};
use crate::totp;

/// The use of a session is written down this seldom.
const TOUCH: Duration = Duration::from_secs(60);

/// Longest description of a client, in characters.
const CLIENT: usize = 64;

/// A session that was opened now.
#[derive(Clone, Debug)]
pub struct Opened {
    /// What the browser keeps. It is not shown again.
    pub secret: Secret,
    /// The session.
    pub session: Session,
    /// Whose it is.
    pub account: Account,
}

impl SignIn {
    /// Opens a session for who knows the password, and a code where the account is asked for one. `client` says what
    /// it is opened with, in a word or two.
    ///
    /// # Errors
    /// See [`SignInError`]. [`SignInError::Wrong`] and its time tell nothing of what was wrong.
    pub async fn sign_in(
        &self,
        name: &str,
        password: &str,
        code: Option<&str>,
        client: &str,
    ) -> Result<Opened, SignInError> {
        let told_from = Instant::now() + self.settings.refused_after;
        let proven = self.prove(name, password, code).await;
        if matches!(proven, Err(SignInError::Wrong)) {
            tokio::time::sleep_until(told_from).await;
        }
        let mut account = proven?;
        self.renew_hash(&mut account, password).await?;
        let proven = account.password.clone();
        let longest = self.settings.longest;
        self.open_for(account, proven, None, longest, client).await.map_err(wrong)
    }

    /// Opens a session for somebody whose identity is proven: by a password, or by another issuer whose session is `sid`.
    pub(super) async fn open_for(
        &self,
        account: Account,
        proven: Option<PasswordHash>,
        sid: Option<String>,
        longest: Duration,
        client: &str,
    ) -> Result<Opened, AccountError> {
        let secret = Secret::random(Kind::Session);
        let new = NewSession {
            account: account.id,
            secret: secret.hash(),
            proven,
            sid,
            expires_at: self.now().plus(longest),
            client: client.chars().filter(|c| !c.is_control()).take(CLIENT).collect(),
        };
        let session = self.accounts.open_session(&new).await?;
        Ok(Opened { secret, session, account })
    }

    /// The session that this text opens, with its account as it is now. Finding it is no use of it: see
    /// [`SignIn::used`].
    ///
    /// # Errors
    /// When the store cannot be asked.
    pub async fn session(&self, text: &str) -> Result<Option<(Session, Account)>, PortError> {
        match Secret::parse(Kind::Session, text) {
            Some(secret) => self.accounts.session(&secret.hash(), self.settings.idle).await,
            None => Ok(None),
        }
    }

    /// Notes that a person used their session now, to the minute. Streams and background polls are no use.
    ///
    /// # Errors
    /// When the store cannot be asked.
    pub async fn used(&self, session: &Session) -> Result<(), PortError> {
        // Short idle times are counted more finely.
        if self.now().since(session.used_at) < TOUCH.min(self.settings.idle / 4) {
            return Ok(());
        }
        self.accounts.touch_session(session.id).await
    }

    /// The account whose name and password these are.
    async fn prove(
        &self,
        name: &str,
        password: &str,
        code: Option<&str>,
    ) -> Result<Account, SignInError> {
        // Within a pause nothing is computed.
        self.may_try(name, self.named(name).await?.as_ref()).await?;
        let turn = self.passwords.turn().await?;
        // Looked at again: those who had their turn before may have failed at the same name. As long as this turn
        // lasts, no more tries than turns are under way that do not know of each other's failure.
        let found = self.named(name).await?;
        self.may_try(name, found.as_ref()).await?;
        let usable = found.as_ref().filter(|account| !account.disabled);
        let hash = usable.and_then(|account| account.password.as_ref());
        let (turn, mut proven) = turn.verify(password, hash).await;
        if let Some(account) = usable.filter(|_| proven)
            && let Some(secret) = &account.totp
        {
            let code = code.filter(|code| !code.trim().is_empty());
            let code = code.ok_or(SignInError::CodeNeeded)?;
            proven = match totp::step_of(secret, code, self.now()) {
                Some(step) => self.accounts.use_code(account.id, step).await?,
                None => false,
            };
        }
        match found {
            Some(account) if proven => {
                self.accounts.note_sign_in(account.id, true).await?;
                drop(turn);
                Ok(account)
            }
            found => {
                self.note_failure(name, found.as_ref()).await?;
                drop(turn);
                Err(SignInError::Wrong)
            }
        }
    }

    /// Hashes a password anew that was hashed with other parameters, unless it was replaced meanwhile.
    async fn renew_hash(&self, account: &mut Account, password: &str) -> Result<(), SignInError> {
        let Some(old) = account.password.as_ref().filter(|old| needs_rehash(old)) else {
            return Ok(());
        };
        // It can wait for another time; the person need not.
        let Ok(hash) = self.passwords.hash(password).await else { return Ok(()) };
        if self.accounts.renew_password(account.id, old, &hash).await? {
            account.password = Some(hash);
        } else if let Some(now) = self.accounts.account(account.id).await?
            // Made anew by another sign-in at the same time. A password that is another one opens no session.
            && self.passwords.turn().await?.verify(password, now.password.as_ref()).await.1
        {
            *account = now;
        }
        Ok(())
    }
}
