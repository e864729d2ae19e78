//! Accounts: people, their sessions and links, tokens of machines, and sites.

mod external;
mod password;
mod people;
mod row;
mod session;
mod sign_in;
mod site;
mod token;

use std::time::Duration;

use async_trait::async_trait;
use lobar_core::access::{Grants, SiteName};
use lobar_core::accounts::{
    Account, AccountError, AccountId, Accounts, External, ExternalEnd, KeptSession, NewAccount,
    NewLink, NewSession, NewToken, PasswordHash, SecretHash, Session, SessionId, Site, StrangerKey,
    Token, TokenId, TotpSecret,
};
use lobar_core::failure::PortError;
use lobar_core::time::Stamp;

pub(super) use row::{AccountRow, SessionRow, SignedInRow, SiteRow, TokenRow};

use super::{Db, DbError, Driver};
use people::Change;

/// What a change comes to: done, refused, or not known.
type Done<T> = Result<Result<T, AccountError>, DbError>;

/// The same as the port says it.
fn answer<T>(outcome: Done<T>, what: &'static str) -> Result<T, AccountError> {
    outcome.map_err(|fault| fault.during(what))?
}

#[async_trait]
impl<D: Driver> Accounts for Db<D> {
    async fn add(&self, account: &NewAccount) -> Result<Account, AccountError> {
        answer(people::add(self, account).await, "accounts: add")
    }

    async fn accounts(&self) -> Result<Vec<Account>, PortError> {
        people::all(self).await.map_err(|fault| fault.during("accounts: list"))
    }

    async fn people(&self, after: Option<&str>, limit: usize) -> Result<Vec<Account>, PortError> {
        let page = people::page(self, after, limit).await;
        page.map_err(|fault| fault.during("accounts: page"))
    }

    async fn any(&self) -> Result<bool, PortError> {
        people::any(self).await.map_err(|fault| fault.during("accounts: any"))
    }

    async fn account(&self, id: AccountId) -> Result<Option<Account>, PortError> {
        people::account(self, id).await.map_err(|fault| fault.during("accounts: account"))
    }

    async fn named(&self, name: &str) -> Result<Option<Account>, PortError> {
        people::named(self, name).await.map_err(|fault| fault.during("accounts: by name"))
    }

    async fn external(&self, external: &External) -> Result<Option<Account>, PortError> {
        let found = people::external(self, external).await;
        found.map_err(|fault| fault.during("accounts: by another issuer's subject"))
    }

    async fn grant(&self, id: AccountId, grants: &Grants) -> Result<Account, AccountError> {
        let change = || people::change(self, id, Change::Grants(grants));
        answer(self.retry_on_conflict(change).await, "accounts: grant")
    }

    async fn disable(&self, id: AccountId, disabled: bool) -> Result<Account, AccountError> {
        let change = || people::change(self, id, Change::Disabled(disabled));
        answer(self.retry_on_conflict(change).await, "accounts: disable")
    }

    async fn set_password(
        &self,
        id: AccountId,
        proven: Option<&PasswordHash>,
        password: &PasswordHash,
        keep: Option<&KeptSession>,
    ) -> Result<(), AccountError> {
        let set = || password::set(self, id, proven, password, keep);
        answer(self.retry_on_conflict(set).await, "accounts: set password")
    }

    async fn renew_password(
        &self,
        id: AccountId,
        made_of: &PasswordHash,
        password: &PasswordHash,
    ) -> Result<bool, PortError> {
        let renewed = password::renew(self, id, made_of, password).await;
        renewed.map_err(|fault| fault.during("accounts: renew password"))
    }

    async fn set_totp(
        &self,
        id: AccountId,
        secret: Option<(&TotpSecret, i64)>,
        proven: Option<&PasswordHash>,
    ) -> Result<(), AccountError> {
        let set = || sign_in::set_totp(self, id, secret, proven);
        answer(self.retry_on_conflict(set).await, "accounts: set one-time codes")
    }

    async fn note_sign_in(&self, id: AccountId, succeeded: bool) -> Result<(), PortError> {
        let noted = sign_in::note(self, id, succeeded).await;
        noted.map_err(|fault| fault.during("accounts: note sign-in"))
    }

    async fn stranger_key(&self, fresh: &StrangerKey) -> Result<StrangerKey, PortError> {
        let kept = sign_in::stranger_key(self, fresh).await;
        kept.map_err(|fault| fault.during("accounts: key of strangers"))
    }

    async fn stranger(&self, bucket: u32) -> Result<Option<(u32, Stamp)>, PortError> {
        let found = sign_in::stranger(self, bucket).await;
        found.map_err(|fault| fault.during("accounts: failures of strangers"))
    }

    async fn note_stranger(&self, bucket: u32) -> Result<(), PortError> {
        let noted = sign_in::note_stranger(self, bucket).await;
        noted.map_err(|fault| fault.during("accounts: note stranger"))
    }

