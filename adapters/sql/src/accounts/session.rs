//! Sessions of people. One that is ended is deleted; one that has run out is not found, and pruned.

use std::time::Duration;

use lobar_core::accounts::{
    Account, AccountError, AccountId, FORGOTTEN, NewSession, SecretHash, Session, SessionId,
};
use lobar_core::time::Stamp;
use uuid::Uuid;

use super::super::{Db, DbError, Driver, Sql};
use super::Done;
use super::password::kept;
use super::row::{SessionRow, SignedInRow, account_columns, lock};

pub(super) async fn open<D: Driver>(db: &Db<D>, new: &NewSession) -> Done<Session> {
    let mut tx = db.begin().await?;
    // Locked: whoever disables it meanwhile ends this session too.
    let refusal = match lock(&mut tx, new.account, db.unreadable()).await? {
        None => Some(AccountError::Unknown),
        Some(account) if account.disabled => Some(AccountError::Disabled),
        Some(account) if new.proven.is_some() && new.proven != account.password => {
            Some(AccountError::Replaced)
        }
        Some(_) => None,
    };
    if let Some(refusal) = refusal {
        return tx.commit().await.map(|()| Err(refusal));
    }
    let now = db.now();
    let session = Session {
        id: SessionId(Uuid::now_v7()),
        account: new.account,
        opened_at: now,
        used_at: now,
        expires_at: new.expires_at,
        client: new.client.clone(),
    };
    Sql::<D>::new(
        "insert into session (id, account, secret, opened_at, used_at, expires_at, client, sid)
         values ($1, $2, $3, $4, $4, $5, $6, $7)",
    )
    .bind(session.id.0)
    .bind(session.account.0)
    .bind(&new.secret.0[..])
    .bind(now.0)
    .bind(session.expires_at.0)
    .bind(session.client.as_str())
    .bind(new.sid.clone())
    .run(&mut tx)
    .await?;
    tx.commit().await.map(|()| Ok(session))
}

pub(super) async fn find<D: Driver>(
    db: &Db<D>,
    secret: &SecretHash,
    idle: Duration,
) -> Result<Option<(Session, Account)>, DbError> {
    let rows: Vec<SignedInRow> = db.fetch_all(of_secret(secret, idle, db.now())).await?;
    Ok(rows.into_iter().next().map(|row| row.signed_in(db.unreadable())))
}

/// Runs with every request of a browser.
fn of_secret<D: Driver>(secret: &SecretHash, idle: Duration, now: Stamp) -> Sql<D> {
    let one = Sql::<D>::new(concat!(
        "select session.id as session_id, session.account, session.opened_at, session.used_at,
           session.expires_at, session.client, ",
        account_columns!(),
        " from session join account on account.id = session.account
         where session.secret = $1 and session.expires_at > $2 and session.used_at > $3
           and account.disabled = 0"
    ));
    one.bind(&secret.0[..]).bind(now.0).bind(now.minus(idle).0)
}

pub(super) async fn touch<D: Driver>(db: &Db<D>, id: SessionId) -> Result<(), DbError> {
    let touched = db.relaxed(|now| {
        Sql::<D>::new("update session set used_at = $1 where id = $2 and used_at < $1 returning id")
            .bind(now.0)
            .bind(id.0)
    });
    let _: Vec<(Uuid,)> = touched.await?;
    Ok(())
}

pub(super) async fn of_account<D: Driver>(
    db: &Db<D>,
    account: AccountId,
    idle: Duration,
) -> Result<Vec<Session>, DbError> {
    let now = db.now();
    let open = Sql::<D>::new(
        "select id as session_id, account, opened_at, used_at, expires_at, client from session
         where account = $1 and expires_at > $2 and used_at > $3 order by used_at desc, id desc",
    );
    let open = open.bind(account.0).bind(now.0).bind(now.minus(idle).0);
    let rows: Vec<SessionRow> = db.fetch_all(open).await?;
    Ok(rows.into_iter().map(SessionRow::session).collect())
}

pub(super) async fn end<D: Driver>(
    db: &Db<D>,
    account: AccountId,
    id: SessionId,
) -> Result<bool, DbError> {
    let ended = db.execute(|_| {
        Sql::<D>::new("delete from session where id = $1 and account = $2 returning id")
            .bind(id.0)
            .bind(account.0)
    });
    let ended: Vec<(Uuid,)> = ended.await?;
    Ok(!ended.is_empty())
}

pub(super) async fn end_all<D: Driver>(
    db: &Db<D>,
    account: AccountId,
    keep: Option<SessionId>,
) -> Result<usize, DbError> {
    let ended = db.execute(|_| {
        Sql::<D>::new("delete from session where account = $1 and id <> $2 returning id")
            .bind(account.0)
            .bind(kept(keep))
    });
    let ended: Vec<(Uuid,)> = ended.await?;
    Ok(ended.len())
}

pub(super) async fn prune<D: Driver>(db: &Db<D>, idle: Duration) -> Result<usize, DbError> {
    let sessions: Vec<(Uuid,)> = db
        .execute(|now| {
            let over = "delete from session where expires_at <= $1 or used_at <= $2 returning id";
            Sql::<D>::new(over).bind(now.0).bind(now.minus(idle).0)
        })
        .await?;
    let links: Vec<(Uuid,)> = db
        .execute(|now| {
            Sql::<D>::new("delete from link where expires_at <= $1 returning account").bind(now.0)
        })
        .await?;
    let strangers: Vec<(i64,)> = db
        .execute(|now| {
            Sql::<D>::new("delete from stranger where failed_at <= $1 returning bucket")
                .bind(now.minus(FORGOTTEN).0)
        })
        .await?;
    let used: Vec<(i64,)> = db
        .execute(|now| {
            let over = "delete from used_once where expires_at <= $1 returning expires_at";
            Sql::<D>::new(over).bind(now.0)
        })
        .await?;
    Ok(sessions.len() + links.len() + strangers.len() + used.len())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use lobar_core::time::SystemClock;
    use sqlx::Sqlite;

    use super::*;

    #[tokio::test]
    async fn a_session_is_found_by_two_indexes() {
        let folder = tempfile::TempDir::new().expect("a folder");
        let file = folder.path().join("lobar.db");
        let db = crate::sqlite::open(&file, Arc::new(SystemClock)).await.expect("a database");
        let find = of_secret::<Sqlite>(&SecretHash([7; 32]), Duration::from_secs(60), Stamp(7));
        let plan: Vec<(i64, i64, i64, String)> =
            db.fetch_all(find.explained()).await.expect("a plan");
        let lines: Vec<String> = plan.into_iter().map(|(.., line)| line).collect();
        assert_eq!(lines.len(), 2, "{lines:?}");
        assert!(lines[0].starts_with("SEARCH session") && lines[0].contains("(secret=?"));
        assert!(lines[1].starts_with("SEARCH account") && lines[1].contains("(id=?"));
        db.close().await;
    }
}
