//! What is remembered of signing in: failures, and codes that were used.

use lobar_core::accounts::{
    AccountError, AccountId, FORGOTTEN, PasswordHash, StrangerKey, TotpSecret,
};
use lobar_core::time::Stamp;
use uuid::Uuid;

use super::super::{Db, DbError, Driver, Sql};
use super::Done;
use super::row::lock;

/// Codes of another secret say nothing about this one's, so their last step is forgotten.
pub(super) async fn set_totp<D: Driver>(
    db: &Db<D>,
    id: AccountId,
    secret: Option<(&TotpSecret, i64)>,
    proven: Option<&PasswordHash>,
) -> Done<()> {
    let mut tx = db.begin().await?;
    let refusal = match lock(&mut tx, id, db.unreadable()).await? {
        None => Some(AccountError::Unknown),
        Some(account) if proven.is_some() && account.password.as_ref() != proven => {
            Some(AccountError::Replaced)
        }
        Some(_) => None,
    };
    if let Some(refusal) = refusal {
        return tx.commit().await.map(|()| Err(refusal));
    }
    let (secret, step) = secret.map(|(secret, step)| (secret.0.clone(), step)).unzip();
    Sql::<D>::new("update account set totp = $1, code_step = $2 where id = $3")
        .bind(secret)
        .bind(step)
        .bind(id.0)
        .run(&mut tx)
        .await?;
    tx.commit().await.map(Ok)
}

/// A power cut may lose the last of them, which gives nobody more than a few tries.
pub(super) async fn note<D: Driver>(
    db: &Db<D>,
    id: AccountId,
    succeeded: bool,
) -> Result<(), DbError> {
    let noted = db.relaxed(|now| {
        if succeeded {
            let forget = "update account set failures = 0, failed_at = null
                          where id = $1 and failures > 0 returning id";
            return Sql::<D>::new(forget).bind(id.0);
        }
        Sql::<D>::new(
            "update account set failures = case when failed_at <= $1 then 1 else failures + 1 end, failed_at = $2
             where id = $3 returning id",
        )
        .bind(now.minus(FORGOTTEN).0)
        .bind(now.0)
        .bind(id.0)
    });
    let _: Vec<(Uuid,)> = noted.await?;
    Ok(())
}

pub(super) async fn stranger_key<D: Driver>(
    db: &Db<D>,
    fresh: &StrangerKey,
) -> Result<StrangerKey, DbError> {
    // Written in either case: whichever was first, its key is the one that is answered.
    let kept = db.execute(|_| {
        Sql::<D>::new(
            "insert into stranger_key (one, key) values (1, $1)
             on conflict (one) do update set key = stranger_key.key returning one, key",
        )
        .bind(&fresh.0[..])
    });
    let kept: Vec<(i64, Vec<u8>)> = kept.await?;
    // The table holds no other length.
    let key = kept.into_iter().next().and_then(|(_, key)| key.try_into().ok());
    Ok(key.map_or(*fresh, StrangerKey))
}

pub(super) async fn stranger<D: Driver>(
    db: &Db<D>,
    bucket: u32,
) -> Result<Option<(u32, Stamp)>, DbError> {
    let one = Sql::<D>::new("select failures, failed_at from stranger where bucket = $1");
    let rows: Vec<(i64, i64)> = db.fetch_all(one.bind(i64::from(bucket))).await?;
    let read = |(failures, at)| (u32::try_from(failures).unwrap_or(u32::MAX), Stamp(at));
    Ok(rows.into_iter().next().map(read))
}

pub(super) async fn note_stranger<D: Driver>(db: &Db<D>, bucket: u32) -> Result<(), DbError> {
    let noted = db.relaxed(|now| {
        Sql::<D>::new(
            "insert into stranger (bucket, failures, failed_at) values ($1, 1, $2)
             on conflict (bucket) do update set failed_at = excluded.failed_at,
               failures = case when stranger.failed_at <= $3 then 1 else stranger.failures + 1 end
             returning failures",
        )
        .bind(i64::from(bucket))
        .bind(now.0)
        .bind(now.minus(FORGOTTEN).0)
    });
    let _: Vec<(i64,)> = noted.await?;
    Ok(())
}

pub(super) async fn use_code<D: Driver>(
    db: &Db<D>,
    id: AccountId,
    step: i64,
) -> Result<bool, DbError> {
    let used = db.execute(|_| {
        Sql::<D>::new(
            "update account set code_step = $1
             where id = $2 and (code_step is null or code_step < $1) returning id",
        )
        .bind(step)
        .bind(id.0)
    });
    let used: Vec<(Uuid,)> = used.await?;
    Ok(!used.is_empty())
}