    async fn use_code(&self, id: AccountId, step: i64) -> Result<bool, PortError> {
        let used = sign_in::use_code(self, id, step).await;
        used.map_err(|fault| fault.during("accounts: use code"))
    }

    async fn add_link(&self, link: &NewLink) -> Result<(), AccountError> {
        let add = || password::add_link(self, link);
        answer(self.retry_on_conflict(add).await, "accounts: add link")
    }

    async fn linked(&self, secret: &SecretHash) -> Result<Option<Account>, PortError> {
        password::linked(self, secret).await.map_err(|fault| fault.during("accounts: by link"))
    }

    async fn redeem(
        &self,
        secret: &SecretHash,
        password: &PasswordHash,
    ) -> Result<Option<Account>, PortError> {
        let redeemed = self.retry_on_conflict(|| password::redeem(self, secret, password)).await;
        redeemed.map_err(|fault| fault.during("accounts: redeem link"))
    }

    async fn open_session(&self, session: &NewSession) -> Result<Session, AccountError> {
        let open = || session::open(self, session);
        answer(self.retry_on_conflict(open).await, "accounts: open session")
    }

    async fn session(
        &self,
        secret: &SecretHash,
        idle: Duration,
    ) -> Result<Option<(Session, Account)>, PortError> {
        let found = session::find(self, secret, idle).await;
        found.map_err(|fault| fault.during("accounts: session"))
    }

    async fn touch_session(&self, id: SessionId) -> Result<(), PortError> {
        session::touch(self, id).await.map_err(|fault| fault.during("accounts: touch session"))
    }

    async fn sessions(
        &self,
        account: AccountId,
        idle: Duration,
    ) -> Result<Vec<Session>, PortError> {
        let open = session::of_account(self, account, idle).await;
        open.map_err(|fault| fault.during("accounts: sessions"))
    }

    async fn end_session(&self, account: AccountId, id: SessionId) -> Result<bool, PortError> {
        let ended = session::end(self, account, id).await;
        ended.map_err(|fault| fault.during("accounts: end session"))
    }

    async fn end_sessions(
        &self,
        account: AccountId,
        keep: Option<SessionId>,
    ) -> Result<usize, PortError> {
        let ended = self.retry_on_conflict(|| session::end_all(self, account, keep)).await;
        ended.map_err(|fault| fault.during("accounts: end sessions"))
    }

    async fn end_external(
        &self,
        end: &ExternalEnd,
        once: &SecretHash,
        until: Stamp,
    ) -> Result<Option<Vec<AccountId>>, PortError> {
        let ended = self.retry_on_conflict(|| external::end(self, end, once, until)).await;
        ended.map_err(|fault| fault.during("accounts: end another issuer's sessions"))
    }

    async fn use_once(&self, what: &SecretHash, until: Stamp) -> Result<bool, PortError> {
        let used = external::use_once(self, what, until).await;
        used.map_err(|fault| fault.during("accounts: use once"))
    }

    async fn prune_sessions(&self, idle: Duration) -> Result<usize, PortError> {
        let pruned = self.retry_on_conflict(|| session::prune(self, idle)).await;
        pruned.map_err(|fault| fault.during("accounts: prune sessions"))
    }

    async fn add_token(&self, token: &NewToken) -> Result<Token, AccountError> {
        answer(token::add(self, token).await, "accounts: add token")
    }

    async fn tokens(&self) -> Result<Vec<Token>, PortError> {
        token::all(self).await.map_err(|fault| fault.during("accounts: tokens"))
    }

    async fn token(&self, secret: &SecretHash) -> Result<Option<Token>, PortError> {
        token::find(self, secret).await.map_err(|fault| fault.during("accounts: token"))
    }

    async fn token_by_id(&self, id: TokenId) -> Result<Option<Token>, PortError> {
        token::by_id(self, id).await.map_err(|fault| fault.during("accounts: token by id"))
    }

    async fn note_token_use(&self, token: &Token) -> Result<(), PortError> {
        let noted = token::note_use(self, token).await.map(|_| ());
        noted.map_err(|fault| fault.during("accounts: note use of a token"))
    }

    async fn revoke_token(&self, id: TokenId) -> Result<bool, PortError> {
        token::revoke(self, id).await.map_err(|fault| fault.during("accounts: revoke token"))
    }

    async fn add_site(&self, name: &SiteName) -> Result<bool, PortError> {
        site::add(self, name).await.map_err(|fault| fault.during("accounts: add site"))
    }

    async fn sites(&self) -> Result<Vec<Site>, PortError> {
        site::all(self).await.map_err(|fault| fault.during("accounts: sites"))
    }

    async fn remove_site(&self, name: &SiteName) -> Result<bool, PortError> {
        site::remove(self, name).await.map_err(|fault| fault.during("accounts: remove site"))
    }
}
