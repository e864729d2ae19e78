//! Port of accounts: people, their sessions and one-time links, machines' tokens, and sites.
//!
//! Secrets are never kept: passwords as argon2id hashes, all others as SHA-256 of 256 random bits. Coarse verbs, each
//! one transaction. What it promises, each sentence a test of the contract suite:
//!
//! - A name belongs to one account, whatever its case.
//! - What is no name belongs to nobody.
//! - An account that is added has no password and no session.
//! - Grants are kept as they were given.
//! - Accounts are listed by name, all of them or a page at a time.
//! - What is not there is unknown.
//! - Taking the last account that can sign in and manage people away is refused, also by two at once.
//! - Disabling an account ends its sessions and voids its links.
//! - Changing what an account may do holds for its open sessions at once.
//! - A new password ends every session but the one that it was set from, which gets another secret, and voids the links.
//! - A password is set, and codes are, only while the password that was proven is the present one.
//! - A hash that is made anew takes the place of the one that it was made of, and ends nothing.
//! - A link is redeemed once, by one of many at once.
//! - Redeeming a link sets the password and ends the sessions.
//! - A link that has expired or was replaced is not redeemed.
//! - A link is no use for an account that is disabled.
//! - Failures to sign in are counted until one succeeds, or a day passes without another.
//! - Failures of names that nobody has are counted alike, whichever process notes them.
//! - A code is used once, and none from before it afterwards.
//! - A session is not opened with a password that was replaced meanwhile.
//! - A session is found by its secret, with its account as it is now.
//! - A session is not found after its end, its expiry, or that of its idle time.
//! - The use of a session is noted, never back in time.
//! - A session is ended by its own account only.
//! - All sessions of an account end at once, but for one if it says so.
//! - Sessions that are over are pruned.
//! - A token is found by its secret, and by its id, until it expires or is revoked.
//! - The use of a token is noted to the minute.
//! - The use of a token that was found by its id is noted too.
//! - Tokens are listed without their secrets, those that are over too.
//! - A site is added once, and listed by name.
//! - A site that is removed is not listed any more.
//! - An account of another issuer is found by its subject there.
//! - An account of another issuer gets no link.
//! - Another issuer ends the sessions that it names, of its own people alone.
//! - What may be used once is used once, by one of many at once.
//! - The first key of names that nobody has is kept, and is everybody's from then on.
//! - Grants that cannot be read allow nothing and hide no other account.
//! - Everything survives closing and opening.

mod account;
mod error;
mod s3_key;
mod session;
mod token;

use std::time::Duration;

use async_trait::async_trait;

pub use account::{
    Account, AccountId, External, ExternalEnd, NewAccount, NewLink, PasswordHash, TotpSecret,
    is_name,
};
pub use error::AccountError;
pub use s3_key::{KeyOwner, S3KeyPair, S3Keys};
pub use session::{KeptSession, NewSession, Session, SessionId};
pub use token::{NewToken, SecretHash, StrangerKey, Token, TokenId};

use crate::access::{Grants, SiteName};
use crate::failure::PortError;
use crate::time::Stamp;

/// A site that was registered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Site {
    /// Its name, as in keys of objects: `incoming/{site}/…`.
    pub name: SiteName,
    /// When it was added.
    pub added_at: Stamp,
}

/// Buckets of names that nobody has.
pub const STRANGERS: u32 = 1 << 20;

/// Failures to sign in are forgotten after so long without another.
pub const FORGOTTEN: Duration = Duration::from_secs(24 * 60 * 60);

/// See the module's documentation.
#[async_trait]
pub trait Accounts: Send + Sync {
    /// Adds a person. [`AccountError::NameTaken`] also when their subject at another issuer has an account already.
    async fn add(&self, account: &NewAccount) -> Result<Account, AccountError>;

    /// Everybody, by name.
    async fn accounts(&self) -> Result<Vec<Account>, PortError>;

    /// Up to `limit` people by name; with `after`, those whose names come after this one.
    async fn people(&self, after: Option<&str>, limit: usize) -> Result<Vec<Account>, PortError>;

    /// Whether anybody has an account, disabled or not.
    async fn any(&self) -> Result<bool, PortError>;

    /// One account.
    async fn account(&self, id: AccountId) -> Result<Option<Account>, PortError>;

    /// The account of this name, whatever its case.
    async fn named(&self, name: &str) -> Result<Option<Account>, PortError>;

    /// The account of a subject at another issuer (OpenID Connect Core 1.0, 5.7).
    async fn external(&self, external: &External) -> Result<Option<Account>, PortError>;

    /// Replaces what an account may do.
    async fn grant(&self, id: AccountId, grants: &Grants) -> Result<Account, AccountError>;

    /// Disables an account, or enables it again.
    async fn disable(&self, id: AccountId, disabled: bool) -> Result<Account, AccountError>;

    /// Sets a password in the place of `proven`; `None` where there is none yet. Every session ends but the one of `keep`,
    /// and links are void. [`AccountError::Replaced`] when the present password is another one.
    async fn set_password(
        &self,
        id: AccountId,
        proven: Option<&PasswordHash>,
        password: &PasswordHash,
        keep: Option<&KeptSession>,
    ) -> Result<(), AccountError>;

