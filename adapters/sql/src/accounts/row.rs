//! People, sessions, tokens and sites as the database keeps them.

use std::str::FromStr;

use lobar_core::access::{Grant, Grants, SiteName};
use lobar_core::accounts::{
    Account, AccountId, External, PasswordHash, Session, SessionId, Site, Token, TokenId,
    TotpSecret,
};
use lobar_core::reading::Reading;
use lobar_core::time::Stamp;
use uuid::Uuid;

use super::super::column::Column;
use super::super::tx::Tx;
use super::super::unreadable::Unreadable;
use super::super::{DbError, Driver, Sql};

/// The columns of an [`AccountRow`].
macro_rules! account_columns {
    () => {
        "account.id, account.name, account.grants, account.password, account.totp, account.issuer,
           account.subject, account.disabled, account.added_at, account.failures, account.failed_at"
    };
}
pub(super) use account_columns;

/// A row of `account`.
#[derive(sqlx::FromRow)]
pub struct AccountRow {
    id: Uuid,
    name: String,
    grants: Column<String>,
    password: Option<String>,
    totp: Option<Vec<u8>>,
    issuer: Option<String>,
    subject: Option<String>,
    disabled: i64,
    added_at: i64,
    failures: i64,
    failed_at: Option<i64>,
}

/// A row of `session`, without its secret.
#[derive(sqlx::FromRow)]
pub struct SessionRow {
    session_id: Uuid,
    account: Uuid,
    opened_at: i64,
    used_at: i64,
    expires_at: i64,
    client: String,
}

/// A session with its account.
#[derive(sqlx::FromRow)]
pub struct SignedInRow {
    #[sqlx(flatten)]
    session: SessionRow,
    #[sqlx(flatten)]
    account: AccountRow,
}

/// A row of `token`, without its secret.
#[derive(sqlx::FromRow)]
pub struct TokenRow {
    id: Uuid,
    name: String,
    grants: Column<String>,
    added_at: i64,
    expires_at: Option<i64>,
    revoked_at: Option<i64>,
    used_at: Option<i64>,
}

/// A row of `site`.
#[derive(sqlx::FromRow)]
pub struct SiteRow {
    name: Column<String>,
    added_at: i64,
}

/// By what a name is found, whatever its case.
pub(super) fn name_key(name: &str) -> String {
    name.to_lowercase()
}

/// Grants as they are stored.
pub(super) fn grants_text(grants: &Grants) -> String {
    grants.iter().map(|grant| grant.to_string()).collect::<Vec<_>>().join(" ")
}

/// Grants that are stored; nothing where one of them cannot be read.
fn grants(stored: Column<String>, what: &'static str, id: Uuid, unreadable: &Unreadable) -> Grants {
    let parse =
        |text: String| text.split_whitespace().map(Grant::from_str).collect::<Result<_, _>>();
    let read = stored.reading(|text| parse(text).ok());
    if read == Reading::Unreadable {
        unreadable.tell(what, id);
    }
    read.read().unwrap_or_default()
}

impl AccountRow {
    pub(super) fn account(self, unreadable: &Unreadable) -> Account {
        let external = self.issuer.zip(self.subject);
        Account {
            id: AccountId(self.id),
            name: self.name,
            grants: grants(self.grants, "account.grants", self.id, unreadable),
            password: self.password.map(PasswordHash),
            totp: self.totp.map(TotpSecret),
            external: external.map(|(issuer, subject)| External { issuer, subject }),
            disabled: self.disabled != 0,
            added_at: Stamp(self.added_at),
            failures: u32::try_from(self.failures).unwrap_or(u32::MAX),
            failed_at: self.failed_at.map(Stamp),
        }
    }
}

impl SessionRow {
    pub(super) fn session(self) -> Session {
        Session {
            id: SessionId(self.session_id),
            account: AccountId(self.account),
            opened_at: Stamp(self.opened_at),
            used_at: Stamp(self.used_at),
            expires_at: Stamp(self.expires_at),
            client: self.client,
        }
    }
}

impl SignedInRow {
    pub(super) fn signed_in(self, unreadable: &Unreadable) -> (Session, Account) {
        (self.session.session(), self.account.account(unreadable))
    }
}

impl TokenRow {
    pub(super) fn token(self, unreadable: &Unreadable) -> Token {
        Token {
            id: TokenId(self.id),
            name: self.name,
            grants: grants(self.grants, "token.grants", self.id, unreadable),
            added_at: Stamp(self.added_at),
            expires_at: self.expires_at.map(Stamp),
            revoked_at: self.revoked_at.map(Stamp),
            used_at: self.used_at.map(Stamp),
        }
    }
}

impl SiteRow {
    /// The site, unless its name is none. What is stored may be anything, so it is told of by its time.
    pub(super) fn site(self, unreadable: &Unreadable) -> Option<Site> {
        let name = self.name.reading(|name| SiteName::parse(&name)).read();
        if name.is_none() {
            unreadable.tell("site.name", self.added_at);
        }
        Some(Site { name: name?, added_at: Stamp(self.added_at) })
    }
}

/// All accounts, or with a condition pushed some.
pub(super) fn accounts<D: Driver>() -> Sql<D> {
    Sql::new(concat!("select ", account_columns!(), " from account"))
}

/// An account that nobody else changes until the end of the transaction.
pub(super) async fn lock<D: Driver>(
    tx: &mut Tx<D>,
    id: AccountId,
    unreadable: &Unreadable,
) -> Result<Option<Account>, DbError> {
    let mut one = accounts::<D>();
    one.push(" where id = ").arg(id.0).push(D::LOCK_ROWS);
    let row: Option<AccountRow> = one.optional(tx).await?;
    Ok(row.map(|row| row.account(unreadable)))
}
