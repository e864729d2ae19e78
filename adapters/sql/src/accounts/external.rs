//! What another issuer says of its people's sessions, and what may be used once.

use lobar_core::accounts::{AccountId, ExternalEnd, SecretHash};
use lobar_core::time::Stamp;
use uuid::Uuid;

use super::super::{Db, DbError, Driver, Sql};

pub(super) async fn end<D: Driver>(
    db: &Db<D>,
    end: &ExternalEnd,
    once: &SecretHash,
    until: Stamp,
) -> Result<Option<Vec<AccountId>>, DbError> {
    let texts = [Some(&end.issuer), end.subject.as_ref(), end.sid.as_ref()];
    // No text that PostgreSQL could be asked for.
    if texts.into_iter().flatten().any(|text| text.contains('\0')) {
        return Ok(Some(Vec::new()));
    }
    let mut tx = db.begin().await?;
    let used: Vec<(i64,)> = using::<D>(once, until).all(&mut tx).await?;
    if used.is_empty() {
        return tx.commit().await.map(|()| None);
    }
    let ended: Vec<(Uuid,)> = ending::<D>(end).all(&mut tx).await?;
    tx.commit().await?;
    let mut ended: Vec<AccountId> = ended.into_iter().map(|(id,)| AccountId(id)).collect();
    ended.sort_unstable();
    ended.dedup();
    Ok(Some(ended))
}

fn ending<D: Driver>(end: &ExternalEnd) -> Sql<D> {
    let mut ended = Sql::<D>::new("delete from session where account in (");
    ended.push("select id from account where issuer = ").arg(end.issuer.as_str());
    if let Some(subject) = &end.subject {
        ended.push(" and subject = ").arg(subject.as_str());
    }
    ended.push(")");
    match (&end.subject, &end.sid) {
        (Some(_), None) => {}
        (Some(_), Some(sid)) => {
            ended.push(" and (sid is null or sid = ").arg(sid.as_str()).push(")");
        }
        (None, Some(sid)) => {
            ended.push(" and sid = ").arg(sid.as_str());
        }
        // Nobody in particular: nobody.
        (None, None) => {
            ended.push(" and 1 = 0");
        }
    }
    ended.push(" returning account");
    ended
}

pub(super) async fn use_once<D: Driver>(
    db: &Db<D>,
    what: &SecretHash,
    until: Stamp,
) -> Result<bool, DbError> {
    let used: Vec<(i64,)> = db.execute(|_| using(what, until)).await?;
    Ok(!used.is_empty())
}

fn using<D: Driver>(what: &SecretHash, until: Stamp) -> Sql<D> {
    Sql::<D>::new(
        "insert into used_once (what, expires_at) values ($1, $2)
         on conflict do nothing returning expires_at",
    )
    .bind(&what.0[..])
    .bind(until.0)
}