    /// Puts another hash of the same password in the place of `made_of`; whether that was still the present one.
    async fn renew_password(
        &self,
        id: AccountId,
        made_of: &PasswordHash,
        password: &PasswordHash,
    ) -> Result<bool, PortError>;

    /// Sets the secret of one-time codes (RFC 6238) with the time step of the code that has proven it, which is used with
    /// that; or takes it away. With `proven`, only while that is the present password: [`AccountError::Replaced`].
    async fn set_totp(
        &self,
        id: AccountId,
        secret: Option<(&TotpSecret, i64)>,
        proven: Option<&PasswordHash>,
    ) -> Result<(), AccountError>;

    /// Counts a failure to sign in, or forgets them after a success.
    async fn note_sign_in(&self, id: AccountId, succeeded: bool) -> Result<(), PortError>;

    /// What names that nobody has are hashed with: the one that the store keeps, which is `fresh` where it keeps none yet.
    async fn stranger_key(&self, fresh: &StrangerKey) -> Result<StrangerKey, PortError>;

    /// Failures to sign in with names of a bucket, which nobody has: how many, and when the last was. Buckets are numbers
    /// below [`STRANGERS`].
    async fn stranger(&self, bucket: u32) -> Result<Option<(u32, Stamp)>, PortError>;

    /// Counts a failure to sign in with a name of a bucket.
    async fn note_stranger(&self, bucket: u32) -> Result<(), PortError>;

    /// Uses the code of a time step; whether neither it nor a later one was used before.
    async fn use_code(&self, id: AccountId, step: i64) -> Result<bool, PortError>;

    /// Adds a one-time link in the place of the account's others.
    async fn add_link(&self, link: &NewLink) -> Result<(), AccountError>;

    /// The account that a link is for, as long as it can be redeemed.
    async fn linked(&self, secret: &SecretHash) -> Result<Option<Account>, PortError>;

    /// Redeems a link: it is void, the password set, the sessions ended. `None` when it cannot be redeemed.
    async fn redeem(
        &self,
        secret: &SecretHash,
        password: &PasswordHash,
    ) -> Result<Option<Account>, PortError>;

    /// Opens a session.
    async fn open_session(&self, session: &NewSession) -> Result<Session, AccountError>;

    /// The session of a secret, with its account, unless it is over, was not used for `idle`, or its account is disabled.
    async fn session(
        &self,
        secret: &SecretHash,
        idle: Duration,
    ) -> Result<Option<(Session, Account)>, PortError>;

    /// Notes that a session was used now. A write to the database, so once a minute is often enough.
    async fn touch_session(&self, id: SessionId) -> Result<(), PortError>;

    /// The sessions of an account that are not over, newest use first.
    async fn sessions(&self, account: AccountId, idle: Duration)
    -> Result<Vec<Session>, PortError>;

    /// Ends a session of this account; whether there was one.
    async fn end_session(&self, account: AccountId, id: SessionId) -> Result<bool, PortError>;

    /// Ends all sessions of an account but `keep`; how many.
    async fn end_sessions(
        &self,
        account: AccountId,
        keep: Option<SessionId>,
    ) -> Result<usize, PortError>;

    /// Ends the sessions that another issuer says are over, and uses `once` with that, or does neither; whose they were,
    /// each once. `None` when it was used before. It is remembered until `until`.
    async fn end_external(
        &self,
        end: &ExternalEnd,
        once: &SecretHash,
        until: Stamp,
    ) -> Result<Option<Vec<AccountId>>, PortError>;

    /// Uses what may be used once; whether it was not used before. It is remembered until `until`.
    async fn use_once(&self, what: &SecretHash, until: Stamp) -> Result<bool, PortError>;

    /// Deletes sessions, links and what was used once that are over, and failures of names that nobody has; how many.
    async fn prune_sessions(&self, idle: Duration) -> Result<usize, PortError>;

    /// Adds a machine's token.
    async fn add_token(&self, token: &NewToken) -> Result<Token, AccountError>;

    /// All tokens, by name.
    async fn tokens(&self) -> Result<Vec<Token>, PortError>;

    /// The token of a secret, unless it has expired or was revoked. Its use is noted, to the minute.
    async fn token(&self, secret: &SecretHash) -> Result<Option<Token>, PortError>;

    /// The token of an id, unless it has expired or was revoked. It counts as no use.
    async fn token_by_id(&self, id: TokenId) -> Result<Option<Token>, PortError>;

    /// Notes that a token found by its id was used, to the minute.
    async fn note_token_use(&self, token: &Token) -> Result<(), PortError>;

    /// Revokes a token; whether it was one that could be used.
    async fn revoke_token(&self, id: TokenId) -> Result<bool, PortError>;

    /// Adds a site; whether it is new.
    async fn add_site(&self, name: &SiteName) -> Result<bool, PortError>;

    /// All sites, by name.
    async fn sites(&self) -> Result<Vec<Site>, PortError>;

    /// Takes a site from the list; whether it was there. Its images stay, and grants to it too.
    async fn remove_site(&self, name: &SiteName) -> Result<bool, PortError>;
}
