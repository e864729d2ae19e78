//! People: who there is, and what they may do.

use std::collections::HashSet;

use lobar_core::access::{Grants, Right};
use lobar_core::accounts::{Account, AccountError, AccountId, External, NewAccount, is_name};
use lobar_core::failure::PortError;
use uuid::Uuid;

use super::super::{Db, DbError, Driver, Sql};
use super::row::{AccountRow, accounts, grants_text, name_key};
use super::{Done, password};

pub(super) async fn add<D: Driver>(db: &Db<D>, new: &NewAccount) -> Done<Account> {
    if !is_name(&new.name) {
        let why = "a name has 1 to 64 characters, no control characters and no space at either end";
        return Ok(Err(PortError::permanent("accounts: add", why).into()));
    }
    let id = Uuid::now_v7();
    let external = new.external.clone();
    let (issuer, subject) = external.map(|one| (one.issuer, one.subject)).unzip();
    let added = db.execute(|now| {
        Sql::<D>::new(
            "insert into account (id, name, name_key, grants, issuer, subject, added_at)
             values ($1, $2, $3, $4, $5, $6, $7) on conflict do nothing
             returning id, name, grants, password, totp, issuer, subject, disabled, added_at, failures, failed_at",
        )
        .bind(id)
        .bind(new.name.as_str())
        .bind(name_key(&new.name).as_str())
        .bind(grants_text(&new.grants).as_str())
        .bind(issuer)
        .bind(subject)
        .bind(now.0)
    });
    let added: Vec<AccountRow> = added.await?;
    Ok(match added.into_iter().next() {
        Some(row) => Ok(row.account(db.unreadable())),
        None => Err(AccountError::NameTaken),
    })
}

pub(super) async fn all<D: Driver>(db: &Db<D>) -> Result<Vec<Account>, DbError> {
    let rows: Vec<AccountRow> = db.fetch_all(accounts()).await?;
    let mut all: Vec<Account> = rows.into_iter().map(|row| row.account(db.unreadable())).collect();
    // Here, since databases differ in the order of texts.
    all.sort_by_cached_key(|account| name_key(&account.name));
    Ok(all)
}

pub(super) async fn page<D: Driver>(
    db: &Db<D>,
    after: Option<&str>,
    limit: usize,
) -> Result<Vec<Account>, DbError> {
    let mut page = accounts::<D>();
    // No name has one, and PostgreSQL takes no text with it.
    let after = after.map(|after| name_key(after).replace('\0', ""));
    if let Some(after) = &after {
        page.push(" where name_key").push(D::BY_BYTES).push(" > ").arg(after.as_str());
    }
    page.push(" order by name_key").push(D::BY_BYTES).push(" limit ");
    page.arg(i64::try_from(limit).unwrap_or(i64::MAX));
    let rows: Vec<AccountRow> = db.fetch_all(page).await?;
    Ok(rows.into_iter().map(|row| row.account(db.unreadable())).collect())
}

pub(super) async fn any<D: Driver>(db: &Db<D>) -> Result<bool, DbError> {
    let one: Vec<(Uuid,)> = db.fetch_all(Sql::new("select id from account limit 1")).await?;
    Ok(!one.is_empty())
}

pub(super) async fn account<D: Driver>(
    db: &Db<D>,
    id: AccountId,
) -> Result<Option<Account>, DbError> {
    let mut one = accounts();
    one.push(" where id = ").arg(id.0);
    found(db, one).await
}

pub(super) async fn named<D: Driver>(db: &Db<D>, name: &str) -> Result<Option<Account>, DbError> {
    // Nobody is called so, and a database may not even take the question.
    if !is_name(name) {
        return Ok(None);
    }
    let mut one = accounts();
    one.push(" where name_key = ").arg(name_key(name).as_str());
    found(db, one).await
}

pub(super) async fn external<D: Driver>(
    db: &Db<D>,
    external: &External,
) -> Result<Option<Account>, DbError> {
    // No text that PostgreSQL could be asked for.
    if external.issuer.contains('\0') || external.subject.contains('\0') {
        return Ok(None);
    }
    let mut one = accounts();
    one.push(" where issuer = ").arg(external.issuer.as_str());
    one.push(" and subject = ").arg(external.subject.as_str());
    found(db, one).await
}

async fn found<D: Driver>(db: &Db<D>, one: Sql<D>) -> Result<Option<Account>, DbError> {
    let rows: Vec<AccountRow> = db.fetch_all(one).await?;
    Ok(rows.into_iter().next().map(|row| row.account(db.unreadable())))
}

/// What of an account is to be changed.
#[derive(Clone, Copy)]
pub(super) enum Change<'a> {
    Grants(&'a Grants),
    Disabled(bool),
}

/// Changes an account, unless nobody could manage people afterwards.
pub(super) async fn change<D: Driver>(
    db: &Db<D>,
    id: AccountId,
    change: Change<'_>,
) -> Done<Account> {
    let mut tx = db.begin().await?;
    // All of them, so that two changes come one after the other and the second sees what the first has left.
    let mut all = accounts::<D>();
    all.push(D::LOCK_ROWS);
    let rows: Vec<AccountRow> = all.all(&mut tx).await?;
    let (mine, others): (Vec<Account>, Vec<Account>) = rows
        .into_iter()
        .map(|row| row.account(db.unreadable()))
        .partition(|account| account.id == id);
    let Some(before) = mine.into_iter().next() else {
        return tx.commit().await.map(|()| Err(AccountError::Unknown));
    };
    let linked = Sql::<D>::new("select account from link where expires_at > $1");
    let linked: HashSet<Uuid> =
        linked.bind(db.now().0).all(&mut tx).await?.into_iter().map(|(id,)| id).collect();
    let mut after = before.clone();
    // One column alone: what cannot be read of the other stays as it is.
    let set = match change {
        Change::Grants(grants) => {
            after.grants = grants.clone();
            let set = Sql::<D>::new("update account set grants = $1 where id = $2");
            set.bind(grants_text(grants).as_str())
        }
        Change::Disabled(disabled) => {
            after.disabled = disabled;
            let set = Sql::<D>::new("update account set disabled = $1 where id = $2");
            set.bind(i64::from(disabled))
        }
    };
    // Who was invited and let the link run out would be an admin who cannot come in.
    let can_come_in = |account: &&Account| {
        account.password.is_some() || account.external.is_some() || linked.contains(&account.id.0)
    };
    let takes_away = manages_people(&before) && !manages_people(&after);
    if takes_away && !others.iter().filter(can_come_in).any(manages_people) {
        return tx.commit().await.map(|()| Err(AccountError::LastAdmin));
    }
    set.bind(id.0).run(&mut tx).await?;
    if after.disabled {
        password::shut_out(&mut tx, id, None).await?;
    }
    tx.commit().await.map(|()| Ok(after))
}

fn manages_people(account: &Account) -> bool {
    !account.disabled && account.grants.allow(Right::ManagePeople)
}
