//! What is remembered of signing in: failures, and codes that were used.

use lobar_core::accounts::{AccountError, AccountId, TotpSecret};
use uuid::Uuid;

use super::super::{Db, DbError, Driver, Sql};
use super::Done;

/// Codes of another secret say nothing about this one's, so the last step is forgotten.
pub(super) async fn set_totp<D: Driver>(
    db: &Db<D>,
    id: AccountId,
    secret: Option<&TotpSecret>,
) -> Done<()> {
    let secret = secret.map(|secret| secret.0.clone());
    let set = db.execute(|_| {
        Sql::<D>::new("update account set totp = $1, code_step = null where id = $2 returning id")
            .bind(secret)
            .bind(id.0)
    });
    let set: Vec<(Uuid,)> = set.await?;
    Ok(if set.is_empty() { Err(AccountError::Unknown) } else { Ok(()) })
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
            "update account set failures = failures + 1, failed_at = $1 where id = $2 returning id",
        )
        .bind(now.0)
        .bind(id.0)
    });
    let _: Vec<(Uuid,)> = noted.await?;
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
