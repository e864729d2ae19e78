//! Passwords, and the links by which they are set.
//!
//! Who changes several rows locks the account's first, so that two never wait for each other in a ring.

use lobar_core::accounts::{
    Account, AccountError, AccountId, KeptSession, NewLink, PasswordHash, SecretHash, SessionId,
};
use uuid::Uuid;

use super::super::tx::Tx;
use super::super::{Db, DbError, Driver, Sql};
use super::Done;
use super::row::{AccountRow, account_columns, lock};

pub(super) async fn set<D: Driver>(
    db: &Db<D>,
    id: AccountId,
    proven: Option<&PasswordHash>,
    password: &PasswordHash,
    keep: Option<&KeptSession>,
) -> Done<()> {
    let mut tx = db.begin().await?;
    let refusal = match lock(&mut tx, id, db.unreadable()).await? {
        None => Some(AccountError::Unknown),
        Some(account) if account.password.as_ref() != proven => Some(AccountError::Replaced),
        Some(_) => None,
    };
    if let Some(refusal) = refusal {
        return tx.commit().await.map(|()| Err(refusal));
    }
    write(&mut tx, id, password).await?;
    shut_out(&mut tx, id, keep.map(|keep| keep.id)).await?;
    if let Some(keep) = keep {
        Sql::<D>::new("update session set secret = $1 where id = $2 and account = $3")
            .bind(&keep.secret.0[..])
            .bind(keep.id.0)
            .bind(id.0)
            .run(&mut tx)
            .await?;
    }
    tx.commit().await.map(Ok)
}

pub(super) async fn renew<D: Driver>(
    db: &Db<D>,
    id: AccountId,
    made_of: &PasswordHash,
    password: &PasswordHash,
) -> Result<bool, DbError> {
    let renewed = db.execute(|_| {
        Sql::<D>::new(
            "update account set password = $1 where id = $2 and password = $3 returning id",
        )
        .bind(password.0.as_str())
        .bind(id.0)
        .bind(made_of.0.as_str())
    });
    let renewed: Vec<(Uuid,)> = renewed.await?;
    Ok(!renewed.is_empty())
}

async fn write<D: Driver>(
    tx: &mut Tx<D>,
    id: AccountId,
    password: &PasswordHash,
) -> Result<(), DbError> {
    let set = Sql::<D>::new("update account set password = $1 where id = $2");
    set.bind(password.0.as_str()).bind(id.0).run(tx).await.map(drop)
}

/// Ends the sessions of an account but `keep`, and voids its link.
pub(super) async fn shut_out<D: Driver>(
    tx: &mut Tx<D>,
    id: AccountId,
    keep: Option<SessionId>,
) -> Result<(), DbError> {
    let sessions = Sql::<D>::new("delete from session where account = $1 and id <> $2");
    sessions.bind(id.0).bind(kept(keep)).run(tx).await?;
    let link = Sql::<D>::new("delete from link where account = $1");
    link.bind(id.0).run(tx).await.map(drop)
}

/// The id of the session to keep, or one that no session has.
pub(super) fn kept(keep: Option<SessionId>) -> Uuid {
    keep.map_or(Uuid::nil(), |keep| keep.0)
}

pub(super) async fn add_link<D: Driver>(db: &Db<D>, link: &NewLink) -> Done<()> {
    let mut tx = db.begin().await?;
    let refusal = match lock(&mut tx, link.account, db.unreadable()).await? {
        None => Some(AccountError::Unknown),
        Some(account) if account.disabled => Some(AccountError::Disabled),
        Some(account) if account.external.is_some() => Some(AccountError::External),
        Some(_) => None,
    };
    if let Some(refusal) = refusal {
        return tx.commit().await.map(|()| Err(refusal));
    }
    Sql::<D>::new(
        "insert into link (account, secret, expires_at) values ($1, $2, $3)
         on conflict (account) do update set secret = excluded.secret, expires_at = excluded.expires_at",
    )
    .bind(link.account.0)
    .bind(&link.secret.0[..])
    .bind(link.expires_at.0)
    .run(&mut tx)
    .await?;
    tx.commit().await.map(Ok)
}

pub(super) async fn linked<D: Driver>(
    db: &Db<D>,
    secret: &SecretHash,
) -> Result<Option<Account>, DbError> {
    let one = Sql::<D>::new(concat!(
        "select ",
        account_columns!(),
        " from link join account on account.id = link.account
         where link.secret = $1 and link.expires_at > $2 and account.disabled = 0"
    ));
    let one = one.bind(&secret.0[..]).bind(db.now().0);
    let rows: Vec<AccountRow> = db.fetch_all(one).await?;
    Ok(rows.into_iter().next().map(|row| row.account(db.unreadable())))
}

pub(super) async fn redeem<D: Driver>(
    db: &Db<D>,
    secret: &SecretHash,
    password: &PasswordHash,
) -> Result<Option<Account>, DbError> {
    let mut tx = db.begin().await?;
    let account = redeem_in(db, &mut tx, secret, password).await?;
    tx.commit().await?;
    Ok(account)
}

async fn redeem_in<D: Driver>(
    db: &Db<D>,
    tx: &mut Tx<D>,
    secret: &SecretHash,
    password: &PasswordHash,
) -> Result<Option<Account>, DbError> {
    let whose = Sql::<D>::new("select account from link where secret = $1");
    let whose: Option<(Uuid,)> = whose.bind(&secret.0[..]).optional(tx).await?;
    let Some((whose,)) = whose else { return Ok(None) };
    let locked = lock(tx, AccountId(whose), db.unreadable()).await?;
    let Some(account) = locked.filter(|account| !account.disabled) else { return Ok(None) };
    // Whoever held the account before may have used the link up.
    let used = Sql::<D>::new("delete from link where secret = $1 and expires_at > $2");
    if used.bind(&secret.0[..]).bind(db.now().0).run(tx).await? == 0 {
        return Ok(None);
    }
    write(tx, account.id, password).await?;
    shut_out(tx, account.id, None).await?;
    Ok(Some(Account { password: Some(password.clone()), ..account }))
}
